//! A run as a picture: what happened in it, event by event, as lanes of text, as SVG, or as a trace for Perfetto.
//!
//! A [`Timeline`] is a list of events: when each task was created, took a step, waited and for what, who woke it and by what
//! means, which locks and permits it held, who asked it to stop, how it ended. Every wait ends on a named cause. asyncio has no
//! counterpart.
//!
//! # Examples
//! ```
//! use soloop::{Event, EventLoop, create_task, trace};
//!
//! let (ended, timeline) = trace::record(&mut EventLoop::with_virtual_clock(), async {
//!     let ready = Event::new().named("ready");
//!     let waiting = create_task(ready.wait());
//!     soloop::sleep(std::time::Duration::from_secs(1)).await?;
//!     ready.set();
//!     waiting.await
//! });
//! ended?;
//! let woken = timeline.events().iter().find_map(|event| match &event.kind {
//!     trace::EventKind::Woken { by, through } if event.task == Some(2) => Some((*by, through.clone())),
//!     _ => None,
//! });
//! assert_eq!(woken, Some((Some(1), trace::Cause::Primitive("Event 'ready'".into()))));
//! # Ok::<(), soloop::Error>(())
//! ```
//!
//! A loop that nobody records pays nothing for this but a branch here and there.

#[cfg(test)]
mod by_hand;
mod chrome;
mod lanes;
mod layout;
mod record;
mod story;
mod svg;
mod timeline;

pub use self::{
    record::record,
    timeline::{Cause, Event, EventKind, Finish, Requester, Timeline, Wait},
};
