//! The deadlock answer: who is stuck, and on what.

use std::fmt;

/// The tasks that can never run again, and what the code of each waits for.
///
/// asyncio has no counterpart, and hangs. [`run`](crate::run) makes one when nothing is ready, no timer is set and nobody is left
/// who could wake a task from outside, and returns it in [`Error::Deadlock`](crate::Error::Deadlock). Prints a line for each task.
///
/// # Examples
/// ```
/// use soloop::{Error, Lock};
///
/// let stuck = soloop::run(async {
///     let lock = Lock::new();
///     lock.acquire().await?;
///     lock.acquire().await // nobody will ever release it
/// });
/// let Err(Error::Deadlock(report)) = stuck else { panic!("it hangs") };
/// assert_eq!(report.to_string(), "Task-1 waits for <Lock [locked, waiters:1]>");
/// assert_eq!(report.tasks().next(), Some(("Task-1", "<Lock [locked, waiters:1]>")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadlockReport {
    tasks: Vec<(String, String)>,
}

impl DeadlockReport {
    pub(crate) fn new(tasks: Vec<(String, String)>) -> Self {
        Self { tasks }
    }

    /// The stuck tasks in the order of their creation: the name of each, and what it waits for.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Error, Event, Lock, create_task};
    ///
    /// let stuck = soloop::run(async {
    ///     let printer = Lock::new().named("printer");
    ///     let _held = printer.enter().await?;
    ///     create_task(printer.acquire()).set_name("letter");
    ///     Event::new().wait().await
    /// });
    /// let Err(Error::Deadlock(report)) = stuck else { panic!("it hangs") };
    /// let mut before_the_printer = report.tasks().filter(|(_, what)| what.contains("'printer'"));
    /// assert_eq!(before_the_printer.next().map(|(name, _)| name), Some("letter"));
    /// ```
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tasks
            .iter()
            .map(|(name, what)| (name.as_str(), what.as_str()))
    }
}

impl fmt::Display for DeadlockReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, what)) in self.tasks().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{name} waits for {what}")?;
        }
        Ok(())
    }
}
