//! The probe: what a body under test has of its explorer.

use std::{cell::RefCell, collections::VecDeque, fmt, rc::Rc};

use super::course::Course;
use crate::{error::Result, event_loop::Loop, sync::Event, trace::EventKind};

/// What a body has of the explorer that runs it: invariants, choices of its own, and a way to wait for the others.
///
/// Clones are the same probe.
///
/// # Examples
/// ```
/// use soloop::{Event, create_task, testing::Explorer};
///
/// Explorer::new().reorder(1).check(|probe| async move {
///     let bell = Event::new();
///     let listener = create_task(bell.wait());
///     if probe.choose(2) == 1 {
///         probe.settled().await?; // in half of the runs somebody listens already
///     }
///     bell.set();
///     listener.await
/// });
/// ```
#[derive(Clone)]
pub struct Probe(Rc<Shared>);

pub(super) struct Shared {
    pub(super) course: RefCell<Course>,
    invariants: RefCell<Vec<Invariant>>,
    /// Set when everybody else stands still, one after the other.
    settlers: RefCell<VecDeque<Event>>,
}

type Invariant = (&'static str, Rc<dyn Fn() -> bool>);

impl Probe {
    /// Has something asked after every step, which should hold all the time. It may call anything of the crate.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Semaphore, testing::{Explorer, FailureKind}};
    ///
    /// let report = Explorer::new().explore(|probe| async move {
    ///     let desks = Semaphore::new(1);
    ///     let seen = desks.clone();
    ///     probe.invariant("a desk is free", move || !seen.locked());
    ///     desks.acquire().await
    /// });
    /// assert!(matches!(report.failure.unwrap().kind, FailureKind::Invariant));
    /// ```
    pub fn invariant(&self, name: &'static str, holds: impl Fn() -> bool + 'static) {
        self.0.invariants.borrow_mut().push((name, Rc::new(holds)));
    }

    /// Returns a number below `n`: `0` in a run that departs from nothing, and every other in some run of a search.
    ///
    /// For what the test leaves open itself: which message comes, whether the peer is slow. Does not count as a departure.
    ///
    /// # Panics
    /// If `n` is zero.
    ///
    /// # Examples
    /// ```
    /// use {soloop::testing::Explorer, std::{cell::RefCell, collections::BTreeSet}};
    ///
    /// let seen = RefCell::new(BTreeSet::new());
    /// let report = Explorer::new().explore(|probe| {
    ///     let seen = &seen;
    ///     async move {
    ///         seen.borrow_mut().insert((probe.choose(2), probe.choose(3)));
    ///         Ok(())
    ///     }
    /// });
    /// assert_eq!((report.runs, seen.into_inner().len()), (6, 6));
    /// ```
    #[must_use]
    pub fn choose(&self, n: usize) -> usize {
        assert!(n > 0, "there is nothing to choose from");
        let chosen = self.0.course.borrow_mut().choose(n);
        if let (true, Some(home)) = (chosen > 0, Loop::current()) {
            let text = format!("{chosen} is chosen of {n}");
            home.open(|state| state.write_current(EventKind::Departed { text }));
        }
        chosen
    }

    /// Waits until every other task stands still: nothing is ready, and the next thing to happen is a deadline, if anything.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) as below.
    ///
    /// # Cancellation
    /// The wait is over, and nothing else has changed.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Lock, create_task, testing::Explorer};
    ///
    /// Explorer::new().check(|probe| async move {
    ///     let lock = Lock::new();
    ///     lock.acquire().await?;
    ///     let waiting = create_task(lock.acquire());
    ///     probe.settled().await?;
    ///     assert_eq!(format!("{lock:?}"), "<Lock [locked, waiters:1]>");
    ///     lock.release()?;
    ///     waiting.await
    /// });
    /// ```
    pub async fn settled(&self) -> Result<()> {
        let still = Event::new().named("all others stand still");
        self.0.settlers.borrow_mut().push_back(still.clone());
        still.wait().await
    }

    /// Writes something down in the timeline.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Error, testing::Explorer};
    ///
    /// let report = Explorer::new().explore(|probe| async move {
    ///     probe.note("the till has 3 coins");
    ///     Err(Error::other("4 were expected"))
    /// });
    /// let story = report.failure.unwrap().to_string();
    /// assert!(story.contains("the till has 3 coins"));
    /// ```
    pub fn note(&self, text: impl fmt::Display) {
        if let Some(home) = Loop::current() {
            if home.look(|state| state.journal.is_some()) {
                let text = text.to_string();
                home.open(|state| state.write_current(EventKind::Note { text }));
            }
        }
    }
}

impl Probe {
    pub(super) fn new(course: Course) -> Self {
        Self(Rc::new(Shared {
            course: RefCell::new(course),
            invariants: RefCell::default(),
            settlers: RefCell::default(),
        }))
    }

    pub(super) fn course(&self) -> &RefCell<Course> {
        &self.0.course
    }

    /// The first invariant that does not hold.
    #[inline]
    pub(super) fn broken_invariant(&self) -> Option<&'static str> {
        match self.0.invariants.borrow().len() {
            0 => None,
            count => self.ask_all(count),
        }
    }

    #[inline(never)]
    fn ask_all(&self, count: usize) -> Option<&'static str> {
        (0..count).find_map(|place| self.ask(place))
    }

    /// The name of an invariant, if it does not hold.
    fn ask(&self, place: usize) -> Option<&'static str> {
        // User code, asked while nothing is borrowed.
        let (name, holds) = self.0.invariants.borrow()[place].clone();
        (!holds()).then_some(name)
    }

    /// Whether anybody waits for everybody to stand still.
    pub(super) fn has_settlers(&self) -> bool {
        !self.0.settlers.borrow().is_empty()
    }

    /// Everybody stands still: whoever has waited for that longest goes on. Says whether somebody does.
    pub(super) fn settle(&self, home: &Loop) -> bool {
        loop {
            let Some(longest) = self.0.settlers.borrow_mut().pop_front() else {
                return false;
            };
            longest.set();
            if home.look(|state| !state.ready.is_empty()) {
                return true;
            }
        }
    }

    /// The run is over: hands out its course.
    pub(super) fn close(&self) -> Course {
        self.0.course.replace(Course::over())
    }

    /// Forgets what refers to the run's primitives and tasks. Dropping that is user code.
    pub(super) fn forget(&self) {
        let invariants = self.0.invariants.take();
        let settlers = self.0.settlers.take();
        drop((invariants, settlers));
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
