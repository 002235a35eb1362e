//! soloop inside somebody else's loop: a turn at a time, on the host's clock, told of work, and shut down by the host.

mod drive;
#[allow(dead_code, reason = "the examples bring a main")]
mod examples;
mod hosts;
mod portable;
mod wakes;

use crate::kit::*;
use futures::{FutureExt, channel::oneshot};
use soloop::{
    Error, Event, EventLoop, Lock, Result, Task, TaskHandle, Turn, create_task, current_task,
    sleep, time, wait_for,
};
use std::{
    cell::{Cell, RefCell},
    future::pending,
    pin::pin,
    rc::Rc,
    thread,
    time::Duration,
};

/// A loop on a clock that the test sets by hand.
fn by_hand() -> (EventLoop, Rc<Cell<Duration>>) {
    let now = Rc::new(Cell::new(Duration::ZERO));
    let clock = Rc::clone(&now);
    (EventLoop::with_clock(move || clock.get()), now)
}

/// An answer as a word of the trace.
fn word(turn: &Turn) -> String {
    match turn {
        Turn::More => "more".into(),
        Turn::SleepUntil(deadline) => format!("until-{}", deadline.as_secs()),
        Turn::AwaitWake => "await".into(),
        Turn::Stuck(_) => "stuck".into(),
        Turn::Empty => "empty".into(),
    }
}

/// Notes what a turn answers.
fn turn(guest: &mut EventLoop) {
    note(word(&guest.turn()));
}

/// A task of the guest's that somebody outside can wake.
fn awaited(guest: &EventLoop) -> (Task<()>, oneshot::Sender<()>) {
    let (sender, receiver) = oneshot::channel();
    let task = guest.create_task(async { receiver.await.map_err(Error::other) });
    (task, sender)
}

/// The result of a task that is done.
fn result_of<T>(task: Task<T>) -> Result<T> {
    task.now_or_never().expect("the task is done")
}

mod a_turn {
    use super::*;

    #[test]
    fn runs_what_stood_in_ready_and_nothing_that_it_queues() {
        let (mut guest, _) = by_hand();
        guest.create_task(ticks(3));
        guest.create_task(async {
            note("a");
            create_task(say("child"));
            Ok(())
        });
        for _ in 0..5 {
            turn(&mut guest);
        }
        assert_eq!(noted(), "t0 a more t1 child more t2 more empty empty");
    }

    #[test]
    fn says_when_to_come_back() {
        let (mut guest, now) = by_hand();
        guest.create_task(tell("three", nap(3)));
        guest.create_task(tell("one", nap(1)));
        turn(&mut guest);
        turn(&mut guest);
        now.set(secs(1));
        turn(&mut guest); // the timer's handle
        turn(&mut guest); // the step that it woke
        now.set(secs(9));
        turn(&mut guest);
        turn(&mut guest);
        assert_eq!(
            noted(),
            "until-1 until-1 more one ok until-3 more three ok empty"
        );
    }

    /// The sleep has outlived its task.
    #[test]
    fn is_empty_although_a_timer_is_left() {
        let (mut guest, _) = by_hand();
        let kept = Rc::new(Cell::new(None));
        guest.create_task({
            let kept = Rc::clone(&kept);
            async move {
                let mut sleeps = sleep(secs(9)).boxed_local();
                start(&mut sleeps).await;
                kept.set(Some(sleeps));
                Ok(())
            }
        });
        turn(&mut guest);
        turn(&mut guest);
        assert_eq!(noted(), "empty empty");
    }

    #[test]
    fn without_timers_waits_for_the_wakers_that_are_out() {
        let (mut guest, _) = by_hand();
        let (task, sender) = awaited(&guest);
        turn(&mut guest);
        turn(&mut guest);
        sender.send(()).expect("it is received");
        turn(&mut guest);
        assert_eq!(noted(), "await await empty");
        assert!(result_of(task).is_ok());
    }

    #[test]
    fn names_those_who_are_stuck_and_the_host_may_still_help() {
        let (mut guest, _) = by_hand();
        let event = Event::new();
        guest.create_task(tell("waiter", event.wait()));
        let Turn::Stuck(report) = guest.turn() else {
            panic!("nothing in the loop can wake the task")
        };
        assert_eq!(
            report.tasks().collect::<Vec<_>>(),
            [("Task-1", "<Event [unset, waiters:1]>")]
        );
        turn(&mut guest);
        event.set();
        turn(&mut guest);
        assert_eq!(noted(), "stuck waiter ok empty");
    }

    #[test]
    fn is_stuck_when_the_last_waker_has_been_dropped() {
        let (mut guest, _) = by_hand();
        let (_task, sender) = awaited(&guest);
        guest.create_task(pending::<Result<()>>());
        turn(&mut guest);
        drop(sender);
        turn(&mut guest);
        assert_eq!(noted(), "await stuck");
    }

    /// Woken from outside, in the order of arrival, before the timers: section 3.
    #[test]
    fn takes_wakes_then_timers_behind_what_is_ready() {
        let (mut guest, now) = by_hand();
        guest.create_task(tell("timer", nap(1)));
        let (tasks, senders): (Vec<_>, Vec<_>) = (0..2).map(|_| awaited(&guest)).unzip();
        for (name, task) in ["a", "b"].into_iter().zip(tasks) {
            guest.create_task(tell(name, task));
        }
        turn(&mut guest);
        guest.create_task(ticks(4));
        now.set(secs(1));
        thread::spawn(|| {
            senders
                .into_iter()
                .rev()
                .for_each(|sender| sender.send(()).expect("it is received"))
        })
        .join()
        .expect("no panic");
        for _ in 0..4 {
            turn(&mut guest);
        }
        assert_eq!(
            noted(),
            "until-1 t0 more t1 b ok a ok timer ok more t2 more t3 more"
        );
    }

    #[test]
    fn on_the_virtual_clock_begins_with_the_jump() {
        let mut guest = EventLoop::with_virtual_clock();
        guest.create_task(async {
            nap(3600).await?;
            note(time().as_secs());
            Ok(())
        });
        turn(&mut guest);
        note(guest.time().as_secs());
        turn(&mut guest);
        turn(&mut guest);
        assert_eq!(noted(), "until-3600 0 more 3600 empty");
    }

    #[test]
    #[should_panic(expected = "run() cannot be called from a running event loop")]
    fn inside_a_turn_is_refused() {
        let (mut guest, _) = by_hand();
        guest.create_task(async {
            let _never = EventLoop::new().turn();
            Ok(())
        });
        let _never = guest.turn();
    }

    #[test]
    fn may_be_followed_by_a_run() {
        let mut guest = EventLoop::with_virtual_clock();
        guest.create_task(tell("early", nap(5)));
        turn(&mut guest);
        let ran = guest.run(async {
            note(current_task().expect("a task runs").name());
            nap(1).await
        });
        note(outcome(ran));
        turn(&mut guest);
        assert_eq!(noted(), "until-5 Task-2 early CancelledError ok empty");
    }

    #[test]
    fn that_panics_drops_the_tasks_and_leaves_a_loop_that_turns() {
        let (mut guest, _) = by_hand();
        guest.create_task(async {
            let _held = NoteOnDrop("dropped");
            pending::<Result<()>>().await
        });
        guest.create_task(async {
            turns(1).await?;
            panic!("a bug") as Result<()>
        });
        turn(&mut guest);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guest.turn()));
        assert!(caught.is_err());
        guest.create_task(say("again"));
        turn(&mut guest);
        assert_eq!(noted(), "more dropped again empty");
    }
}

mod run_until_stalled {
    use super::*;

    #[test]
    fn takes_as_many_turns_as_it_may() {
        let (mut guest, _) = by_hand();
        guest.create_task(ticks(5));
        note(word(&guest.run_until_stalled(2)));
        note(word(&guest.run_until_stalled(2)));
        note(word(&guest.run_until_stalled(2)));
        assert_eq!(noted(), "t0 t1 more t2 t3 more t4 empty");
    }

    #[test]
    fn takes_none_if_it_may_not_and_says_how_things_stand() {
        let (mut guest, _) = by_hand();
        note(word(&guest.run_until_stalled(0)));
        guest.create_task(nap(1));
        note(word(&guest.run_until_stalled(0)));
        turn(&mut guest);
        note(word(&guest.run_until_stalled(0)));
        assert_eq!(noted(), "empty more until-1 until-1");
    }

    #[test]
    fn stops_where_there_is_nothing_to_do() {
        let (mut guest, now) = by_hand();
        guest.create_task(tell("nap", nap(1)));
        note(word(&guest.run_until_stalled(usize::MAX)));
        now.set(secs(1));
        note(word(&guest.run_until_stalled(usize::MAX)));
        assert_eq!(noted(), "until-1 nap ok empty");
    }
}

mod with_clock {
    use super::*;

    #[test]
    fn time_is_the_hosts() {
        let (mut guest, now) = by_hand();
        now.set(secs(100));
        guest.create_task(async {
            note(time().as_secs());
            nap(1).await?;
            note(time().as_secs());
            Ok(())
        });
        turn(&mut guest);
        now.set(secs(250));
        note(guest.time().as_secs());
        turn(&mut guest);
        turn(&mut guest);
        assert_eq!(noted(), "100 until-101 250 more 250 empty");
    }

    /// A turn asks once if a timer is set, a sleep and a timeout once each, and a bare yield not at all.
    #[test]
    fn the_clock_is_asked_no_oftener_than_needed() {
        let asked = Rc::new(Cell::new(0));
        let counted = Rc::clone(&asked);
        let mut guest = EventLoop::with_clock(move || {
            counted.set(counted.get() + 1);
            Duration::ZERO
        });
        let asked_by = |guest: &mut EventLoop| {
            let _turn = guest.turn();
            asked.take()
        };
        let idle = asked_by(&mut guest);
        guest.create_task(turns(1));
        let yielding = asked_by(&mut guest);
        guest.create_task(nap(1));
        let sleeping = asked_by(&mut guest);
        guest.create_task(wait_for(Event::new().wait(), secs(1)));
        let limited = asked_by(&mut guest);
        assert_eq!((idle, yielding, sleeping, limited), (0, 0, 1, 2));
    }

    /// It is user code, and so never runs under a borrow.
    #[test]
    fn the_clock_may_call_the_crate() {
        let (lock, event) = (Lock::new(), Event::new());
        let (by_clock, set) = (lock.clone(), event.clone());
        let mut guest = EventLoop::with_clock(move || {
            let held = by_clock.enter().now_or_never();
            set.set();
            current_task().inspect(|task| drop(task.name()));
            drop(held);
            Duration::ZERO
        });
        let task = guest.create_task(async move {
            event.wait().await?;
            lock.acquire().await
        });
        guest.create_task(async { Ok(soloop::time()) });
        assert!(matches!(guest.run_until_stalled(9), Turn::Empty));
        assert!(result_of(task).is_ok());
    }

    /// Not when turns follow in a row either.
    #[test]
    fn the_clock_may_call_the_crate_between_two_turns_of_a_run() {
        let asked = Rc::new(Cell::new(0));
        let counted = Rc::clone(&asked);
        let mut host = EventLoop::with_clock(move || {
            assert_eq!(soloop::tasks().iter().count(), 1);
            counted.set(counted.get() + 1);
            Duration::ZERO
        });
        let ran = host.run(async {
            let mut alarm = pin!(nap(1));
            start(&mut alarm).await;
            asked.set(0);
            turns(3).await?;
            note(asked.get());
            Ok(())
        });
        assert_eq!((ran.is_ok(), noted().as_str()), (true, "3"));
    }
}

mod create_task {
    use super::*;

    #[test]
    fn before_between_and_after_turns() {
        let (mut guest, _) = by_hand();
        let names = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..3 {
            let names = Rc::clone(&names);
            guest.create_task(async move {
                let name = current_task().expect("a task runs").name();
                names.borrow_mut().push(name);
                Ok(())
            });
            turn(&mut guest);
        }
        assert_eq!(noted(), "empty empty empty");
        assert_eq!(names.take(), ["Task-1", "Task-2", "Task-3"]);
    }

    #[test]
    fn gives_a_task_whose_result_can_be_had_outside() {
        let (mut guest, _) = by_hand();
        let kept = guest.create_task(async { Ok(6 * 7) });
        let failed = guest.create_task(async { Err::<(), _>(Error::Value("no".into())) });
        turn(&mut guest);
        assert_eq!(result_of(kept).expect("it ended well"), 42);
        assert_eq!(outcome(result_of(failed)), "ValueError: no");
    }

    #[test]
    fn needs_no_running_loop_and_may_cancel_at_once() {
        let (mut guest, _) = by_hand();
        let task = guest.create_task(say("never"));
        assert!(task.cancel());
        turn(&mut guest);
        assert_eq!(noted(), "empty");
        assert!(task.cancelled());
    }

    #[test]
    fn puts_tasks_into_another_loop_than_the_running_one() {
        let (mut guest, _) = by_hand();
        let other = EventLoop::with_virtual_clock();
        let mut other = {
            let slot = Rc::new(RefCell::new(Some(other)));
            let taken = Rc::clone(&slot);
            guest.create_task(async move {
                let other = taken.take().expect("it is there");
                other.create_task(say("other"));
                taken.replace(Some(other));
                note("guest");
                Ok(())
            });
            turn(&mut guest);
            slot.take().expect("it was put back")
        };
        turn(&mut other);
        assert_eq!(noted(), "guest empty other empty");
    }

    #[test]
    fn is_dropped_with_its_loop() {
        let (guest, _) = by_hand();
        let held = NoteOnDrop("dropped");
        let task = guest.create_task(async move {
            let _held = held;
            Ok(())
        });
        drop(guest);
        note(outcome(result_of(task)));
        assert_eq!(noted(), "dropped CancelledError");
    }
}

mod shutdown {
    use super::*;

    #[test]
    fn cancels_what_is_left_in_the_order_of_creation() {
        let (mut guest, _) = by_hand();
        for (name, delay) in [("a", 3), ("b", 1), ("c", 2)] {
            guest.create_task(tell(name, nap(delay)));
        }
        turn(&mut guest);
        note(word(&guest.shutdown()));
        turn(&mut guest);
        assert_eq!(
            noted(),
            "until-1 more a CancelledError b CancelledError c CancelledError empty"
        );
    }

    #[test]
    fn takes_the_turns_that_cleaning_up_takes() {
        let (mut guest, now) = by_hand();
        guest.create_task(async {
            tell("task", nap(99)).await?;
            tell("clean-up", nap(1)).await
        });
        turn(&mut guest);
        note(word(&guest.shutdown()));
        turn(&mut guest);
        now.set(secs(1));
        note(word(&guest.run_until_stalled(9)));
        assert_eq!(
            noted(),
            "until-99 more task CancelledError until-1 clean-up ok empty"
        );
    }

    #[test]
    fn never_starts_what_had_not_begun() {
        let (mut guest, _) = by_hand();
        let task = guest.create_task(say("never"));
        note(word(&guest.shutdown()));
        turn(&mut guest);
        assert_eq!(noted(), "more empty");
        assert!(task.cancelled());
    }

    #[test]
    fn of_an_empty_loop_is_over_at_once() {
        assert!(matches!(by_hand().0.shutdown(), Turn::Empty));
    }

    #[test]
    fn called_again_cancels_the_cleaning_up() {
        let (mut guest, _) = by_hand();
        guest.create_task(async {
            tell("task", nap(99)).await?;
            tell("clean-up", nap(99)).await
        });
        turn(&mut guest);
        for _ in 0..2 {
            note(word(&guest.shutdown()));
            turn(&mut guest);
        }
        assert_eq!(
            noted(),
            "until-99 more task CancelledError until-99 more clean-up CancelledError empty"
        );
    }

    #[test]
    fn reports_what_the_cancelled_raise_instead() {
        let (mut guest, _) = by_hand();
        guest.set_exception_handler(note_failure);
        for name in ["first", "second"] {
            guest.create_task(async move {
                let _cancelled = nap(99).await;
                Err::<(), _>(Error::Value(name.into()))
            });
        }
        turn(&mut guest);
        note(word(&guest.shutdown()));
        turn(&mut guest);
        assert_eq!(
            noted(),
            "until-99 more \
             unhandled exception during asyncio.run() shutdown: Task-1 raised ValueError: first \
             unhandled exception during asyncio.run() shutdown: Task-2 raised ValueError: second \
             empty"
        );
    }

    /// asyncio's `gather` tells `run`, and that takes two turns.
    #[test]
    fn reports_that_when_run_would() {
        let (mut guest, _) = by_hand();
        guest.set_exception_handler(note_failure);
        guest.create_task(async {
            let _cancelled = nap(99).await;
            create_task(ticks(3));
            Err::<(), _>(Error::Value("no".into()))
        });
        turn(&mut guest);
        let _more = guest.shutdown();
        for _ in 0..4 {
            turn(&mut guest);
        }
        assert_eq!(
            noted(),
            "until-99 more t0 more t1 \
             unhandled exception during asyncio.run() shutdown: Task-1 raised ValueError: no \
             more t2 more"
        );
    }

    /// Not in the order in which they end.
    #[test]
    fn reports_in_the_order_of_creation_once_all_have_ended() {
        let (mut guest, now) = by_hand();
        guest.set_exception_handler(|failure| note(failure.name()));
        for clean_up in [2, 1] {
            guest.create_task(async move {
                let _cancelled = nap(99).await;
                tell("clean-up", nap(clean_up)).await?;
                Err::<(), _>(Error::Value("mine".into()))
            });
        }
        turn(&mut guest);
        let _more = guest.shutdown();
        for seconds in 0..3 {
            now.set(secs(seconds));
            note(word(&guest.run_until_stalled(9)));
        }
        assert_eq!(
            noted(),
            "until-99 until-1 clean-up ok until-2 clean-up ok Task-1 Task-2 empty"
        );
    }

    #[test]
    fn leaves_a_loop_that_takes_new_tasks() {
        let (mut guest, _) = by_hand();
        guest.create_task(tell("old", nap(1)));
        turn(&mut guest);
        let _more = guest.shutdown();
        guest.create_task(ticks(2));
        turn(&mut guest);
        turn(&mut guest);
        assert_eq!(noted(), "until-1 old CancelledError t0 more t1 more");
    }
}

mod spawner {
    use super::*;
    use futures::task::{LocalSpawn, LocalSpawnExt};

    /// As a library would, that knows nothing of soloop.
    fn answer_on(spawner: &impl LocalSpawn, sender: oneshot::Sender<i32>) {
        spawner
            .spawn_local(async { sender.send(6 * 7).expect("it is received") })
            .expect("the loop is there");
    }

    #[test]
    fn spawns_for_code_that_is_generic() {
        let mut guest = EventLoop::with_virtual_clock();
        let spawner = guest.spawner();
        let answer = guest.run(async move {
            let (sender, receiver) = oneshot::channel();
            answer_on(&spawner, sender);
            receiver.await.map_err(Error::other)
        });
        assert_eq!(answer.expect("main ends well"), 42);
    }

    #[test]
    fn spawns_before_and_between_turns_with_a_handle() {
        let (mut guest, _) = by_hand();
        let spawner = guest.spawner().clone();
        for n in 0..2 {
            let handle = spawner.spawn_local_with_handle(async move {
                let slept = sleep(Duration::ZERO).await;
                note(format_args!("task{n} {}", outcome(slept)));
                n
            });
            note(word(&guest.run_until_stalled(9)));
            note(
                handle
                    .expect("the loop is there")
                    .now_or_never()
                    .expect("it is done"),
            );
        }
        assert_eq!(noted(), "task0 ok empty 0 task1 ok empty 1");
    }

    #[test]
    fn of_a_loop_that_is_gone_says_so() {
        let (guest, _) = by_hand();
        let spawner = guest.spawner();
        assert!(spawner.status_local().is_ok());
        let _outlives_it = guest.create_task(nap(1));
        drop(guest);
        assert!(
            spawner
                .status_local()
                .is_err_and(|error| error.is_shutdown())
        );
        let spawned = spawner.spawn_local(async { note("never") });
        assert!(spawned.is_err_and(|error| error.is_shutdown()));
        assert_eq!(noted(), "");
    }

    #[test]
    fn does_not_keep_its_loop() {
        let (guest, _) = by_hand();
        let spawner = guest.spawner();
        spawner
            .spawn_local(async {
                let _held = NoteOnDrop("dropped");
                pending::<()>().await
            })
            .expect("the loop is there");
        let mut guest = guest;
        turn(&mut guest);
        drop(guest);
        assert_eq!(noted(), "stuck dropped");
    }
}

mod remote {
    use super::*;

    fn handle_of(guest: &EventLoop) -> TaskHandle {
        guest.create_task(tell("task", nap(99))).handle()
    }

    #[test]
    fn goes_to_other_threads() {
        fn travels<T: Send + Sync + Clone + 'static>(_: &T) {}
        let (guest, _) = by_hand();
        travels(&handle_of(&guest).remote());
    }

    #[test]
    fn cancels_from_another_thread() {
        let (mut guest, _) = by_hand();
        let remote = handle_of(&guest).remote();
        turn(&mut guest);
        thread::spawn(move || remote.cancel())
            .join()
            .expect("no panic");
        turn(&mut guest);
        assert_eq!(noted(), "until-99 task CancelledError empty");
    }

    #[test]
    fn cancels_what_a_run_is_parked_for() {
        let begun = std::time::Instant::now();
        let stopped = soloop::run(async {
            let remote = current_task().expect("a task runs").remote();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(10));
                remote.cancel();
            });
            nap(3600).await
        });
        assert_eq!(outcome(stopped), "CancelledError");
        assert!(begun.elapsed() < secs(600));
    }

    #[test]
    fn counts_each_request() {
        let (mut guest, _) = by_hand();
        let task = handle_of(&guest);
        turn(&mut guest);
        let remote = task.remote();
        thread::spawn(move || (0..3).for_each(|_| remote.clone().cancel()))
            .join()
            .expect("no panic");
        turn(&mut guest);
        assert_eq!(task.cancelling(), 3);
    }

    #[test]
    fn cancels_at_once_during_a_turn_of_its_own_loop() {
        let trace = trace_of(async {
            let task = create_task(tell("task", nap(99)));
            turns(1).await?;
            task.remote().cancel();
            note(task.cancelling());
            ticks(2).await
        });
        assert_eq!(trace, "1 t0 task CancelledError t1");
    }

    #[test]
    fn cancels_between_turns_with_the_next_one() {
        let (mut guest, _) = by_hand();
        let task = handle_of(&guest);
        turn(&mut guest);
        task.remote().cancel();
        note(task.cancelling());
        turn(&mut guest);
        note(task.cancelling());
        assert_eq!(noted(), "until-99 0 task CancelledError empty 1");
    }

    #[test]
    fn does_nothing_to_a_task_that_has_ended_or_a_loop_that_is_gone() {
        let (mut guest, _) = by_hand();
        let ended = guest.create_task(say("ended")).handle();
        let left = handle_of(&guest);
        let (to_ended, to_left) = (ended.remote(), left.remote());
        turn(&mut guest);
        to_ended.cancel();
        turn(&mut guest);
        drop(guest);
        to_ended.cancel();
        to_left.cancel();
        let late = left.remote();
        late.cancel();
        assert_eq!(noted(), "ended until-99 until-99");
        assert_eq!((ended.cancelling(), ended.cancelled()), (0, false));
    }

    #[test]
    fn does_not_reach_the_next_task_in_the_same_place() {
        let (mut guest, _) = by_hand();
        let remote = guest.create_task(say("old")).remote();
        turn(&mut guest);
        guest.create_task(tell("new", nap(1)));
        remote.cancel();
        turn(&mut guest);
        turn(&mut guest);
        assert_eq!(noted(), "old empty until-1 until-1");
    }

    #[test]
    fn keeps_its_task_from_being_stuck() {
        let (mut guest, _) = by_hand();
        let task = guest.create_task(tell("task", Event::new().wait()));
        let remotes = [task.remote(), task.remote()];
        turn(&mut guest);
        let [first, second] = remotes;
        drop(first);
        turn(&mut guest);
        drop(second);
        turn(&mut guest);
        assert_eq!(noted(), "await await stuck");
    }
}

fn note_failure(failure: &soloop::TaskFailure) {
    note(failure);
}
