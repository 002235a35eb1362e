//! The peers, a module each, all of the same shape: `cells` says what of it goes where, and the impls are what it offers.

use crate::peer::Cells;

pub mod async_unsync;
pub mod asyncband;
pub mod compio;
pub mod floor;
pub mod futures;
pub mod futures_intrusive;
pub mod glommio;
pub mod local_sync;
pub mod monoio;
pub mod smol;
pub mod soloop;
pub mod tokio;
pub mod unsend;
pub mod unsync;

/// Where a crate of primitives alone is run: the fastest executor that hosts it with FIFO turns.
pub type Fastest = compio::CompioExecutor;

pub const SOLOOP: &str = "soloop";
pub const FLOOR: &str = "floor";

pub fn cells() -> Cells {
    let mut cells = Cells::default();
    soloop::cells(&mut cells);
    floor::cells(&mut cells);
    tokio::cells(&mut cells);
    smol::cells(&mut cells);
    futures::cells(&mut cells);
    monoio::cells(&mut cells);
    compio::cells(&mut cells);
    glommio::cells(&mut cells);
    unsend::cells(&mut cells);
    futures_intrusive::cells(&mut cells);
    asyncband::cells(&mut cells);
    async_unsync::cells(&mut cells);
    unsync::cells(&mut cells);
    local_sync::cells(&mut cells);
    cells
}
