use soloop::{BoundedSemaphore, Result, Semaphore};

async fn start() -> Result<()> {
    let gate = Semaphore::new(2);
    gate.release(); // one too many, and nobody says so
    println!("{gate:?}");

    let gate = BoundedSemaphore::new(2);
    if let Err(error) = gate.release() {
        println!("{error}");
    }
    println!("{gate:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
