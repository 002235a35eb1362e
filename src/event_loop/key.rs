//! Names for what a loop keeps by number: 32 bits, of a type of its own, with room for `None`.

use std::num::NonZeroU32;

macro_rules! kept_as_numbers {
    ($($name:ident)*) => {$(
        impl $name {
            /// The key as a number that is never zero, and leaves the highest bit to others.
            #[inline]
            pub(crate) fn get(self) -> u32 {
                self.0.get()
            }

            #[inline]
            pub(crate) fn from_get(number: u32) -> Option<Self> {
                NonZeroU32::new(number).map(Self)
            }
        }
    )*};
}

/// Names a waiter until it is removed: the own one of a task, by the task's number, or another by a number with this bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WaiterKey(NonZeroU32);

const OTHER: u32 = 1 << 31;

/// Where a waiter is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lodging {
    /// In the slot of its task.
    Own(TaskKey),
    /// At this index among the others.
    Other(usize),
}

impl WaiterKey {
    /// The key of a task's own waiter.
    #[inline]
    pub(crate) fn own(task: TaskKey) -> Self {
        Self(task.0)
    }

    /// The key of another waiter.
    pub(crate) fn other(index: usize) -> Self {
        Self(TaskKey::new(index).0 | OTHER)
    }

    #[inline]
    pub(crate) fn lodging(self) -> Lodging {
        match self.0.get() & OTHER {
            0 => Lodging::Own(TaskKey(self.0)),
            _ => Lodging::Other((self.0.get() & !OTHER) as usize - 1),
        }
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) struct $name(NonZeroU32);

        impl $name {
            /// The key of what is kept at this index.
            ///
            /// # Panics
            /// If there are 2^31 things. They would not fit into memory.
            pub(crate) fn new(index: usize) -> Self {
                let number = u32::try_from(index + 1).ok().filter(|&number| number < OTHER);
                Self(number.and_then(NonZeroU32::new).expect("fewer than 2^31 of a kind"))
            }

            #[inline]
            pub(crate) fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )*};
}

keys! {
    /// Names a task until it has ended and the last handle to it is gone.
    TaskKey
    /// Names a combinator's waker until the waiter that keeps it is removed.
    WakerKey
    /// Names a queue of waiters until its primitive is gone.
    QueueKey
    /// Names a timer until it is cancelled or its handle has run.
    TimerKey
    /// Names a slot of the timer wheel.
    SlotKey
    /// Names 256 of them together.
    NodeKey
}

kept_as_numbers! { TaskKey TimerKey }
