// soloop inside a tokio application: an actor whose tasks take turns in asyncio's order, asked over tokio's channels.

use soloop::{Error, EventLoop, Lock, Result, create_task, sleep};
use std::time::Duration;
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::LocalSet,
};

type Question = (&'static str, oneshot::Sender<String>);

/// Runs in soloop. tokio's channels need nothing of its runtime; its timers and sockets do, and have it here.
async fn actor(mut questions: mpsc::Receiver<Question>) -> Result<()> {
    let desk = Lock::new();
    while let Some((question, answer)) = questions.recv().await {
        let desk = desk.clone();
        create_task(async move {
            let _held = desk.enter().await?;
            println!("soloop: {question} at the desk");
            sleep(Duration::from_millis(5)).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
            answer
                .send(format!("hello, {question}"))
                .map_err(Error::other)
        });
    }
    println!("soloop: nobody can ask any more");
    Ok(())
}

async fn ask(actor: mpsc::Sender<Question>, name: &'static str) {
    let (sender, answer) = oneshot::channel();
    actor.send((name, sender)).await.expect("the actor listens");
    println!("tokio:  {}", answer.await.expect("the actor answers"));
}

fn main() -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::other)?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let (sender, questions) = mpsc::channel(8);
        // The loop stays on this thread, in a task of tokio's, and tokio's timer tells it when to go on.
        let actor = tokio::task::spawn_local(async {
            EventLoop::new()
                .drive(actor(questions), tokio::time::sleep)
                .await
        });
        let asking = ["Ada", "Bob", "Eve"].map(|name| tokio::spawn(ask(sender.clone(), name)));
        for asked in asking {
            asked.await.map_err(Error::other)?;
        }
        drop(sender);
        actor.await.map_err(Error::other)?
    })
}
