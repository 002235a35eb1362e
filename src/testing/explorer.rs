//! The explorer: which runs to make, in which order.
//!
//! A run is its departures from asyncio's order. From each run branch off those that depart once more, later than it has
//! departed so far; so each is made once, and those with fewer departures come first.

use std::{fmt, future::Future, mem, ops::Range, rc::Rc};

use super::{
    Only,
    course::{Branch, Branching, Course, Guide, Limits, Misfit, Random},
    director::{Buffers, Director, fail},
    probe::Probe,
    quiet,
    report::{Failure, FailureKind, Outcome, Report},
    schedule::{Action, Departure, Schedule, Script},
};
use crate::{
    error::{NESTED_RUN, Result},
    event_loop::{EventLoop, Loop},
    trace::{EventKind, Timeline},
};

/// Runs a body in one order after the other, and looks for one in which it fails.
///
/// The body runs as main on a virtual clock, in a world that is closed: no waker comes from outside. It fails if it returns an
/// error, if a task panics, if there is a deadlock, if an [invariant](Probe::invariant) breaks, or if it takes too many steps.
/// It must be one that can be run again and again, and depend on nothing but the schedule.
///
/// A new explorer departs from nothing: say what may happen by [`reorder`](Self::reorder), [`cancels`](Self::cancels),
/// [`drops`](Self::drops), [`early_timers`](Self::early_timers) and [`spurious`](Self::spurious).
///
/// # Examples
/// ```
/// use soloop::{Lock, create_task, testing::Explorer};
///
/// // Whatever single cancel happens, wherever it does, and whoever goes first for once:
/// Explorer::new().cancels(1).reorder(1).check(|_probe| async {
///     let lock = Lock::new();
///     let user = || {
///         let lock = lock.clone();
///         create_task(async move {
///             let _held = lock.enter().await?;
///             soloop::sleep(std::time::Duration::ZERO).await
///         })
///     };
///     let (first, second) = (user(), user());
///     let _ = first.await;
///     let _ = second.await;
///     lock.acquire().await // nobody has kept it
/// });
/// ```
#[derive(Clone)]
pub struct Explorer {
    limits: Limits,
    only: Option<Rc<Only>>,
    max_steps: usize,
    max_runs: u64,
}

impl Explorer {
    /// Makes an explorer that departs from nothing, and makes at most a million runs of at most ten thousand steps.
    ///
    /// # Examples
    /// ```
    /// # use soloop::testing::Explorer;
    /// let once = Explorer::new().explore(|_probe| async { Ok(()) });
    /// assert_eq!((once.runs, once.complete), (1, true)); // there is no other run
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: Limits::NONE,
            only: None,
            max_steps: 10_000,
            max_runs: 1_000_000,
        }
    }

    /// Lets another handle go first up to `n` times, one of this turn or of the next.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep, testing::Explorer}, std::time::Duration};
    /// let hasty = |_probe| async {
    ///     let other = create_task(async { Ok(()) });
    ///     sleep(Duration::ZERO).await?;
    ///     assert!(other.done()); // it stood in front
    ///     Ok(())
    /// };
    /// assert!(Explorer::new().explore(hasty).failure.is_none());
    /// assert!(Explorer::new().reorder(1).explore(hasty).failure.is_some());
    /// ```
    #[must_use]
    pub fn reorder(mut self, n: u32) -> Self {
        self.limits.reorder = n;
        self
    }

    /// Cancels up to `n` times, each time a task at any point between two steps, or before time passes. Never main, unless [`only`](Self::only) names it.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Lock, create_task, sleep, testing::Explorer}, std::time::Duration};
    /// let untidy = |_probe| async {
    ///     let lock = Lock::new();
    ///     let same = lock.clone();
    ///     let user = create_task(async move {
    ///         same.acquire().await?;
    ///         sleep(Duration::from_secs(1)).await?; // and if this fails?
    ///         same.release()
    ///     });
    ///     let _ = user.await;
    ///     assert!(!lock.locked());
    ///     Ok(())
    /// };
    /// let failure = Explorer::new().cancels(1).explore(untidy).failure.unwrap();
    /// assert_eq!(failure.schedule.to_string(), "sl1:2c2"); // while it sleeps
    /// ```
    #[must_use]
    pub fn cancels(mut self, n: u32) -> Self {
        self.limits.cancels = n;
        self
    }

    /// Drops up to `n` tasks where they stand: to whoever awaits one, it is cancelled. Never main, unless [`only`](Self::only) names it.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep, testing::Explorer}, std::{cell::Cell, rc::Rc, time::Duration}};
    /// let visit = |_probe| async {
    ///     let inside = Rc::new(Cell::new(false));
    ///     let seen = Rc::clone(&inside);
    ///     let visitor = create_task(async move {
    ///         seen.set(true);
    ///         let slept = sleep(Duration::from_secs(1)).await;
    ///         seen.set(false); // after a cancel as well, but a drop needs a guard
    ///         slept
    ///     });
    ///     let _ = visitor.await;
    ///     assert!(!inside.get());
    ///     Ok(())
    /// };
    /// assert!(Explorer::new().cancels(1).explore(visit).failure.is_none());
    /// assert!(Explorer::new().drops(1).explore(visit).failure.is_some());
    /// ```
    #[must_use]
    pub fn drops(mut self, n: u32) -> Self {
        self.limits.drops = n;
        self
    }

    /// Lets the next deadline pass up to `n` times though others are ready, as when they take long.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep, testing::Explorer}, std::time::Duration};
    /// let punctual = |_probe| async {
    ///     let work = create_task(async {
    ///         for _part in 0..10 {
    ///             sleep(Duration::ZERO).await?;
    ///         }
    ///         Ok(())
    ///     });
    ///     sleep(Duration::from_secs(1)).await?;
    ///     assert!(work.done()); // ten turns take no second, or do they?
    ///     Ok(())
    /// };
    /// assert!(Explorer::new().reorder(2).explore(punctual).failure.is_none());
    /// assert!(Explorer::new().early_timers(1).explore(punctual).failure.is_some());
    /// ```
    #[must_use]
    pub fn early_timers(mut self, n: u32) -> Self {
        self.limits.early_timers = n;
        self
    }

    /// Polls up to `n` times a task that nobody has woken, as combinators and wakers that are kept too long may do.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep, testing::Explorer}, std::time::Duration};
    /// # use std::{cell::Cell, future::poll_fn, rc::Rc, task::{Poll, Waker}};
    /// let naive = |_probe| async {
    ///     # let (waker, rung) = (Rc::new(Cell::new(None::<Waker>)), Rc::new(Cell::new(false)));
    ///     # let (wake, ring) = (Rc::clone(&waker), Rc::clone(&rung));
    ///     # create_task(async move {
    ///     #     sleep(Duration::from_secs(1)).await?;
    ///     #     ring.set(true);
    ///     #     Ok(wake.take().map(Waker::wake))
    ///     # });
    ///     let mut polls = 0;
    ///     poll_fn(|cx| {
    ///         waker.set(Some(cx.waker().clone()));
    ///         polls += 1;
    ///         if polls > 1 { Poll::Ready(()) } else { Poll::Pending } // it was woken, or was it?
    ///     })
    ///     .await;
    ///     assert!(rung.get());
    ///     Ok(())
    /// };
    /// assert!(Explorer::new().reorder(2).explore(naive).failure.is_none());
    /// assert!(Explorer::new().spurious(1).explore(naive).failure.is_some());
    /// ```
    #[must_use]
    pub fn spurious(mut self, n: u32) -> Self {
        self.limits.spurious = n;
        self
    }

    /// Departs at most so many times in all.
    ///
    /// # Examples
    /// ```
    /// # use soloop::{create_task, testing::Explorer};
    /// # let body = |_probe| async {
    /// #     let tasks = [create_task(async { Ok(()) }), create_task(async { Ok(()) })];
    /// #     for task in tasks { let _ = task.await; }
    /// #     Ok(())
    /// # };
    /// let both = Explorer::new().cancels(1).reorder(1);
    /// let either = both.clone().deviations(1);
    /// assert!(either.explore(body).runs < both.explore(body).runs);
    /// ```
    #[must_use]
    pub fn deviations(mut self, total: u32) -> Self {
        self.limits.deviations = total;
        self
    }

    /// Deviates on these tasks alone, by their names: only they are put first, cancelled, dropped, polled, and only their
    /// deadlines pass early.
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Event, create_task, testing::Explorer};
    /// Explorer::new().cancels(1).only(|task| task == "guest").check(|_probe| async {
    ///     let open = Event::new();
    ///     let guest = create_task(open.wait());
    ///     guest.set_name("guest");
    ///     create_task(async move { Ok(open.set()) }).await?; // never cancelled
    ///     let _ = guest.await; // may be
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn only(mut self, task: impl Fn(&str) -> bool + 'static) -> Self {
        self.only = Some(Rc::new(task));
        self
    }

    /// Takes a run that is not over when so many handles have run for a failure.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Result, sleep, testing::{Explorer, FailureKind}}, std::time::Duration};
    /// async fn wait_without_an_end() -> Result<()> {
    ///     loop {
    ///         sleep(Duration::ZERO).await?;
    ///     }
    /// }
    /// let report = Explorer::new().max_steps(100).explore(|_probe| wait_without_an_end());
    /// assert_eq!(report.failure.unwrap().kind, FailureKind::StepLimit);
    /// ```
    #[must_use]
    pub fn max_steps(mut self, n: usize) -> Self {
        self.max_steps = n;
        self
    }

    /// Ends the search after so many runs. Its report does not say `complete` then.
    ///
    /// # Examples
    /// ```
    /// # use soloop::{create_task, testing::Explorer};
    /// # let crowd = |_probe| async {
    /// #     let tasks: Vec<_> = (0..9).map(|_| create_task(async { Ok(()) })).collect();
    /// #     for task in tasks { task.await?; }
    /// #     Ok(())
    /// # };
    /// let report = Explorer::new().reorder(u32::MAX).max_runs(50).explore(crowd);
    /// assert_eq!((report.runs, report.complete), (50, false));
    /// ```
    #[must_use]
    pub fn max_runs(mut self, n: u64) -> Self {
        self.max_runs = n;
        self
    }

    /// Searches, and panics with the story of the smallest failure.
    ///
    /// If the environment variable `SOLOOP_REPLAY` is set, runs that schedule and no other.
    ///
    /// # Panics
    /// If there is a failure; if a loop is running on this thread; if `SOLOOP_REPLAY` is no schedule.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{Semaphore, create_task, sleep, testing::Explorer, wait_for}, std::time::Duration};
    ///
    /// // A timeout that comes with the permit, before it or after it: nowhere is one lost.
    /// Explorer::new().early_timers(1).reorder(2).check(|_probe| async {
    ///     let desk = Semaphore::new(0);
    ///     let same = desk.clone();
    ///     let taken = create_task(wait_for(desk.acquire(), Duration::from_secs(1)));
    ///     sleep(Duration::from_secs(1)).await?;
    ///     same.release();
    ///     if taken.await.is_ok() {
    ///         same.release();
    ///     }
    ///     same.acquire().await
    /// });
    /// ```
    #[track_caller]
    pub fn check<F, U>(&self, body: F)
    where
        F: Fn(Probe) -> U,
        U: Future<Output = Result<()>>,
    {
        if let Some(failure) = self.explore(body).failure {
            panic!("{failure}");
        }
    }

    /// Searches: first the run that departs from nothing, then those that depart once, then twice, up to the limits.
    ///
    /// If the environment variable `SOLOOP_REPLAY` is set, runs that schedule and no other.
    ///
    /// # Panics
    /// If a loop is running on this thread; if `SOLOOP_REPLAY` is no schedule.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{create_task, testing::Explorer}, std::{cell::RefCell, collections::BTreeSet, rc::Rc}};
    ///
    /// let orders = RefCell::new(BTreeSet::new());
    /// let report = Explorer::new().reorder(u32::MAX).explore(|_probe| async {
    ///     let came = Rc::new(RefCell::new(String::new()));
    ///     for name in ["a", "b", "c"] {
    ///         let came = Rc::clone(&came);
    ///         create_task(async move { Ok(came.borrow_mut().push_str(name)) });
    ///     }
    ///     soloop::sleep(std::time::Duration::from_secs(1)).await?;
    ///     orders.borrow_mut().insert(came.take());
    ///     Ok(())
    /// });
    /// assert!(report.complete);
    /// assert_eq!(orders.take().into_iter().collect::<Vec<_>>(), ["abc", "acb", "bac", "bca", "cab", "cba"]);
    /// ```
    pub fn explore<F, U>(&self, body: F) -> Report
    where
        F: Fn(Probe) -> U,
        U: Future<Output = Result<()>>,
    {
        if let Some(schedule) = schedule_of_environment() {
            return self.replay(&schedule, body).into();
        }
        let mut runner = Runner::new(self, body);
        let mut tree = Tree::new(self.max_runs);
        while let Some((departures, expected)) = tree.next() {
            let course = Course::script(departures, self.limits);
            let ran = runner.run(course.branch_out(expected, tree.room()));
            if ran.broken.is_some() {
                let steps = runner.steps;
                // The run that it branches off from did not fail.
                let before = ran.course.departures().split_last();
                let before = before.map(|(_, before)| before.to_vec());
                let failure = runner.explain(ran, before);
                return tree.report(steps, Some(failure));
            }
            tree.grow(ran.course);
        }
        tree.report(runner.steps, None)
    }

    /// Runs at random, so many times, and then looks for the fewest departures with which the failure found remains.
    ///
    /// The same seed makes the same runs. For programs with too many orders to search through.
    ///
    /// If the environment variable `SOLOOP_REPLAY` is set, runs that schedule and no other.
    ///
    /// # Panics
    /// If a loop is running on this thread; if `SOLOOP_REPLAY` is no schedule.
    ///
    /// # Examples
    /// ```
    /// use soloop::{create_task, testing::Explorer};
    ///
    /// let report = Explorer::new().reorder(u32::MAX).sample(1, 1000, |_probe| async {
    ///     let runners: Vec<_> = (0..20).map(|_| create_task(async { Ok(()) })).collect();
    ///     let last = create_task(async { Ok(()) });
    ///     last.await?;
    ///     assert!(runners.iter().all(|runner| runner.done()));
    ///     Ok(())
    /// });
    /// let witness = report.failure.unwrap().schedule;
    /// assert_eq!(witness.to_string().split(',').count(), 2); // of all that this run had shuffled
    /// ```
    pub fn sample<F, U>(&self, seed: u64, runs: u64, body: F) -> Report
    where
        F: Fn(Probe) -> U,
        U: Future<Output = Result<()>>,
    {
        if let Some(schedule) = schedule_of_environment() {
            return self.replay(&schedule, body).into();
        }
        let mut runner = Runner::new(self, body);
        let mut random = Random::new(seed);
        let mut report = Report::new();
        let mut before: Option<Course> = None;
        while report.runs < runs {
            // From every other decision to hardly any: some failures need few departures, others many.
            let decisions = before.as_ref().map_or(0, Course::decisions).max(2);
            let guide = Guide::Walk {
                one_in: 2 << random.below(decisions.ilog2().into()),
                random: Random::new(random.next()),
            };
            let ran = runner.run(Course::new(guide, self.limits));
            report.runs += 1;
            report.steps = runner.steps;
            report.count_cancels(ran.course.departures());
            report.count_cancel_points(ran.course.cancel_points);
            if ran.broken.is_some() {
                let before = before.map(|course| course.departures().to_vec());
                report.failure = Some(runner.explain(ran, before));
                break;
            }
            before = Some(ran.course);
        }
        report
    }

    /// Runs one schedule, whatever the limits, and tells what happened.
    ///
    /// A schedule that is not one of this body fails, and says at which decision.
    ///
    /// # Panics
    /// If a loop is running on this thread.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Event, create_task, testing::{Explorer, FailureKind}};
    ///
    /// let body = |_| async {
    ///     let (ready, value) = (Event::new(), std::cell::Cell::new(0));
    ///     let set = ready.clone();
    ///     let task = create_task(async move { Ok(set.set()) });
    ///     assert!(!task.done());
    ///     ready.wait().await?;
    ///     assert_eq!(value.replace(1), 0);
    ///     task.await
    /// };
    /// let cancelled = Explorer::new().replay(&"sl1:1c2".parse()?, body);
    /// assert!(matches!(cancelled.failure.unwrap().kind, FailureKind::Deadlock));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn replay<F, U>(&self, schedule: &Schedule, body: F) -> Outcome
    where
        F: Fn(Probe) -> U,
        U: Future<Output = Result<()>>,
    {
        let course = match &schedule.0 {
            Script::Departures(departures) => Course::script(departures.clone(), self.limits),
            Script::Choices(choices) => {
                let mut limits = self.limits;
                if limits.name_no_kind() {
                    limits.reorder = u32::MAX;
                }
                Course::new(Guide::Choices(choices.clone()), limits)
            }
        };
        let mut runner = Runner::new(self, body);
        let (ran, timeline) = runner.run_recorded(course);
        let failure = ran.broken.map(|(kind, _)| Failure {
            kind,
            schedule: match &schedule.0 {
                Script::Departures(_) => schedule.clone(),
                Script::Choices(_) => Schedule::of(ran.course.departures()),
            },
            timeline: timeline.clone(),
        });
        Outcome {
            failure,
            steps: runner.steps,
            timeline,
        }
    }
}

impl Default for Explorer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explorer")
            .field("limits", &self.limits)
            .field("max_steps", &self.max_steps)
            .field("max_runs", &self.max_runs)
            .finish_non_exhaustive()
    }
}

/// The schedule that the environment asks for.
fn schedule_of_environment() -> Option<Schedule> {
    let text = std::env::var("SOLOOP_REPLAY").ok()?;
    match text.parse() {
        Ok(schedule) => Some(schedule),
        Err(error) => panic!("SOLOOP_REPLAY: {error}"),
    }
}

/// What went wrong, in what way.
type Broken = (FailureKind, String);

/// A run that was made.
struct Ran {
    course: Course,
    broken: Option<Broken>,
}

impl Ran {
    /// Whether another run failed in the same way.
    fn fails_as(&self, other: &Self) -> bool {
        let kind = |ran: &Self| ran.broken.as_ref().map(|(kind, _)| *kind);
        kind(self) == kind(other)
    }

    fn came_to(&self) -> String {
        match &self.broken {
            Some((kind, text)) => format!("{kind}: {text}"),
            None => "no failure".into(),
        }
    }
}

/// How often a failure is run again, in turn with a run that did not fail, before it is believed; and for how many steps.
const DOUBTS: (usize, u64) = (8, 100_000);

/// Runs a body along one course after the other, in one loop as long as it is as good as new.
struct Runner<'a, F> {
    explorer: &'a Explorer,
    body: F,
    event_loop: EventLoop,
    buffers: Buffers,
    steps: u64,
}

impl<'a, F, U> Runner<'a, F>
where
    F: Fn(Probe) -> U,
    U: Future<Output = Result<()>>,
{
    fn new(explorer: &'a Explorer, body: F) -> Self {
        assert!(
            Loop::current().is_none(),
            "an explorer runs a loop of its own: {NESTED_RUN}"
        );
        quiet::install();
        Self {
            explorer,
            body,
            event_loop: new_loop(),
            buffers: Buffers::default(),
            steps: 0,
        }
    }

    fn run(&mut self, course: Course) -> Ran {
        if !self.event_loop.shared().begin_anew() {
            self.event_loop = new_loop();
        }
        self.run_here(course, false)
    }

    fn run_script(&mut self, departures: &[Departure]) -> Ran {
        self.run(Course::script(departures.to_vec(), Limits::NONE))
    }

    fn run_recorded(&mut self, course: Course) -> (Ran, Timeline) {
        self.event_loop = new_loop();
        let home = Rc::clone(self.event_loop.shared());
        home.begin_journal();
        let ran = self.run_here(course, true);
        let timeline = home.close_journal();
        (ran, timeline)
    }

    fn run_here(&mut self, course: Course, is_recorded: bool) -> Ran {
        let home = Rc::clone(self.event_loop.shared());
        let probe = Probe::new(course);
        let Explorer {
            only, max_steps, ..
        } = self.explorer;
        let mut director = Director::new(
            &probe,
            only.as_deref(),
            *max_steps,
            is_recorded,
            &mut self.buffers,
        );
        let ended = quiet::catch(|| home.run((self.body)(probe.clone()), &mut director));
        let (steps, stopped) = (director.steps, director.broken);
        self.steps += steps as u64;
        let course = probe.close();
        let forgot = quiet::catch(|| probe.forget());
        let ended = ended.and_then(|ended| forgot.map(|()| ended));
        if ended.is_err() {
            // What was under way when it panicked is not worth keeping.
            self.event_loop = new_loop();
        }
        let told = stopped.clone();
        let broken = judge(&course, stopped, ended);
        if let Some((kind, text)) = broken.as_ref().filter(|_| broken != told) {
            fail(&home, *kind, text);
        }
        Ran { course, broken }
    }

    /// Makes the smallest failure of one that was found, and tells its story. Before it, the departures of a run that did not
    /// fail.
    fn explain(&mut self, failed: Ran, before: Option<Vec<Departure>>) -> Failure {
        if let Some((FailureKind::UncontrolledNondeterminism, found)) = &failed.broken {
            return self.accuse(failed.course.departures(), found.clone());
        }
        if let Some((departures, was, is)) = self.doubt(&failed, before.as_deref()) {
            return self.accuse(&departures, differs(&was, &is));
        }
        let smallest = self.minimise(failed);
        let departures = smallest.course.departures();
        let course = Course::script(departures.to_vec(), Limits::NONE);
        let (again, timeline) = self.run_recorded(course);
        match &smallest.broken {
            Some((kind, _)) if is_same(&smallest, &again) => Failure {
                kind: *kind,
                schedule: Schedule::of(departures),
                timeline,
            },
            _ => {
                let differs = differs(&smallest.came_to(), &again.came_to());
                self.accuse(departures, differs)
            }
        }
    }

    /// Runs a failure again, and what did not fail before it: the same must come of them, however often. Else returns the
    /// departures of the run that it did not come of, and what came of it.
    fn doubt(
        &mut self,
        failed: &Ran,
        before: Option<&[Departure]>,
    ) -> Option<(Vec<Departure>, String, String)> {
        let (times, most_steps) = DOUBTS;
        let begun = self.steps;
        for _ in 0..times {
            let again = self.run_script(failed.course.departures());
            if !is_same(failed, &again) {
                let departures = failed.course.departures().to_vec();
                return Some((departures, failed.came_to(), again.came_to()));
            }
            if let Some(before) = before {
                let sound = self.run_script(before);
                if sound.broken.is_some() {
                    return Some((before.to_vec(), "no failure".into(), sound.came_to()));
                }
            }
            if self.steps - begun > most_steps {
                break;
            }
        }
        None
    }

    /// Tells of a schedule to which the body does not do the same each time.
    fn accuse(&mut self, departures: &[Departure], found: String) -> Failure {
        let course = Course::script(departures.to_vec(), Limits::NONE);
        let (_, mut timeline) = self.run_recorded(course);
        let kind = FailureKind::UncontrolledNondeterminism;
        timeline.fail(format!("{kind}: {found}"));
        Failure {
            kind,
            schedule: Schedule::of(departures),
            timeline,
        }
    }

    /// Leaves departures out for as long as the failure remains one of its kind: half of them at once, then fewer, and in the end
    /// one after the other until none can be spared.
    fn minimise(&mut self, failed: Ran) -> Ran {
        let mut smallest = failed;
        let mut size = smallest.course.departures().len().div_ceil(2);
        while size > 0 {
            if !self.leave_out(size, &mut smallest) {
                size /= 2;
            }
        }
        smallest
    }

    /// Leaves out so many departures at a time, from the last to the first. Says whether any could be spared.
    fn leave_out(&mut self, size: usize, smallest: &mut Ran) -> bool {
        let mut shrunk = false;
        let mut end = smallest.course.departures().len();
        while end > 0 {
            let start = end.saturating_sub(size);
            for left in without(smallest.course.departures(), start..end) {
                let ran = self.run_script(&left);
                if ran.fails_as(smallest) {
                    *smallest = ran;
                    shrunk = true;
                    break;
                }
            }
            end = start.min(smallest.course.departures().len());
        }
        shrunk
    }
}

/// What a run came to.
fn judge(
    course: &Course,
    stopped: Option<Broken>,
    ended: Result<Result<()>, String>,
) -> Option<Broken> {
    let misfit = |misfit: Misfit| (FailureKind::UncontrolledNondeterminism, misfit.to_string());
    // In a run that was not the one it should have been, what else went wrong means nothing.
    if let Some(found) = course.misfit.or_else(|| course.strayed()) {
        return Some(misfit(found));
    }
    stopped.or_else(|| match ended {
        Err(said) => Some((FailureKind::Panic, said)),
        Ok(Err(error)) => Some((FailureKind::Error, error.to_string())),
        Ok(Ok(())) => course.left_over().map(misfit),
    })
}

/// Whether the same came of two runs of one schedule, as far as can be seen.
fn is_same(one: &Ran, other: &Ran) -> bool {
    let seen = |ran: &Ran| (ran.course.digest(), ran.course.decisions());
    one.fails_as(other) && seen(one) == seen(other)
}

fn differs(was: &str, is: &str) -> String {
    format!("the same schedule was run twice, and came to \"{was}\" and then to \"{is}\"")
}

/// A schedule without some of its departures. Decisions that were there for them alone are gone as well; but perhaps others have
/// come in their place.
fn without(
    departures: &[Departure],
    left_out: Range<usize>,
) -> impl Iterator<Item = Vec<Departure>> + use<> {
    let gone = departures[left_out.clone()].iter();
    let gone = gone.filter(|gone| gone.action.is_inserted()).count() as u32;
    let mut left = departures.to_vec();
    left.drain(left_out.clone());
    let shifted = (gone > 0 && left_out.start < left.len()).then(|| {
        let mut shifted = left.clone();
        let later = &mut shifted[left_out.start..];
        later.iter_mut().for_each(|later| later.at -= gone);
        shifted
    });
    shifted.into_iter().chain([left])
}

fn new_loop() -> EventLoop {
    let mut event_loop = EventLoop::with_virtual_clock();
    // Errors that nobody retrieves are no failures, and belong into the story.
    event_loop.set_exception_handler(|failure| {
        let home = Loop::current();
        if let Some(home) = home.filter(|home| home.look(|state| state.journal.is_some())) {
            let text = failure.to_string();
            home.open(|state| state.write(None, EventKind::Note { text }));
        }
    });
    event_loop
}

/// The runs that are to be made: a tree, in which each departs once more than the one that it branches off from.
struct Tree {
    max_runs: u64,
    nodes: Vec<Node>,
    /// The nodes with as many departures as the one at hand, and with one more.
    this_level: Vec<NodeKey>,
    next_level: Vec<NodeKey>,
    /// How many of this level have been run.
    run: usize,
    /// The node that is being run.
    current: Option<NodeKey>,
    /// Where the next run has its script, and where it puts its branches.
    script: Vec<Departure>,
    branching: Branching,
    was_cut: bool,
    report: Report,
}

#[derive(Debug, Clone, Copy)]
struct NodeKey(u32);

/// A run, as the one that it branches off from and what it does then.
struct Node {
    parent: Option<NodeKey>,
    branch: Branch,
}

impl Tree {
    fn new(max_runs: u64) -> Self {
        Self {
            max_runs,
            nodes: Vec::new(),
            this_level: Vec::new(),
            next_level: Vec::new(),
            run: 0,
            current: None,
            script: Vec::new(),
            branching: Branching::default(),
            was_cut: false,
            report: Report::new(),
        }
    }

    /// The departures of the next run, and the state in which it departs for the last time.
    fn next(&mut self) -> Option<(Vec<Departure>, Option<u32>)> {
        if self.report.runs >= self.max_runs {
            // What there was no room for was counted as it was found.
            self.was_cut |= self.report.runs == 0;
            return None;
        }
        if self.report.runs == 0 {
            self.report.runs = 1;
            return Some((Vec::new(), None));
        }
        if self.run == self.this_level.len() {
            self.this_level.clear();
            mem::swap(&mut self.this_level, &mut self.next_level);
            self.run = 0;
        }
        let &key = self.this_level.get(self.run)?;
        self.run += 1;
        self.current = Some(key);
        self.report.runs += 1;
        let departures = self.departures(key);
        self.report
            .count_cancels(&departures[departures.len() - 1..]);
        Some((departures, Some(self.nodes[key.0 as usize].branch.state)))
    }

    fn departures(&mut self, key: NodeKey) -> Vec<Departure> {
        let mut departures = mem::take(&mut self.script);
        departures.clear();
        let mut next = Some(key);
        while let Some(key) = next {
            let node = &self.nodes[key.0 as usize];
            departures.push(node.branch.departure);
            next = node.parent;
        }
        departures.reverse();
        departures
    }

    /// Room for the branches of the next run: not for more than could ever be run.
    fn room(&mut self) -> Branching {
        let left = self.max_runs - self.report.runs;
        Branching {
            room: usize::try_from(left).unwrap_or(usize::MAX),
            ..mem::take(&mut self.branching)
        }
    }

    /// Takes in the branches of the run that has just been made.
    fn grow(&mut self, course: Course) {
        self.report.count_cancel_points(course.cancel_points);
        let (mut branching, script) = course.into_branching();
        self.script = script;
        self.was_cut |= mem::take(&mut branching.was_cut);
        let Branching {
            departing,
            choosing,
            ..
        } = &mut branching;
        for branch in choosing.drain(..) {
            // A run of this level comes before all of the next.
            if self.is_full() {
                self.was_cut = true;
                if self.next_level.pop().is_none() {
                    break;
                }
            }
            let key = self.insert(branch);
            self.this_level.push(key);
        }
        for branch in departing.drain(..) {
            if self.is_full() {
                self.was_cut = true;
                break;
            }
            let key = self.insert(branch);
            self.next_level.push(key);
        }
        self.branching = branching;
    }

    /// Whether as many runs wait as can still be made.
    fn is_full(&self) -> bool {
        let waiting = self.this_level.len() - self.run + self.next_level.len();
        self.report.runs + waiting as u64 >= self.max_runs
    }

    fn insert(&mut self, branch: Branch) -> NodeKey {
        let key = u32::try_from(self.nodes.len()).expect("so many nodes take more than memory has");
        self.nodes.push(Node {
            parent: self.current,
            branch,
        });
        NodeKey(key)
    }

    fn report(self, steps: u64, failure: Option<Failure>) -> Report {
        Report {
            steps,
            complete: !self.was_cut && failure.is_none(),
            failure,
            ..self.report
        }
    }
}

impl Report {
    fn new() -> Self {
        Self {
            runs: 0,
            steps: 0,
            complete: false,
            cancel_points: (0, 0),
            failure: None,
        }
    }

    /// Counts the cancels that were made.
    fn count_cancels(&mut self, departures: &[Departure]) {
        let cancels = departures
            .iter()
            .filter(|departure| matches!(departure.action, Action::Cancel(_)));
        let cancels = u32::try_from(cancels.count()).unwrap_or(u32::MAX);
        self.cancel_points.0 = self.cancel_points.0.saturating_add(cancels);
    }
}

impl Report {
    /// Counts the points at which a task could have been cancelled.
    fn count_cancel_points(&mut self, points: u32) {
        self.cancel_points.1 = self.cancel_points.1.saturating_add(points);
    }
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        Self {
            runs: 1,
            steps: outcome.steps,
            failure: outcome.failure,
            ..Self::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cancel has a decision of its own, and a handle that goes first has none.
    #[test]
    fn what_comes_behind_a_departure_that_is_left_out_may_come_earlier() {
        let script: Schedule = "sl1:2>1,4c2,7d3,9>1".parse().unwrap();
        let Script::Departures(departures) = &script.0 else {
            panic!("{script}")
        };
        let tried = |left_out| -> Vec<String> {
            let tried = without(departures, left_out);
            tried.map(|left| Schedule::of(&left).to_string()).collect()
        };
        assert_eq!(tried(0..1), ["sl1:4c2,7d3,9>1"]);
        assert_eq!(tried(0..2), ["sl1:6d3,8>1", "sl1:7d3,9>1"]);
        assert_eq!(tried(1..3), ["sl1:2>1,7>1", "sl1:2>1,9>1"]);
        assert_eq!(tried(2..4), ["sl1:2>1,4c2"]);
    }
}
