//! The run as a trace that Perfetto and chrome://tracing open: Chrome's trace event format, as JSON.

use super::{
    Event, EventKind, Timeline,
    layout::{Layout, Span, State, Who},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

/// The process whose threads are the tasks, and the one whose threads are what they hold.
const TASKS: u64 = 1;
const PRIMITIVES: u64 = 2;

impl Timeline {
    /// The run as Chrome trace JSON, for [Perfetto](https://ui.perfetto.dev) and `chrome://tracing`.
    ///
    /// A task is a track, with a slice for each step and each wait, called after what is waited for; arrows lead from the step that woke a
    /// task to the task. A second group has a track for each lock and permit, with its holders.
    ///
    /// Under a virtual clock many steps have the same time. So that they can be seen, and seen in order, every event is one
    /// microsecond behind the one before, in addition to what the loop's clock says: at the end of a run of a thousand events, a
    /// sleep of a second ends at 1.001 s. The exact times and the turns are among each slice's arguments.
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
        trace.arrows_and_instants();
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
        self.name("process_name", TASKS, home, "tasks");
        self.name("thread_name", TASKS, home, "loop");
        self.sort(TASKS, home, 0);
        for (task, title) in layout.tasks.iter().zip(&layout.titles) {
            self.name("thread_name", TASKS, *task, title);
            self.sort(TASKS, *task, *task);
        }
        if !layout.holdings.is_empty() {
            self.name("process_name", PRIMITIVES, home + 1, "held");
        }
        for ((what, _), track) in self.held() {
            self.name("thread_name", PRIMITIVES, track, what);
            self.sort(PRIMITIVES, track, track);
        }
    }

    fn name(&mut self, kind: &str, process: u64, track: u64, name: &str) {
        let name = Json(name);
        self.entries.push(format!(
            r#"{{"ph":"M","pid":{process},"tid":{track},"name":"{kind}","args":{{"name":{name}}}}}"#
        ));
    }

    fn sort(&mut self, process: u64, track: u64, index: u64) {
        self.entries.push(format!(
            r#"{{"ph":"M","pid":{process},"tid":{track},"name":"thread_sort_index","args":{{"sort_index":{index}}}}}"#
        ));
    }

    /// A track for each primitive that is held, and for each permit of it that is out at the same time.
    fn held(&self) -> BTreeMap<(&'a str, usize), u64> {
        let rows = self.layout.holdings.iter();
        let rows: BTreeMap<_, _> = rows.map(|held| ((held.what, held.row), 0)).collect();
        rows.into_keys().zip(self.home + 1..).collect()
    }

    /// When an event is drawn: the loop's time, and a microsecond for each event before it.
    fn at(&self, place: usize) -> Micros {
        let events = self.layout.timeline.events();
        let time = events.get(place).or(events.last()).map(|event| event.time);
        Micros(time.unwrap_or_default().as_nanos() + place as u128 * 1000)
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
        Micros(self.at(last).0 + 900)
    }

    fn slice(&mut self, track: (u64, u64), name: &str, from: Micros, to: Micros, args: &str) {
        let (process, track) = track;
        let (name, length) = (Json(name), Micros(to.0.saturating_sub(from.0)));
        self.entries.push(format!(
            r#"{{"ph":"X","pid":{process},"tid":{track},"ts":{from},"dur":{length},"name":{name},"args":{{{args}}}}}"#
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
            self.slice((TASKS, track), &name, self.begin(n), self.end(n), &args);
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
                self.slice((TASKS, task), &name, from, to, &args);
            }
        }
    }

    fn runner(&self, place: usize) -> Option<u64> {
        self.layout.runner(self.layout.column_of[place])
    }

    /// When a state begins: its own step has to be over.
    fn edge(&self, task: u64, span: &Span<'_>) -> Micros {
        let column = self.layout.column_of[span.from];
        match span.state {
            State::Running => self.begin(column),
            _ if self.runner(span.from) == Some(task) => self.end(column),
            _ => self.at(span.from),
        }
    }

    fn holdings(&mut self) {
        let layout = self.layout;
        let tracks = self.held();
        for holding in &layout.holdings {
            let track = tracks[&(holding.what, holding.row)];
            let (from, to) = (self.at(holding.from), self.at(holding.to));
            self.slice(
                (PRIMITIVES, track),
                layout.title(holding.task),
                from,
                to,
                "",
            );
        }
    }

    fn arrows_and_instants(&mut self) {
        for (place, event) in self.layout.timeline.events().iter().enumerate() {
            match &event.kind {
                EventKind::Woken { .. } => self.arrow(place, event, "wake"),
                EventKind::Spawned { .. } => self.arrow(place, event, "create"),
                EventKind::CancelRequested { .. } => {
                    self.arrow(place, event, "cancel");
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

    /// An arrow within the same moment: both its ends lie in a slice, of the one who did it and of the one that it was done to.
    fn arrow(&mut self, place: usize, event: &Event, kind: &str) {
        let (Some(to), runner) = (event.task, self.runner(place)) else {
            return;
        };
        // What is done during a step is done by it.
        let from = runner.unwrap_or(self.home);
        if from == to {
            return;
        }
        let at = self.at(place);
        let cause = self.layout.cause(place);
        let args = cause.map(|cause| format!(r#""cause":{}"#, Json(&cause)));
        let args = args.unwrap_or_default();
        let name = Json(kind);
        for (phase, track) in [("s", from), ("f", to)] {
            let binding = if phase == "f" { r#","bp":"e""# } else { "" };
            self.entries.push(format!(
                r#"{{"ph":"{phase}"{binding},"id":{place},"pid":{TASKS},"tid":{track},"ts":{at},"cat":{name},"name":{name},"args":{{{args}}}}}"#
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
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
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

#[cfg(test)]
mod tests {
    use super::super::by_hand::*;
    use std::{collections::BTreeMap, fmt::Debug, iter::Peekable, str::Chars};

    #[derive(Debug, Clone, PartialEq)]
    enum Value {
        Text(String),
        Number(f64),
        List(Vec<Value>),
        Object(BTreeMap<String, Value>),
    }

    impl Value {
        fn get(&self, key: &str) -> &Value {
            match self {
                Value::Object(entries) => &entries[key],
                other => panic!("no object: {other:?}"),
            }
        }

        fn text(&self, key: &str) -> &str {
            match self.get(key) {
                Value::Text(text) => text,
                other => panic!("{key} is {other:?}"),
            }
        }

        fn number(&self, key: &str) -> f64 {
            match self.get(key) {
                Value::Number(number) => *number,
                other => panic!("{key} is {other:?}"),
            }
        }
    }

    /// As much of JSON as a trace has. Panics where it is none.
    fn parse(json: &str) -> Value {
        let mut left = json.chars().peekable();
        let value = value(&mut left);
        assert_eq!(left.collect::<String>().trim(), "");
        value
    }

    fn value(left: &mut Peekable<Chars<'_>>) -> Value {
        match next(left) {
            '"' => Value::Text(text(left)),
            '[' => Value::List(members(left, ']', value)),
            '{' => {
                let entry = |left: &mut Peekable<Chars<'_>>| {
                    assert_eq!(next(left), '"');
                    let key = text(left);
                    assert_eq!(next(left), ':');
                    (key, value(left))
                };
                Value::Object(members(left, '}', entry).into_iter().collect())
            }
            first => {
                let mut number = String::from(first);
                while let Some(c) = left.next_if(|c| c.is_ascii_digit() || *c == '.') {
                    number.push(c);
                }
                Value::Number(number.parse().expect("a number"))
            }
        }
    }

    fn next(left: &mut Peekable<Chars<'_>>) -> char {
        left.find(|c| !c.is_whitespace()).expect("more of it")
    }

    fn members<T>(
        left: &mut Peekable<Chars<'_>>,
        end: char,
        member: impl Fn(&mut Peekable<Chars<'_>>) -> T,
    ) -> Vec<T> {
        let mut members = Vec::new();
        while left.next_if(|c| c.is_whitespace()).is_some() {}
        if left.next_if_eq(&end).is_some() {
            return members;
        }
        loop {
            members.push(member(left));
            match next(left) {
                ',' => {}
                c => {
                    assert_eq!(c, end);
                    return members;
                }
            }
        }
    }

    fn text(left: &mut Peekable<Chars<'_>>) -> String {
        let mut text = String::new();
        loop {
            match left.next().expect("a quote at the end") {
                '"' => return text,
                '\\' => match left.next().expect("what is escaped") {
                    'n' => text.push('\n'),
                    'u' => {
                        let code: String = left.take(4).collect();
                        let code = u32::from_str_radix(&code, 16).expect("four digits");
                        text.push(char::from_u32(code).expect("a character"));
                    }
                    c => {
                        assert!("\"\\".contains(c));
                        text.push(c);
                    }
                },
                c => {
                    assert!(c >= ' ', "{c:?} stands in a string");
                    text.push(c);
                }
            }
        }
    }

    fn entries(json: &str) -> Vec<Value> {
        match parse(json).get("traceEvents") {
            Value::List(entries) => entries.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn of_phase(entries: &[Value], phase: &str) -> Vec<Value> {
        let entries = entries.iter();
        let found = entries.filter(|entry| entry.text("ph") == phase);
        found.cloned().collect()
    }

    fn tenths(entry: &Value) -> (i64, i64) {
        let from = (entry.number("ts") * 10.0).round() as i64;
        (from, from + (entry.number("dur") * 10.0).round() as i64)
    }

    #[test]
    fn a_track_per_task_with_its_steps_and_waits() {
        let entries = entries(&handoff().to_chrome_json());
        let clerk = of_phase(&entries, "X");
        let mut clerk: Vec<_> = clerk
            .iter()
            .filter(|slice| slice.number("tid") == 3.0)
            .collect();
        clerk.sort_by_key(|slice| tenths(slice));
        let names: Vec<_> = clerk.iter().map(|slice| slice.text("name")).collect();
        assert_eq!(
            names,
            [
                "ready", "step", "Lock-1", "ready", "step", "200ms", "ready", "step"
            ]
        );
        assert_eq!(
            clerk[2].get("args").text("ended"),
            "woken by Task-2 through Lock-1"
        );
    }

    #[test]
    fn slices_of_a_track_stand_one_behind_the_other() {
        for timeline in [handoff(), trouble(), crowd(5, 9)] {
            let mut tracks: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
            for slice in of_phase(&entries(&timeline.to_chrome_json()), "X") {
                let track = slice.number("tid") as u64;
                tracks.entry(track).or_default().push(tenths(&slice));
            }
            for (track, mut slices) in tracks {
                slices.sort_unstable();
                let crossing = slices.windows(2).find(|pair| pair[0].1 > pair[1].0);
                assert_eq!(crossing, None, "in track {track}");
            }
        }
    }

    #[test]
    fn an_arrow_has_two_ends_and_each_is_in_a_slice() {
        for timeline in [handoff(), trouble(), crowd(5, 9)] {
            let entries = entries(&timeline.to_chrome_json());
            let (from, to) = (of_phase(&entries, "s"), of_phase(&entries, "f"));
            let ids =
                |ends: &[Value]| -> Vec<f64> { ends.iter().map(|end| end.number("id")).collect() };
            assert_eq!(ids(&from), ids(&to));
            assert!(!from.is_empty());
            let slices = of_phase(&entries, "X");
            for end in from.iter().chain(&to) {
                let at = (end.number("ts") * 10.0).round() as i64;
                let mut around = slices.iter().filter(|slice| {
                    let (from, to) = tenths(slice);
                    slice.get("tid") == end.get("tid") && (from..=to).contains(&at)
                });
                assert!(around.next().is_some(), "{end:?}");
            }
        }
    }

    #[test]
    fn notes_and_failures_are_instants_whatever_they_say() {
        let entries = entries(&trouble().to_chrome_json());
        let instants = of_phase(&entries, "i");
        let names: Vec<_> = instants
            .iter()
            .map(|instant| instant.text("name"))
            .collect();
        assert!(names.contains(&"I <want> the \"db\""));
        assert!(names.contains(&"departure: it goes first"));
        assert!(
            names
                .iter()
                .any(|name| name.starts_with("failure: deadlock: Task-1"))
        );
    }

    #[test]
    fn an_empty_timeline_is_a_trace_too() {
        let entries = entries(&super::Timeline::default().to_chrome_json());
        assert_eq!(of_phase(&entries, "X"), []);
    }
}
