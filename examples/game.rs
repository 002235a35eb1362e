// A game loop hosts soloop: the time is the game's, each frame gives the tasks a budget of turns, and nothing ever blocks.

use soloop::{Event, EventLoop, Result, Turn, create_task, sleep, time, wait_for};
use std::{cell::Cell, rc::Rc, time::Duration};

const FRAME: Duration = Duration::from_millis(100);
/// Turns per frame. A task that is always busy slows the others down, but never the frames.
const BUDGET: usize = 8;

fn say(line: &str) {
    println!("{:3} ms: {line}", time().as_millis());
}

async fn guard(alarm: Event) -> Result<()> {
    loop {
        say("the guard looks left");
        if wait_for(alarm.wait(), FRAME * 2).await.is_ok() {
            say("the guard runs to the door");
            return sleep(FRAME).await;
        }
        say("the guard looks right");
        sleep(FRAME).await?;
    }
}

async fn path_finder() -> Result<()> {
    for _ in 0..20 {
        sleep(Duration::ZERO).await?; // a lot to think about, and thus often a break
    }
    say("the path is found");
    Ok(())
}

fn main() {
    let now = Rc::new(Cell::new(Duration::ZERO));
    let clock = Rc::clone(&now);
    let mut tasks = EventLoop::with_clock(move || clock.get());
    let alarm = Event::new();
    tasks.create_task(guard(alarm.clone()));
    for frame in 0.. {
        if frame == 2 {
            tasks.create_task(async {
                create_task(path_finder()).await?;
                say("the hero walks");
                Ok(())
            });
        }
        if frame == 5 {
            alarm.set(); // the player has touched something
        }
        let stands = match tasks.run_until_stalled(BUDGET) {
            Turn::More => "more to do",
            Turn::SleepUntil(_) => "asleep",
            Turn::AwaitWake | Turn::Stuck(_) => "waiting",
            Turn::Empty => break,
        };
        println!("frame {frame} drawn, tasks {stands}");
        now.set(now.get() + FRAME); // the game may be paused, or run in slow motion
    }
}
