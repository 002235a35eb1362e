// Four letters with a limit: in time, too late, without one, and with none left.

use soloop::{Error, Result, sleep, wait_for};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(5);

async fn letter(name: &str, delay: Duration) -> Result<String> {
    println!("{name} is on its way");
    if let Err(Error::Cancelled) = sleep(delay).await {
        println!("{name} is called back");
        return Err(Error::Cancelled);
    }
    Ok(format!("{name} has come"))
}

async fn expect(name: &str, delay: Duration, limit: Option<Duration>) -> Result<()> {
    match wait_for(letter(name, delay), limit).await {
        Ok(news) => println!("{news}"),
        Err(error @ Error::Timeout) => println!("{name} is late: {error}"),
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn start() -> Result<()> {
    expect("the first", SHORT, Some(LONG)).await?;
    expect("the second", LONG, Some(SHORT)).await?;
    expect("the third", SHORT, None).await?;
    expect("the fourth", SHORT, Some(Duration::ZERO)).await?;

    // Of two limits, the one that strikes first is the one that raises.
    let round = wait_for(expect("the fifth", LONG, Some(LONG)), SHORT);
    if let Err(Error::Timeout) = round.await {
        println!("the whole round is late");
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
