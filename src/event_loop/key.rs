//! Names for what a loop keeps in its slabs: a number of 32 bits, of a type of its own, with room for `None`.

use std::num::NonZeroU32;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) struct $name(NonZeroU32);

        impl $name {
            /// The key of what a slab keeps at this index.
            ///
            /// # Panics
            /// If the slab holds 2^32 - 1 things. They would not fit into memory.
            pub(crate) fn new(index: usize) -> Self {
                let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
                Self(number.expect("fewer than 2^32 - 1 of a kind"))
            }

            pub(crate) fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )*};
}

keys! {
    /// Names a task until it has ended and the last handle to it is gone.
    TaskKey
    /// Names a waiter until it is removed.
    WaiterKey
    /// Names a combinator's waker until the waiter that keeps it is removed.
    WakerKey
    /// Names a queue of waiters until its primitive is gone.
    QueueKey
    /// Names a timer until it is cancelled or its handle has run.
    TimerKey
}

impl TaskKey {
    /// The key as a number that is never zero.
    pub(crate) fn get(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn from_get(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }
}
