// A TCP echo server and its clients, with sockets by async-io: under `run`, where the reactor has a thread of its own, and
// under `drive`, where `async_io::block_on` gives it ours. `cargo run --release --example echo 20000` compares the two.

use async_io::{Async, Timer};
use futures::{AsyncReadExt, AsyncWriteExt, future::try_join_all, io};
use soloop::{Error, EventLoop, Result, create_task};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

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

/// Under `run`, then under `drive`; how much longer the first took.
fn both(messages: usize) -> Result<f64> {
    let begun = Instant::now();
    println!("run:   {}", EventLoop::new().run(session(messages))?);
    let under_run = begun.elapsed();
    let mut guest = EventLoop::new();
    let driven = guest.drive(session(messages), async |delay| {
        Timer::after(delay).await;
    });
    println!("drive: {}", async_io::block_on(driven)?);
    Ok(under_run.div_duration_f64(begun.elapsed() - under_run))
}

fn main() -> Result<()> {
    let Some(messages) = std::env::args().nth(1) else {
        return both(10).map(drop);
    };
    let messages = messages.parse().map_err(Error::other)?;
    let mut ratios = (0..9).map(|_| both(messages)).collect::<Result<Vec<_>>>()?;
    ratios.sort_by(f64::total_cmp);
    println!("run takes {:.2} times what drive takes", ratios[4]);
    Ok(())
}
