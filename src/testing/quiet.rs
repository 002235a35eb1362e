//! Panics that are caught do not print: what they say is kept for the report.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// The last panic's message and place, of those that did not print.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether panics of this thread do not print.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Sees to it that panics which are [caught](catch) do not print.
///
/// The process has one panic hook. The first call of this puts its own before the one that is there, to which it passes on
/// everything that other threads have to say, and this one when nobody catches it.
pub(super) fn install() {
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
}

/// Runs something, and returns what it said when it panicked.
pub(super) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    let was_quiet = QUIET.replace(true);
    let ran = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(was_quiet);
    ran.map_err(|payload| {
        let message = message(&*payload);
        // One that was raised anew after it had been caught says nothing of itself.
        let said = SAID.take().filter(|said| said.starts_with(message));
        said.unwrap_or_else(|| message.to_owned())
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that is no text")
}
