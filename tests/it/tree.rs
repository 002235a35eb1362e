//! `tasks()`: who awaits whom, and what each waits for.

use std::{cell::RefCell, rc::Rc, time::Duration};

use soloop::{
    Event, EventLoop, Lock, Result, Semaphore, Task, create_task, sleep, tasks, wait_for,
    wrap_future,
};

/// What the running loop's tree prints once everybody has begun to wait.
async fn settled_tree() -> Result<String> {
    for _ in 0..3 {
        sleep(Duration::ZERO).await?;
    }
    Ok(tasks().to_string())
}

async fn wrap(task: Task<()>) -> Result<()> {
    task.await
}

fn tree_of<F: Future<Output = Result<String>>>(main: F) -> String {
    EventLoop::with_virtual_clock().run(main).unwrap()
}

#[test]
fn says_of_each_wait_what_it_is_for() {
    let printed = tree_of(async {
        let desks = Semaphore::new(0).named("desks");
        create_task(desks.acquire());
        create_task(sleep(Duration::from_secs(5)));
        create_task(wrap_future(std::future::pending::<()>()));
        create_task(wait_for(Event::new().wait(), Duration::from_secs(1)));
        settled_tree().await
    });
    assert_eq!(
        printed,
        "Task-1 is running\n\
         Task-2 waits for <Semaphore 'desks' [locked, waiters:1]>\n\
         Task-3 waits for a timer due at 5s\n\
         Task-4 waits for a future from elsewhere\n\
         Task-5 waits for <Event [unset, waiters:1]>"
    );
}

/// A timeout of zero takes two turns to say no, as in asyncio.
#[test]
fn says_of_a_hop_that_it_waits_for_its_next_turn() {
    let printed = tree_of(async {
        create_task(wait_for(Event::new().wait(), Duration::ZERO));
        sleep(Duration::ZERO).await?;
        Ok(tasks().to_string())
    });
    assert_eq!(printed, "Task-1 is running\nTask-2 waits for its next turn");
}

#[test]
fn says_of_a_sleep_for_ever_that_its_timer_is_due_then() {
    let printed = tree_of(async {
        create_task(sleep(Duration::MAX));
        settled_tree().await
    });
    let due = format!("Task-2 waits for a timer due at {:?}", Duration::MAX);
    assert_eq!(printed, format!("Task-1 is running\n{due}"));
}

#[test]
fn puts_the_awaited_below_whoever_awaits_them() {
    let printed = tree_of(async {
        let never = Event::new();
        let inner = create_task(never.wait());
        let middle = create_task(wrap(inner));
        let other = create_task(never.wait());
        let both = create_task(async move {
            let (one, two) = futures::join!(middle, other);
            one.and(two)
        });
        both.set_name("both");
        settled_tree().await
    });
    assert_eq!(
        printed,
        "Task-1 is running\n\
         both waits for <Task pending name='Task-3'> and <Task pending name='Task-4'>\n\
         ├── Task-3 waits for <Task pending name='Task-2'>\n\
         │   └── Task-2 waits for <Event [unset, waiters:2]>\n\
         └── Task-4 waits for <Event [unset, waiters:2]>"
    );
}

#[test]
fn prints_a_circle_once() {
    type Handed = Rc<RefCell<Option<Task<()>>>>;
    async fn take_and_await(handed: Handed) -> Result<()> {
        let other = handed.take().expect("it was handed over");
        other.await
    }
    let mut host = EventLoop::new();
    let (first, second) = (Handed::default(), Handed::default());
    let one = host.create_task(take_and_await(Rc::clone(&first)));
    let two = host.create_task(take_and_await(Rc::clone(&second)));
    (*first.borrow_mut(), *second.borrow_mut()) = (Some(two), Some(one));
    let _ = host.run_until_stalled(10);
    assert_eq!(
        host.tasks().to_string(),
        "Task-1 waits for <Task pending name='Task-2'>\n\
         └── Task-2 waits for <Task pending name='Task-1'>"
    );
}

#[test]
fn a_chain_of_a_thousand_is_no_recursion() {
    let mut deep = EventLoop::with_virtual_clock();
    let never = Event::new();
    let mut last = deep.create_task(never.wait());
    for _ in 0..1_000 {
        last = deep.create_task(wrap(last));
    }
    let _ = deep.run_until_stalled(10);
    let printed = deep.tasks().to_string();
    assert_eq!(printed.lines().count(), 1_001);
}

#[test]
fn a_host_sees_the_loops_tasks_between_turns() {
    let mut host = EventLoop::new();
    let lock = Lock::new();
    host.create_task(lock.acquire());
    let waiting = host.create_task(lock.acquire());
    let before: Vec<_> = host.tasks().iter().map(|(_, how)| how.to_owned()).collect();
    let _ = host.run_until_stalled(10);
    assert_eq!(before, ["is ready", "is ready"]);
    assert_eq!(
        host.tasks().iter().collect::<Vec<_>>(),
        [("Task-2", "waits for <Lock [locked, waiters:1]>")]
    );
    drop(waiting);
}

#[test]
#[should_panic(expected = "no running event loop")]
fn outside_any_loop_there_are_none_to_list() {
    let _ = tasks();
}
