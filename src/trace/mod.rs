//! A run as a picture: what happened in it, event by event, as lanes of text, as SVG and as a trace for Perfetto.

mod timeline;

pub use self::timeline::{Cause, Event, EventKind, Finish, Requester, Timeline, Wait};
