//! Who may run a program: the loop by itself, somebody who turns it, an executor that drives it. The lines are the same.

use crate::interpreter::Flow;
use futures::{FutureExt, executor::LocalPool, future::LocalBoxFuture};
use soloop::{Error, EventLoop, Result, TaskHandle, Turn};
use std::time::Duration;

type Main = LocalBoxFuture<'static, Flow>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Run,
    Turns,
    AsyncIo,
    LocalPool,
}

impl Host {
    pub(crate) const ALL: [Self; 4] = [Self::Run, Self::Turns, Self::AsyncIo, Self::LocalPool];

    /// Runs main to its end, and all that it left. `tasks` says which tasks there are.
    pub(crate) fn host(
        self,
        event_loop: &mut EventLoop,
        main: Main,
        tasks: impl Fn() -> Vec<TaskHandle>,
    ) -> Flow {
        match self {
            Self::Run => event_loop.run(main),
            Self::Turns => turn(event_loop, main, tasks),
            Self::AsyncIo => async_io::block_on(event_loop.drive(main, no_sleep)),
            Self::LocalPool => LocalPool::new().run_until(event_loop.drive(main, no_sleep)),
        }
    }
}

async fn no_sleep(delay: Duration) {
    unreachable!("the clock is virtual, and nobody sleeps for {delay:?}");
}

/// The turns that `asyncio.run` still takes once the tasks that it cancelled have ended: see `finish_shutdown`.
const LAST_TURNS: usize = 6;

/// Does by hand what `run` does.
fn turn(event_loop: &mut EventLoop, main: Main, tasks: impl Fn() -> Vec<TaskHandle>) -> Flow {
    let main = event_loop.create_task(main);
    let turn = turn_until(event_loop, Turn::More, || main.done())?;
    // The turn after main's end is still everybody's. With nothing ready it would begin with a jump of the clock.
    if let Turn::More = turn {
        let _turn = event_loop.turn();
    }
    let ended = main.now_or_never().expect("main is done");
    let mut left = tasks();
    left.retain(|task| !task.done());
    if !left.is_empty() {
        let turn = event_loop.shutdown();
        let mut turn = turn_until(event_loop, turn, || left.iter().all(TaskHandle::done))?;
        for _ in 0..LAST_TURNS {
            if let Turn::More = turn {
                turn = event_loop.turn();
            }
        }
    }
    ended
}

fn turn_until(event_loop: &mut EventLoop, mut turn: Turn, over: impl Fn() -> bool) -> Result<Turn> {
    while !over() {
        if let Turn::Stuck(report) = turn {
            return Err(Error::Deadlock(report));
        }
        turn = event_loop.turn();
    }
    Ok(turn)
}
