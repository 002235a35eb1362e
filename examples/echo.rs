// A TCP echo server and its clients, with sockets by async-io: under `run`, where the reactor has a thread of its own, and
// under `drive`, where `async_io::block_on` gives it ours. `cargo run --release --example echo 20000` compares the two.

use async_io::{Async, Timer};
use futures::{AsyncReadExt, AsyncWriteExt, future::try_join_all, io};
use soloop::{Error, EventLoop, Result, create_task};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::{env, time::Instant};

async fn serve(listener: Async<TcpListener>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.map_err(Error::other)?;
        create_task(async move {
            let echoed = io::copy(&stream, &mut &stream).await;
            echoed.map_err(Error::other)
        });
    }
}

async fn client(name: usize, server: SocketAddr, messages: usize) -> io::Result<String> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    let mut message = format!("client {name}").into_bytes();
    for _ in 0..messages {
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
    }
    Ok(String::from_utf8_lossy(&message).into())
}

async fn session(messages: usize) -> Result<String> {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::other)?;
    let address = listener.get_ref().local_addr().map_err(Error::other)?;
    create_task(serve(listener)); // cancelled when main ends
    let answers = try_join_all((1..=3).map(|name| client(name, address, messages))).await;
    Ok(answers.map_err(Error::other)?.join(", "))
}

async fn by_the_reactor(delay: std::time::Duration) {
    Timer::after(delay).await;
}

fn main() -> Result<()> {
    let measured: Option<usize> = env::args().nth(1).and_then(|number| number.parse().ok());
    let messages = measured.unwrap_or(10);

    let begun = Instant::now();
    println!("run:   {}", EventLoop::new().run(session(messages))?);
    let (under_run, begun) = (begun.elapsed(), Instant::now());
    let mut guest = EventLoop::new();
    let driven = guest.drive(session(messages), by_the_reactor);
    println!("drive: {}", async_io::block_on(driven)?);
    if measured.is_some() {
        let ratio = under_run.as_secs_f64() / begun.elapsed().as_secs_f64();
        println!("run took {under_run:?}, {ratio:.2} times what drive took");
    }
    Ok(())
}
