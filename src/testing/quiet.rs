//! Panics that are caught do not print: what they say is kept for the report.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// The last panic's message and place, while this thread is quiet.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panics from printing that it catches, and no others: what goes wrong in the search itself is to be seen.
///
/// The process has one panic hook. The first of these puts its own before the one that is there, to which it passes on
/// everything that other threads have to say, and this one when it is not quiet.
pub(super) struct Quiet(());

impl Quiet {
    pub(super) fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let loud = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                if QUIET.try_with(Cell::get).unwrap_or(false) {
                    let place = panic
                        .location()
                        .map_or_else(String::new, |at| format!(", at {at}"));
                    let said = format!("{}{place}", message(panic.payload()));
                    let _ = SAID.try_with(|last| last.replace(Some(said)));
                } else {
                    loud(panic);
                }
            }));
        });
        Self(())
    }

    /// Runs something, and returns what it said when it panicked.
    pub(super) fn catch<R>(&self, run: impl FnOnce() -> R) -> Result<R, String> {
        let was_quiet = QUIET.replace(true);
        let caught = panic::catch_unwind(AssertUnwindSafe(run));
        QUIET.set(was_quiet);
        caught.map_err(|payload| {
            let said = SAID.take();
            said.unwrap_or_else(|| message(&*payload).to_owned())
        })
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that is no text")
}
