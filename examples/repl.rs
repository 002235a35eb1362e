// A REPL: a thread reads stdin, tasks run meanwhile, and `quit` ends the program though the thread is blocked in its read.
// `sleep 1` sleeps in the background, `cancel` stops all that, `tasks` counts them; an error is printed, not fatal.

use futures::{StreamExt, channel::mpsc};
use soloop::{Error, Result, Task, create_task, sleep};
use std::{io, thread, time::Duration};

async fn nap(seconds: f64) -> Result<()> {
    let slept = sleep(Duration::from_secs_f64(seconds)).await;
    println!("slept {seconds}: {slept:?}");
    slept
}

fn evaluate(line: &str, tasks: &mut Vec<Task<()>>) -> Result<bool> {
    tasks.retain(|task| !task.done());
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        [] => {}
        ["sleep", seconds] => {
            let seconds = seconds.parse().map_err(Error::other)?;
            tasks.push(create_task(nap(seconds)));
        }
        ["tasks"] => println!("{}", tasks.len()),
        ["cancel"] => tasks.iter().for_each(|task| {
            task.cancel();
        }),
        ["quit"] => return Ok(false),
        _ => return Err(Error::Value(format!("what is {line:?}?").into())),
    }
    Ok(true)
}

/// The lines of stdin. Their sender is a waker from outside, so a loop with nothing else to do waits for them.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(io::Result::ok) {
            if sender.unbounded_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

async fn read_and_evaluate(mut lines: mpsc::UnboundedReceiver<String>) -> Result<()> {
    let mut tasks = Vec::new();
    while let Some(line) = lines.next().await {
        match evaluate(&line, &mut tasks) {
            Ok(true) => sleep(Duration::ZERO).await?, // what was begun begins
            Ok(false) => break,
            Err(error) => println!("{error}"),
        }
    }
    println!("bye");
    Ok(()) // and what still sleeps is cancelled
}

fn main() -> Result<()> {
    soloop::run(read_and_evaluate(lines()))
}
