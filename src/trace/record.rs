//! The recorder: takes the turns as asyncio does, handle by handle, and keeps the journal's date.

use std::{future::Future, rc::Rc};

use super::Timeline;
use crate::{
    error::Result,
    event_loop::{Aside, EventLoop, Handle, Loop, Pilot, Stepping},
};

/// Runs a coroutine as [`EventLoop::run`] does, and records what happens meanwhile.
///
/// Returns what the run came to, with the timeline. Tasks that the loop had before are in it from the beginning.
///
/// # Panics
/// As [`EventLoop::run`].
///
/// # Examples
/// ```
/// use soloop::{EventLoop, Lock, trace::record};
///
/// let (stuck, timeline) = record(&mut EventLoop::new(), async {
///     let lock = Lock::new().named("db");
///     let _held = lock.enter().await?;
///     lock.acquire().await // for ever
/// });
/// assert!(stuck.is_err());
/// assert!(timeline.to_string().contains("Lock 'db'"));
/// ```
pub fn record<T>(
    event_loop: &mut EventLoop,
    main: impl Future<Output = Result<T>>,
) -> (Result<T>, Timeline) {
    let home = Rc::clone(event_loop.shared());
    let journal = Open::new(&home);
    let ended = home.run(main, &mut Recorder::default());
    (ended, journal.close())
}

/// While a journal is written. Closed after a panic as well.
pub(crate) struct Open<'a>(&'a Rc<Loop>);

impl<'a> Open<'a> {
    pub(crate) fn new(home: &'a Rc<Loop>) -> Self {
        home.begin_journal();
        Self(home)
    }

    pub(crate) fn close(self) -> Timeline {
        self.0.close_journal()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.close_journal();
    }
}

/// asyncio's order, with a look at the clock before each handle.
#[derive(Default)]
struct Recorder {
    handles: Vec<Handle>,
}

impl Pilot for Recorder {
    fn turn(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        let mut turn = Aside::begin_turn(home, stepping, &mut self.handles);
        while let Some(handle) = turn.pop() {
            home.date_journal();
            turn.run(handle, stepping);
        }
        Ok(())
    }
}
