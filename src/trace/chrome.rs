//! The run as a trace that Perfetto and chrome://tracing open: Chrome's trace event format, as JSON.

use super::{
    Event, EventKind, Timeline,
    layout::{Layout, Span, State, Who, Why},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

/// The process whose threads are the tasks, and the one whose threads are what they hold.
const TASKS: u64 = 1;
const PRIMITIVES: u64 = 2;
/// The categories of slices: what somebody is in, one behind the other, and what is done meanwhile.
const STATE: &str = "state";
const DEED: &str = "deed";
/// In nanoseconds.
const MICRO: u128 = 1000;

impl Timeline {
    /// The run as Chrome trace JSON, for [Perfetto](https://ui.perfetto.dev) and `chrome://tracing`.
    ///
    /// A task is a track, with a slice for each step and each wait, called after what is waited for. What a step does to other tasks is a
    /// slice below it, and an arrow leads from there to the one that was woken, created or cancelled. A second group has a track for
    /// each lock and permit, with its holders.
    ///
    /// Under a virtual clock many steps have the same time. So that they can be seen, and seen in order, every event is two
    /// microseconds behind the one before, in addition to what the loop's clock says: at the end of a run of a thousand events, a
    /// sleep of a second ends at 1.002 s. The exact times and the turns are among each slice's arguments.
    ///
    /// # Examples
    /// ```
    /// use soloop::{EventLoop, sleep, trace};
    /// use std::time::Duration;
    ///
    /// let nap = async { sleep(Duration::from_secs(1)).await };
    /// let (_, timeline) = trace::record(&mut EventLoop::with_virtual_clock(), nap);
    /// std::fs::write(std::env::temp_dir().join("nap.json"), timeline.to_chrome_json())?;
    /// # std::fs::remove_file(std::env::temp_dir().join("nap.json"))
    /// # ; Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn to_chrome_json(&self) -> String {
        let layout = Layout::of(self);
        let mut trace = Trace {
            layout: &layout,
            home: layout.tasks.last().map_or(1, |last| last + 1),
            entries: Vec::new(),
        };
        trace.name_tracks();
        trace.columns();
        trace.lives();
        trace.holdings();
        trace.deeds_and_instants();
        format!(
            "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n",
            trace.entries.join(",\n")
        )
    }
}

struct Trace<'a> {
    layout: &'a Layout<'a>,
    /// The track for the timers, and for what comes from outside: behind the tasks' numbers. What is held comes behind it.
    home: u64,
    entries: Vec<String>,
}

impl<'a> Trace<'a> {
    fn name_tracks(&mut self) {
        let (layout, home) = (self.layout, self.home);
        self.process(TASKS, home, "tasks");
        self.name("thread_name", TASKS, home, "loop");
        self.sort("thread_sort_index", TASKS, home, 0);
        for (task, title) in layout.tasks.iter().zip(&layout.titles) {
            self.name("thread_name", TASKS, *task, title);
            self.sort("thread_sort_index", TASKS, *task, *task);
        }
        if !layout.holdings.is_empty() {
            self.process(PRIMITIVES, home + 1, "held");
        }
        for ((what, _), track) in self.held() {
            self.name("thread_name", PRIMITIVES, track, what);
            self.sort("thread_sort_index", PRIMITIVES, track, track);
        }
    }

    fn name(&mut self, kind: &str, process: u64, track: u64, name: &str) {
        let name = Json(name);
        self.entries.push(format!(
            r#"{{"ph":"M","pid":{process},"tid":{track},"name":"{kind}","args":{{"name":{name}}}}}"#
        ));
    }

    /// A viewer that is not told puts the processes in an order of its own.
    fn process(&mut self, process: u64, track: u64, name: &str) {
        self.name("process_name", process, track, name);
        self.sort("process_sort_index", process, track, process);
    }

    fn sort(&mut self, kind: &str, process: u64, track: u64, index: u64) {
        self.entries.push(format!(
            r#"{{"ph":"M","pid":{process},"tid":{track},"name":"{kind}","args":{{"sort_index":{index}}}}}"#
        ));
    }

    /// A track for each primitive that is held, and for each permit of it that is out at the same time.
    fn held(&self) -> BTreeMap<(&'a str, usize), u64> {
        let rows = self.layout.holdings.iter();
        let rows: BTreeMap<_, _> = rows.map(|held| ((held.what, held.row), 0)).collect();
        rows.into_keys().zip(self.home + 1..).collect()
    }

    /// When an event is drawn: the loop's time, and for each event before it two microseconds. The viewers see no less than one.
    fn at(&self, place: usize) -> Micros {
        let events = self.layout.timeline.events();
        let time = events.get(place).or(events.last()).map(|event| event.time);
        Micros(time.unwrap_or_default().as_nanos() + place as u128 * 2 * MICRO)
    }

    /// When a column begins, or would.
    fn begin(&self, column: usize) -> Micros {
        let columns = &self.layout.columns;
        let events = self.layout.timeline.events().len();
        self.at(columns
            .get(column)
            .map_or(events, |column| column.events.start))
    }

    /// When a column is over: with its last event, and so that there is something to see.
    fn end(&self, column: usize) -> Micros {
        let last = self.layout.columns[column].events.end - 1;
        Micros(self.at(last).0 + MICRO)
    }

    fn slice(
        &mut self,
        (process, track): (u64, u64),
        kind: &str,
        name: &str,
        (from, to): (Micros, Micros),
        args: &str,
    ) {
        let (name, length) = (Json(name), Micros(to.0 - from.0));
        self.entries.push(format!(
            r#"{{"ph":"X","pid":{process},"tid":{track},"ts":{from},"dur":{length},"cat":"{kind}","name":{name},"args":{{{args}}}}}"#
        ));
    }

    /// Handles: each step in its task's track, timers and the rest in the loop's.
    fn columns(&mut self) {
        let layout = self.layout;
        for (n, column) in layout.columns.iter().enumerate() {
            let (track, name) = match column.who {
                Who::Step { task, .. } => (task, "step".to_owned()),
                Who::Timer(task) => (self.home, format!("timer of {}", layout.title(task))),
                Who::Outside => (self.home, "outside".to_owned()),
            };
            let args = format!(
                r#""turn":{},"time":{},"story":{}"#,
                column.turn,
                Json(&super::story::short(column.time)),
                Json(&layout.tell(column))
            );
            self.slice(
                (TASKS, track),
                STATE,
                &name,
                (self.begin(n), self.end(n)),
                &args,
            );
        }
    }

    /// What tasks do between their steps.
    fn lives(&mut self) {
        let layout = self.layout;
        for (slot, life) in layout.lives.iter().enumerate() {
            let task = layout.tasks[slot];
            for (n, span) in life.iter().enumerate() {
                let name = match span.state {
                    State::Running | State::Ended(_) => continue,
                    State::Ready => "ready".to_owned(),
                    State::Waiting(on) => layout.wait_labels(on),
                };
                let from = self.edge(task, span);
                let to = match life.get(n + 1) {
                    Some(next) => self.edge(task, next),
                    None => self.begin(layout.columns.len()),
                };
                let args = layout
                    .cause(span.to)
                    .map(|cause| format!(r#""ended":{}"#, Json(&cause)));
                let args = args.unwrap_or_default();
                self.slice((TASKS, task), STATE, &name, (from, to), &args);
            }
        }
    }

    fn runner(&self, place: usize) -> Option<u64> {
        self.layout.runner(self.layout.column_of[place])
    }

    /// When a state begins: its own step has to be over, if one was taken.
    fn edge(&self, task: u64, span: &Span<'_>) -> Micros {
        let column = self.layout.column_of[span.from];
        match self.layout.columns[column].who {
            Who::Step { task: own, why } if own == task => match (span.state, why) {
                (State::Running, _) | (_, Why::Never) => self.begin(column),
                _ => self.end(column),
            },
            _ => self.at(span.from),
        }
    }

    fn holdings(&mut self) {
        let layout = self.layout;
        let tracks = self.held();
        for holding in &layout.holdings {
            let track = tracks[&(holding.what, holding.row)];
            let from_to = (self.at(holding.from), self.at(holding.to));
            let holder = layout.title(holding.task);
            self.slice((PRIMITIVES, track), STATE, holder, from_to, "");
        }
    }

    fn deeds_and_instants(&mut self) {
        for (place, event) in self.layout.timeline.events().iter().enumerate() {
            match &event.kind {
                EventKind::Woken { .. } => self.deed(place, event, "wake"),
                EventKind::Spawned { .. } => self.deed(place, event, "create"),
                EventKind::CancelRequested { .. } => {
                    self.deed(place, event, "cancel");
                    self.instant(place, event, "cancel requested");
                }
                EventKind::CancelDelivered => self.instant(place, event, "cancel delivered"),
                EventKind::Note { text } => self.instant(place, event, text),
                EventKind::Departed { text } => {
                    self.instant(place, event, &format!("departure: {text}"))
                }
                EventKind::Failed { text } => {
                    self.instant(place, event, &format!("failure: {text}"))
                }
                EventKind::Finished { how } => {
                    self.instant(place, event, self.layout.ending(how).as_str())
                }
                _ => {}
            }
        }
    }

    /// What somebody did to a task: a slice within the step that did it, and an arrow from there to the state that the task is in from
    /// then on. Perfetto has an arrow begin at what began last in its track, and that might have been a note.
    fn deed(&mut self, place: usize, event: &Event, kind: &str) {
        let (Some(to), runner) = (event.task, self.runner(place)) else {
            return;
        };
        // What is done during a step is done by it.
        let from = runner.unwrap_or(self.home);
        if from == to {
            return;
        }
        let at = self.at(place);
        let done = format!("{kind}s {}", self.layout.title(to));
        let cause = self.layout.cause(place);
        let cause = cause.map(|cause| format!(r#""cause":{}"#, Json(&cause)));
        let (from_to, args) = ((at, Micros(at.0 + MICRO)), cause.unwrap_or_default());
        self.slice((TASKS, from), DEED, &done, from_to, &args);
        let (at, kind) = (Micros(at.0 + MICRO / 2), Json(kind));
        for (phase, track) in [(r#""s""#, from), (r#""f","bp":"e""#, to)] {
            self.entries.push(format!(
                r#"{{"ph":{phase},"id":{place},"pid":{TASKS},"tid":{track},"ts":{at},"cat":{kind},"name":{kind}}}"#
            ));
        }
    }

    fn instant(&mut self, place: usize, event: &Event, name: &str) {
        let (scope, track) = match event.task {
            Some(task) => ("t", task),
            None => ("p", self.home),
        };
        let (name, at) = (Json(name), self.at(place));
        self.entries.push(format!(
            r#"{{"ph":"i","s":"{scope}","pid":{TASKS},"tid":{track},"ts":{at},"name":{name}}}"#
        ));
    }
}

/// Nanoseconds, which print as the microseconds that the format wants.
#[derive(Debug, Clone, Copy)]
struct Micros(u128);

impl Display for Micros {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / MICRO, self.0 % MICRO)
    }
}

/// Prints as a string in JSON.
struct Json<'a>(&'a str);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c if c < ' ' => write!(f, "\\u{:04x}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
