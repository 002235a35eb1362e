use soloop::Result;

async fn greet(name: &str) -> Result<usize> {
    println!("hello, {name}");
    Ok(name.len())
}

async fn start() -> Result<()> {
    let greeting = greet("ada");
    println!("nothing has run yet");
    let letters = greeting.await?;
    println!("{letters} letters");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
