use soloop::{Condition, Error, EventLoop, Result, create_task, sleep, time, wait_for};
use std::{cell::RefCell, fmt, rc::Rc, time::Duration};

fn say(line: impl fmt::Display) {
    println!("{:2} s: {line}", time().as_secs());
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[derive(Debug)]
struct Closed;

impl std::error::Error for Closed {}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is closed")
    }
}

type Line = String;

#[derive(Clone)]
struct Pool {
    lines: Rc<RefCell<Lines>>,
    changed: Condition,
}

struct Lines {
    idle: Vec<Line>,
    is_open: bool,
}

impl Pool {
    fn new(size: usize) -> Self {
        let idle = (1..=size).map(|n| format!("line {n}")).collect();
        Self {
            lines: Rc::new(RefCell::new(Lines {
                idle,
                is_open: true,
            })),
            changed: Condition::new(),
        }
    }

    async fn take(&self) -> Result<Line> {
        let mut held = self.changed.enter().await?;
        held.wait_for(|| {
            let lines = self.lines.borrow();
            !lines.idle.is_empty() || !lines.is_open
        })
        .await?;
        let mut lines = self.lines.borrow_mut();
        if !lines.is_open {
            return Err(Error::other(Closed));
        }
        Ok(lines.idle.remove(0))
    }

    async fn give_back(&self, line: Line) -> Result<()> {
        let held = self.changed.enter().await?;
        self.lines.borrow_mut().idle.push(line);
        held.notify(1)
    }

    async fn close(&self) -> Result<()> {
        let held = self.changed.enter().await?;
        self.lines.borrow_mut().is_open = false;
        held.notify_all()
    }
}

async fn query(name: &str, length: Duration, pool: &Pool) -> Result<()> {
    let line = wait_for(pool.take(), seconds(4)).await?;
    say(format!("{name} takes {line}"));
    let result = sleep(length).await;
    pool.give_back(line.clone()).await?;
    say(format!("{name} gives back {line}"));
    result
}

async fn client(name: &str, begin: Duration, length: Duration, pool: Pool) -> Result<()> {
    sleep(begin).await?;
    say(format!("{name} wants a line"));
    match query(name, length, &pool).await {
        Err(Error::Timeout) => say(format!("{name} got none in time")),
        Err(Error::Other(error)) if error.is::<Closed>() => {
            say(format!("{name} got none: {error}"));
        }
        other => return other,
    }
    Ok(())
}

async fn start() -> Result<()> {
    let pool = Pool::new(2);
    let mut clients = Vec::new();
    for (name, begin, length) in [
        ("ada", 0, 4),
        ("bob", 1, 6),
        ("eve", 2, 5),
        ("dan", 3, 10),
        ("fay", 5, 8),
        ("gus", 8, 1),
        ("hal", 13, 1),
    ] {
        let coro = client(name, seconds(begin), seconds(length), pool.clone());
        let task = create_task(coro);
        task.set_name(name);
        clients.push((name, task));
    }

    sleep(seconds(6)).await?;
    say("eve is cancelled");
    clients[2].1.cancel();
    sleep(seconds(8)).await?;
    say("the pool is to close");
    pool.close().await?;

    for (name, task) in clients {
        match task.await {
            Err(Error::Cancelled) => say(format!("{name} was cancelled")),
            other => other?,
        }
    }
    let mut idle = pool.lines.borrow().idle.clone();
    idle.sort();
    say(idle.join(", "));
    Ok(())
}

fn main() -> Result<()> {
    EventLoop::with_virtual_clock().run(start())
}
