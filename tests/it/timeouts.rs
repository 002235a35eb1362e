//! Random programs full of timeouts, each of them thrice: as it is, under a recorder, and with a `wait_for` that never strikes
//! around all that its tasks do. All three must do the same.
//!
//! As it is, a `wait_for` around one wait has a timer and no scope as long as nothing disturbs it. Under the other two, it has a scope
//! from the beginning. So whatever can disturb it happens here: its task is cancelled, it is polled by another task or with a
//! combinator's waker, what it waits for is given up, and something else begins beside it.
//! Many more cases: `PROPTEST_CASES=100000 cargo test --release --test it timeouts`.

use crate::{kit::*, models::config};
use futures::{
    StreamExt,
    future::{LocalBoxFuture, join, select},
    stream::FuturesUnordered,
};
use proptest::{prelude::*, sample::select as one_of};
use soloop::{
    Event, EventLoop, Lock, Result, Task, TaskHandle, create_task, current_task, tasks, time,
    trace::record, wait_for,
};
use std::{
    cell::RefCell,
    future::{pending, poll_fn},
    mem,
    rc::Rc,
    task::{Context, Poll},
};

/// What a task does. No bare yield: a timeout around nothing else that is polled once has a timer only under a recorder.
#[derive(Debug, Clone)]
enum Act {
    Nap(u64),
    Wait(usize),
    /// Waits for nothing that a loop knows.
    Forever,
    Set(usize),
    Clear(usize),
    /// Holds a lock meanwhile.
    With(usize, Vec<Act>),
    /// Awaits a task that waits for an event, and may take a second longer when it is cancelled.
    Join(usize, bool),
    Cancel(usize),
    Uncancel,
    Within(u64, Vec<Act>),
    /// Goes on after an error.
    Try(Vec<Act>),
    Both(Vec<Act>, Vec<Act>),
    Either(Vec<Act>, Vec<Act>),
    /// Both, polled with wakers of a combinator's.
    Apart(Vec<Act>, Vec<Act>),
    /// Puts something into a place that everybody can reach, under a timeout or not, and polls it once.
    Begin(usize, u64, Vec<Act>),
    Poll(usize),
    Await(usize),
    Drop(usize),
    Look,
}

const EVENTS: usize = 2;
const PLACES: usize = 2;

fn act() -> impl Strategy<Value = Act> {
    let leaf = prop_oneof![
        3 => (1..4u64).prop_map(Act::Nap),
        4 => (0..EVENTS).prop_map(Act::Wait),
        3 => (0..EVENTS).prop_map(Act::Set),
        1 => (0..EVENTS).prop_map(Act::Clear),
        2 => (0..EVENTS, any::<bool>()).prop_map(|(event, lingers)| Act::Join(event, lingers)),
        2 => (0..3usize).prop_map(Act::Cancel),
        3 => (0..PLACES, one_of(vec![Act::Poll, Act::Await, Act::Drop] as Vec<fn(usize) -> Act>))
            .prop_map(|(place, act)| act(place)),
        2 => one_of(vec![Act::Forever, Act::Uncancel, Act::Look]),
    ];
    leaf.prop_recursive(4, 24, 3, |act| {
        let acts = || prop::collection::vec(act.clone(), 1..4);
        prop_oneof![
            6 => (1..5u64, acts()).prop_map(|(time, acts)| Act::Within(time, acts)),
            2 => acts().prop_map(Act::Try),
            1 => (0..2usize, acts()).prop_map(|(lock, acts)| Act::With(lock, acts)),
            2 => (0..PLACES, 0..5u64, acts()).prop_map(|(place, time, acts)| Act::Begin(place, time, acts)),
            2 => (acts(), acts()).prop_map(|(a, b)| Act::Both(a, b)),
            1 => (acts(), acts()).prop_map(|(a, b)| Act::Either(a, b)),
            1 => (acts(), acts()).prop_map(|(a, b)| Act::Apart(a, b)),
        ]
    })
}

type Fut = LocalBoxFuture<'static, Result<()>>;

/// What a program plays in.
#[derive(Default)]
struct World {
    events: [Event; EVENTS],
    locks: [Lock; EVENTS],
    places: RefCell<[Option<Fut>; PLACES]>,
    tasks: RefCell<Vec<TaskHandle>>,
    /// Whether a `wait_for` stands around all that a task does.
    around: bool,
}

impl World {
    fn put(&self, place: usize, future: Option<Fut>) {
        let old = mem::replace(&mut self.places.borrow_mut()[place], future);
        drop(old);
    }

    /// Polls what stands in a place. If there is nothing, that is over.
    fn poll(&self, place: usize, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let future = self.places.borrow_mut()[place].take();
        let Some(mut future) = future else {
            return Poll::Ready(Ok(()));
        };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.put(place, Some(future));
        }
        polled
    }

    async fn poll_once(&self, place: usize) {
        let polled = poll_fn(|cx| Poll::Ready(self.poll(place, cx))).await;
        note(format_args!(
            "polled {place} {}",
            polled.map(outcome).is_ready()
        ));
    }

    fn create_task(&self, future: Fut) -> Task<()> {
        let task = create_task(match self.around {
            true => Box::pin(wait_for(future, secs(999_999))) as Fut,
            false => future,
        });
        self.tasks.borrow_mut().push(task.handle());
        task
    }
}

fn play_all(world: &Rc<World>, acts: &[Act]) -> Fut {
    let (world, acts) = (Rc::clone(world), acts.to_vec());
    Box::pin(async move {
        for act in &acts {
            let result = play(&world, act).await;
            let me = current_task().expect("a task is running");
            note(format_args!(
                "{} {} {act:?} {} {} {:?} {:?}",
                time().as_secs(),
                me.name(),
                outcome(result.clone()),
                me.cancelling(),
                world.events,
                world.locks,
            ));
            result?;
        }
        Ok(())
    })
}

async fn play(world: &Rc<World>, act: &Act) -> Result<()> {
    let all = |acts| play_all(world, acts);
    match act {
        Act::Nap(time) => nap(*time).await,
        Act::Wait(event) => world.events[*event].wait().await,
        Act::Forever => pending().await,
        Act::Set(event) => {
            world.events[*event].set();
            Ok(())
        }
        Act::Clear(event) => {
            world.events[*event].clear();
            Ok(())
        }
        Act::With(lock, acts) => {
            let _held = world.locks[*lock].enter().await?;
            all(acts).await
        }
        Act::Join(event, lingers) => {
            let (world, event, lingers) = (Rc::clone(world), *event, *lingers);
            create_task(async move {
                let waited = world.events[event].wait().await;
                if lingers && waited.is_err() {
                    nap(1).await?;
                }
                waited
            })
            .await
        }
        Act::Cancel(task) => {
            let task = world.tasks.borrow().get(*task).cloned();
            task.map(|task| task.cancel());
            Ok(())
        }
        Act::Uncancel => {
            current_task().map(|me| me.uncancel());
            Ok(())
        }
        Act::Within(time, acts) => wait_for(all(acts), secs(*time)).await,
        Act::Try(acts) => tell("tried", all(acts)).await,
        Act::Both(a, b) => {
            let (a, b) = join(all(a), all(b)).await;
            a.and(b)
        }
        Act::Either(a, b) => select(all(a), all(b)).await.factor_first().0,
        Act::Apart(a, b) => {
            let mut both = FuturesUnordered::from_iter([all(a), all(b)]);
            while let Some(result) = both.next().await {
                result?;
            }
            Ok(())
        }
        Act::Begin(place, time, acts) => {
            let future = match time {
                0 => all(acts),
                _ => Box::pin(wait_for(all(acts), secs(*time))),
            };
            world.put(*place, Some(future));
            world.poll_once(*place).await;
            Ok(())
        }
        Act::Poll(place) => {
            world.poll_once(*place).await;
            Ok(())
        }
        Act::Await(place) => poll_fn(|cx| world.poll(*place, cx)).await,
        Act::Drop(place) => {
            world.put(*place, None);
            Ok(())
        }
        Act::Look => say(tasks()).await,
    }
}

/// A task for each, which have half a minute to end by themselves.
async fn main_of(world: Rc<World>, program: Vec<Vec<Act>>) -> Result<()> {
    let tasks: Vec<_> = program
        .iter()
        .map(|acts| world.create_task(play_all(&world, acts)))
        .collect();
    nap(30).await?;
    for _ in 0..9 {
        for task in &tasks {
            task.cancel();
        }
        nap(1).await?;
    }
    for task in tasks.into_iter().filter(Task::done) {
        tell("ended", task).await?;
    }
    note(format_args!("{:?} {:?}", world.events, world.locks));
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    AsItIs,
    Recorded,
    Around,
}

fn trace_of(program: &[Vec<Act>], way: Way) -> String {
    let world = Rc::new(World {
        around: way == Way::Around,
        ..World::default()
    });
    let mut event_loop = EventLoop::with_virtual_clock();
    let main = main_of(Rc::clone(&world), program.to_vec());
    let ended = match way {
        Way::Recorded => record(&mut event_loop, main).0,
        _ => event_loop.run(main),
    };
    note(outcome(ended));
    // What has survived its task is dropped, and may write to the trace no more.
    (0..PLACES).for_each(|place| world.put(place, None));
    noted()
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn are_the_same_where_others_look_on(program in prop::collection::vec(prop::collection::vec(act(), 1..5), 1..4)) {
        let as_it_is = trace_of(&program, Way::AsItIs);
        prop_assert_eq!(&as_it_is, &trace_of(&program, Way::Recorded));
        prop_assert_eq!(&as_it_is, &trace_of(&program, Way::Around));
    }
}
