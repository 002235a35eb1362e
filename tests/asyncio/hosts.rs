//! Who may run a program: the loop by itself, with a recorder or without, somebody who turns it by hand, an executor that drives it. The lines are the
//! same.

use crate::{flaws::flaws, interpreter::Flow};
use futures::{FutureExt, executor::LocalPool, future::LocalBoxFuture};
use soloop::{Error, EventLoop, Result, TaskHandle, Turn, trace::record};
use std::time::Duration;

type Main = LocalBoxFuture<'static, Flow>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Run,
    Recorded,
    Turns,
    AsyncIo,
    LocalPool,
    Smol,
    Tokio,
}

/// Those that drive.
pub(crate) const EXECUTORS: [Host; 4] = [Host::AsyncIo, Host::LocalPool, Host::Smol, Host::Tokio];

impl Host {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut hosts = [Self::Run, Self::Recorded, Self::Turns]
            .into_iter()
            .chain(EXECUTORS);
        hosts.find(|host| format!("{host:?}") == name)
    }

    /// Runs main to its end, and what it left. `tasks` says which tasks there are.
    pub(crate) fn run(
        self,
        guest: &mut EventLoop,
        main: Main,
        tasks: impl Fn() -> Vec<TaskHandle>,
    ) -> Flow {
        match self {
            Self::Run => guest.run(main),
            Self::Recorded => {
                let (ended, timeline) = record(guest, main);
                assert_eq!(flaws(&timeline), [""; 0]);
                ended
            }
            Self::Turns => turn(guest, main, tasks),
            Self::AsyncIo => async_io::block_on(guest.drive(main, no_sleep)),
            Self::LocalPool => LocalPool::new().run_until(guest.drive(main, no_sleep)),
            Self::Smol => {
                let executor = smol::LocalExecutor::new();
                smol::block_on(executor.run(guest.drive(main, no_sleep)))
            }
            Self::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let runtime = runtime.expect("a runtime");
                tokio::task::LocalSet::new().block_on(&runtime, guest.drive(main, no_sleep))
            }
        }
    }
}

async fn no_sleep(delay: Duration) {
    panic!("the clock is virtual, and yet somebody is to sleep for {delay:?}");
}

/// Does by hand what `run` does.
fn turn(guest: &mut EventLoop, main: Main, tasks: impl Fn() -> Vec<TaskHandle>) -> Flow {
    let main = guest.create_task(main);
    let turn = turn_until(guest, Turn::More, || main.done())?;
    // The turn after main's end is still everybody's. With nothing ready it would begin with a jump of the clock.
    if let Turn::More = turn {
        let _turn = guest.turn();
    }
    let ended = main.now_or_never().expect("main is done");
    let mut left = tasks();
    left.retain(|task| !task.done());
    if !left.is_empty() {
        let turn = guest.shutdown();
        let mut turn = turn_until(guest, turn, || left.iter().all(TaskHandle::done))?;
        // Two turns until `gather` has told, and two for each task that asyncio makes then. Those take a number.
        for of_asyncio in [
            None,
            Some("shutdown_asyncgens"),
            Some("shutdown_default_executor"),
        ] {
            if of_asyncio.is_some() {
                guest.create_task(async { Ok(()) });
                turn = Turn::More;
            }
            for _ in 0..2 {
                if let Turn::More = turn {
                    turn = guest.turn();
                }
            }
        }
    }
    ended
}

fn turn_until(guest: &mut EventLoop, mut turn: Turn, over: impl Fn() -> bool) -> Result<Turn> {
    while !over() {
        if let Turn::Stuck(report) = turn {
            return Err(Error::Deadlock(report));
        }
        turn = guest.turn();
    }
    Ok(turn)
}
