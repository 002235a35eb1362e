use soloop::{Barrier, Error, EventLoop, Result, create_task, sleep, time};
use std::{cell::RefCell, fmt, ops::Range, rc::Rc, time::Duration};

type Row = Rc<RefCell<Vec<u32>>>;

fn say(line: impl fmt::Display) {
    println!("{:2} s: {line}", time().as_secs());
}

struct Worker {
    name: &'static str,
    cells: Range<usize>,
    delay: Duration,
    row: Row,
    barrier: Barrier,
}

impl Worker {
    async fn work(self) -> Result<()> {
        for phase in 1.. {
            match self.phase(phase).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(Error::BrokenBarrier(why)) => {
                    say(format!("{} stops in phase {phase}: {why}", self.name));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether to go on.
    async fn phase(&self, phase: u32) -> Result<bool> {
        let fresh = self.sums();
        sleep(self.delay).await?;
        if let Some(sum) = fresh.iter().max().filter(|sum| **sum > 9) {
            say(format!("{}: {sum} has two digits", self.name));
            self.barrier.abort().await?;
            return Ok(false);
        }
        self.barrier.wait().await?; // all have read
        self.row.borrow_mut()[self.cells.clone()].copy_from_slice(&fresh);
        let place = self.barrier.wait().await?; // all have written
        if place == 0 {
            say(format!("phase {phase}: {:?}", self.row.borrow()));
        }
        Ok(true)
    }

    fn sums(&self) -> Vec<u32> {
        let row = self.row.borrow();
        let left = |i: usize| if i == 0 { 0 } else { row[i - 1] };
        self.cells.clone().map(|i| row[i] + left(i)).collect()
    }
}

async fn start() -> Result<()> {
    let row = Row::new(RefCell::new(vec![1, 0, 0, 0, 0, 0]));
    let barrier = Barrier::new(3)?;
    let mut tasks = Vec::new();
    for (name, begin, seconds) in [("ada", 0, 1), ("bob", 2, 2), ("eve", 4, 3)] {
        let worker = Worker {
            name,
            cells: begin..begin + 2,
            delay: Duration::from_secs(seconds),
            row: row.clone(),
            barrier: barrier.clone(),
        };
        let task = create_task(worker.work());
        task.set_name(name);
        tasks.push(task);
    }
    for task in tasks {
        task.await?;
    }
    say(format!("what is left: {:?}", row.borrow()));
    Ok(())
}

fn main() -> Result<()> {
    EventLoop::with_virtual_clock().run(start())
}
