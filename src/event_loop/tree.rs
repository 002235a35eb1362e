//! Who awaits whom: the tasks of a loop at one moment, as a list and as a tree.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::{EventLoop, Loop, key::TaskKey, state::State};
use crate::{
    error::NO_RUNNING_LOOP,
    task::QUEUED,
    waiter::{Kind, Waits},
};

/// Lists the tasks of the running loop that have not ended, with what each waits for.
///
/// The counterpart of `asyncio.all_tasks`, and printed, of `python -m asyncio pstree`.
///
/// # Panics
/// If no loop is running on this thread.
///
/// # Examples
/// ```
/// use soloop::{Lock, create_task};
///
/// soloop::run(async {
///     let lock = Lock::new().named("db");
///     lock.acquire().await?;
///     let waiting = create_task(lock.acquire());
///     create_task(async move { waiting.await }).set_name("backup");
///     soloop::sleep(std::time::Duration::ZERO).await?;
///     assert_eq!(soloop::tasks().to_string(), "\
/// Task-1 is running
/// backup waits for <Task pending name='Task-2'>
/// └── Task-2 waits for <Lock 'db' [locked, waiters:1]>");
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[must_use]
pub fn tasks() -> TaskTree {
    match Loop::current() {
        Some(running) => running.task_tree(),
        None => panic!("{NO_RUNNING_LOOP}"),
    }
}

impl EventLoop {
    /// Lists the tasks of this loop that have not ended, for a host between two turns: see [`tasks`].
    ///
    /// # Examples
    /// ```
    /// use soloop::{Event, EventLoop, Turn};
    ///
    /// let mut castle = EventLoop::with_virtual_clock();
    /// let alarm = Event::new().named("alarm");
    /// castle.create_task(alarm.wait()).set_name("guard");
    /// assert!(matches!(castle.turn(), Turn::Stuck(_))); // until the host rings it
    /// assert_eq!(castle.tasks().to_string(), "guard waits for <Event 'alarm' [unset, waiters:1]>");
    /// ```
    #[must_use]
    pub fn tasks(&self) -> TaskTree {
        self.shared.task_tree()
    }
}

/// The tasks of a loop at one moment: [`tasks`].
///
/// Prints as a tree, in which those that are awaited stand below whoever awaits them.
///
/// # Examples
/// ```
/// use soloop::{Result, create_task, sleep, tasks};
///
/// async fn serve() -> Result<()> {
///     create_task(sleep(std::time::Duration::ZERO)).await
/// }
/// soloop::run(async {
///     let before = tasks();
///     serve().await?;
///     assert_eq!(tasks(), before, "it has left a task behind");
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskTree {
    /// In the order of creation.
    tasks: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    status: String,
    /// The places of those that it awaits.
    awaits: Vec<usize>,
    is_awaited: bool,
}

impl TaskTree {
    /// The tasks in the order of their creation: the name of each, and how it stands: `is running`, `is ready`, or
    /// `waits for <Event [unset, waiters:1]>`.
    ///
    /// # Examples
    /// ```
    /// let idle = soloop::EventLoop::new();
    /// idle.create_task(async { Ok(()) });
    /// let tasks = idle.tasks();
    /// assert_eq!(tasks.iter().collect::<Vec<_>>(), [("Task-1", "is ready")]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let tasks = self.tasks.iter();
        tasks.map(|task| (task.name.as_str(), task.status.as_str()))
    }

    /// The tasks in the order in which they print, with what stands before each.
    fn lines(&self) -> Vec<(String, &Entry)> {
        let mut lines = Vec::new();
        let mut printed = vec![false; self.tasks.len()];
        // A circle of tasks has no beginning: its eldest is taken for it.
        let roots = |is_awaited| {
            let tasks = self.tasks.iter().enumerate();
            tasks.filter(move |(_, task)| task.is_awaited == is_awaited)
        };
        for (root, _) in roots(false).chain(roots(true)) {
            // A list and no recursion: a chain of awaits may be long.
            let mut todo = vec![(root, String::new(), String::new())];
            while let Some((place, before, below)) = todo.pop() {
                if std::mem::replace(&mut printed[place], true) {
                    continue;
                }
                let task = &self.tasks[place];
                lines.push((before, task));
                for (n, &awaited) in task.awaits.iter().enumerate().rev() {
                    let is_last = n + 1 == task.awaits.len();
                    let (branch, trunk) = if is_last {
                        ("└── ", "    ")
                    } else {
                        ("├── ", "│   ")
                    };
                    todo.push((
                        awaited,
                        format!("{below}{branch}"),
                        format!("{below}{trunk}"),
                    ));
                }
            }
        }
        lines
    }
}

impl fmt::Display for TaskTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (before, task)) in self.lines().into_iter().enumerate() {
            let line_break = if n > 0 { "\n" } else { "" };
            write!(f, "{line_break}{before}{} {}", task.name, task.status)?;
        }
        Ok(())
    }
}

/// How a task stands, as the state knows it.
struct Found {
    key: TaskKey,
    name: String,
    standing: Standing,
    awaits: Vec<TaskKey>,
}

enum Standing {
    Running,
    Ready,
    Waiting(Waits),
}

impl Loop {
    fn task_tree(&self) -> TaskTree {
        let found = self.look(State::find_tasks);
        let places: HashMap<TaskKey, usize> = found
            .iter()
            .enumerate()
            .map(|(n, task)| (task.key, n))
            .collect();
        let awaits: Vec<Vec<usize>> = found
            .iter()
            .map(|task| {
                task.awaits
                    .iter()
                    .filter_map(|key| places.get(key).copied())
                    .collect()
            })
            .collect();
        let awaited: HashSet<usize> = awaits.iter().flatten().copied().collect();
        // A primitive's `Debug` looks into the state, which has to be closed for it.
        let entries = found
            .into_iter()
            .zip(awaits)
            .enumerate()
            .map(|(n, (task, awaits))| Entry {
                name: task.name,
                status: match task.standing {
                    Standing::Running => "is running".into(),
                    Standing::Ready => "is ready".into(),
                    Standing::Waiting(waits) => format!("waits for {}", waits.describe()),
                },
                awaits,
                is_awaited: awaited.contains(&n),
            });
        TaskTree {
            tasks: entries.collect(),
        }
    }
}

impl State {
    fn find_tasks(&self) -> Vec<Found> {
        let tasks = self.in_order_of_creation().into_iter();
        tasks.map(|key| self.find_task(key)).collect()
    }

    fn find_task(&self, key: TaskKey) -> Found {
        let slot = self.slot(key);
        let awaited = self.awaited(slot.youngest, slot.last_step);
        let awaits = awaited
            .iter()
            .filter_map(|waiter| match self.waiter(*waiter).kind {
                Kind::Join { task } => Some(task),
                _ => None,
            });
        let standing = match slot.flags {
            _ if self.here.is(key) => Standing::Running,
            flags if flags.has(QUEUED) => Standing::Ready,
            _ => Standing::Waiting(self.waits(slot.youngest, slot.last_step)),
        };
        Found {
            key,
            name: self.name(key),
            awaits: match standing {
                Standing::Waiting(_) => awaits.collect(),
                _ => Vec::new(),
            },
            standing,
        }
    }
}
