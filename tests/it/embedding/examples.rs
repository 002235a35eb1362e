//! The programs of the host examples, in hosts that count: while nothing is due nobody is polled, and no loop wakes.
//!
//! Each example stands here as a module of its own, beside its test.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Long enough that who wakes now and then is seen to.
const QUIET: Duration = Duration::from_millis(40);

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}

/// What was counted since the last call.
fn counted() -> usize {
    COUNT.take()
}

/// Counts the polls of a future.
struct Counted<F>(Pin<Box<F>>);

impl<F: Future> Counted<F> {
    fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        count();
        self.0.as_mut().poll(cx)
    }
}

/// Lets a program come to a stand, and says what is counted while it has nothing to do: for main itself, which sleeps.
async fn while_quiet() -> soloop::Result<usize> {
    let _far_off = soloop::create_task(soloop::sleep(Duration::from_secs(3600)));
    soloop::sleep(QUIET / 2).await?;
    counted();
    soloop::sleep(QUIET).await?;
    Ok(counted())
}

/// A loop on the machine's clock, which counts how often it is asked: by each turn, as long as a timer is set, by whoever sets
/// one, and before the thread is parked.
fn loop_that_counts() -> soloop::EventLoop {
    let begun = std::time::Instant::now();
    soloop::EventLoop::with_clock(move || {
        count();
        begun.elapsed()
    })
}

/// Under `run`: main sets its timer, the thread is parked, and then come the turn of the timer and that of main.
const UNDER_RUN: usize = 4;
/// A driven loop: once, for the deadline. Not even that on a machine so slow that it has passed by then.
const DRIVEN: usize = 1;

mod game {
    include!("../../../examples/game.rs");

    #[test]
    fn polls_no_task_in_a_frame_with_nothing_to_do() {
        use super::{Counted, counted};
        let now = Rc::new(Cell::new(Duration::ZERO));
        let clock = Rc::clone(&now);
        let mut tasks = EventLoop::with_clock(move || clock.get());
        tasks.create_task(Counted::new(guard(Event::new())));
        let frames: Vec<usize> = (0..1000)
            .map(|frame| {
                now.set(Duration::from_millis(frame));
                let turn = tasks.run_until_stalled(BUDGET);
                assert!(matches!(turn, Turn::SleepUntil(_)), "{turn:?}");
                counted()
            })
            .collect();
        // Two frames of the example's to the left, and one to the right.
        let expected = (0..1000).map(|ms| usize::from(matches!(ms % 300, 0 | 200)));
        assert_eq!(frames, expected.collect::<Vec<_>>());
    }
}

mod repl {
    include!("../../../examples/repl.rs");

    #[test]
    fn wakes_no_loop_while_nobody_types() {
        use super::{UNDER_RUN, loop_that_counts, while_quiet};
        let (keyboard, lines) = mpsc::unbounded();
        let counted = loop_that_counts().run(async {
            create_task(read_and_evaluate(lines));
            keyboard
                .unbounded_send("sleep 3600".into())
                .map_err(Error::other)?;
            while_quiet().await
        });
        assert_eq!(counted.unwrap(), UNDER_RUN);
    }
}

mod ctrl_c {
    include!("../../../examples/ctrl_c.rs");

    #[test]
    fn wakes_no_loop_until_it_is_pressed() {
        use super::{UNDER_RUN, loop_that_counts, while_quiet};
        let counted = loop_that_counts().run(async {
            let working = soloop::create_task(start());
            let counted = while_quiet().await;
            for _work_and_then_cleaning in 0..2 {
                working.cancel();
                sleep(Duration::ZERO).await?;
            }
            assert!(working.cancelled());
            counted
        });
        assert_eq!(counted.unwrap(), UNDER_RUN);
    }
}

mod echo {
    include!("../../../examples/echo.rs");

    use super::{Counted, DRIVEN, UNDER_RUN, loop_that_counts, while_quiet};

    /// A server, and a client that is connected and says nothing.
    async fn quiet() -> Result<usize> {
        let listener =
            Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::other)?;
        let address = listener.get_ref().local_addr().map_err(Error::other)?;
        create_task(serve(listener));
        let connected = Async::<TcpStream>::connect(address).await;
        let mut client = connected.map_err(Error::other)?;
        client.write_all(b"!").await.map_err(Error::other)?;
        client.read_exact(&mut [0]).await.map_err(Error::other)?;
        while_quiet().await
    }

    #[test]
    fn wakes_no_loop_that_runs() {
        assert_eq!(loop_that_counts().run(quiet()).unwrap(), UNDER_RUN);
    }

    #[test]
    fn polls_no_loop_that_is_driven() {
        let mut guest = EventLoop::new();
        let driven = guest.drive(quiet(), async |delay| {
            Timer::after(delay).await;
        });
        assert!(async_io::block_on(Counted::new(driven)).unwrap() <= DRIVEN);
    }
}

mod blocking {
    include!("../../../examples/blocking.rs");

    #[test]
    fn wakes_no_loop_while_the_thread_waits() {
        use super::{UNDER_RUN, loop_that_counts, while_quiet};
        let (captain, orders) = mpsc::channel();
        let counted = loop_that_counts().run(async {
            let listening = create_task(listen(orders));
            let counted = while_quiet().await;
            captain.send("go").map_err(Error::other)?;
            listening.await?;
            counted
        });
        assert_eq!(counted.unwrap(), UNDER_RUN);
    }
}

mod tokio_app {
    include!("../../../examples/tokio_app.rs");

    #[test]
    fn polls_no_loop_while_nobody_asks() {
        use super::{Counted, DRIVEN, while_quiet};
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (_sender, questions) = mpsc::channel(8);
        let mut guest = EventLoop::new();
        let main = async {
            create_task(actor(questions));
            while_quiet().await
        };
        let driven = Counted::new(guest.drive(main, tokio::time::sleep));
        assert!(LocalSet::new().block_on(&runtime, driven).unwrap() <= DRIVEN);
    }
}
