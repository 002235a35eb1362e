//! The run as one SVG: no script, light and dark, and small enough to stand in a page.
//!
//! A lane is a task, a column is a handle. What one task does to another it does in a step, so its arrow is vertical: from the lane of
//! the one that ran to the lane of the one that it was done to, whose wait ends at that very place.
//!
//! A long run is drawn with less: with shorter words, then with a column for each turn, then with steps that follow each other closely as one
//! bar, until it fits.

mod drawing;
mod lane;
mod legend;
mod pen;

use self::{
    lane::{Bar, Look, Strip, fold_bars, fold_strips, turns},
    pen::text_width,
};
use super::{
    EventKind, Timeline, Wait,
    layout::{Column, Layout, Span, State},
    story::short,
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// How large a picture may be: what a page can bear. Only very many tasks get more.
const BYTES: usize = 29_500;
const BYTES_PER_TASK: usize = 450;
/// A run of more handles than this is drawn by turns.
const COLUMNS: usize = 240;
/// How wide all turns of such a run can become, and all gaps.
const TURNS_WIDTH: f64 = 2400.0;
const GAPS_WIDTH: f64 = 600.0;
const BAR: f64 = 16.0;
const STRIP: f64 = 11.0;
/// Between two lanes.
const SPACE: f64 = 12.0;
/// A name has so many characters at most.
const NAME: usize = 22;
const COLOURS: usize = 6;
/// With so many turns in one bar, it is no longer told apart what was held.
const WHATEVER: f64 = 12.0;

impl Timeline {
    /// The run as a picture: one SVG that needs nothing else, without scripts, for light pages and for dark ones.
    ///
    /// A lane is a task and a column is a handle: a step, or a timer. On a wait stands what it is for, the strips below a lane are
    /// what the task holds, arrows say who woke whom. Every bar has its story as a `<title>`, which browsers show when pointed at.
    ///
    /// The picture of up to 60 tasks has less than 30 KB, however long they ran. Of a long run, steps that follow each other closely
    /// are drawn as one bar, which says how many there are. The same timeline always gives the same picture.
    ///
    /// # Examples
    /// ```
    /// use soloop::{EventLoop, sleep, trace};
    /// use std::time::Duration;
    ///
    /// let nap = async { sleep(Duration::from_secs(1)).await };
    /// let (_, timeline) = trace::record(&mut EventLoop::with_virtual_clock(), nap);
    /// assert!(timeline.to_svg().contains("<title>Task-1 waits until 1s"));
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let layout = Layout::of(self);
        let bytes = BYTES.max(layout.tasks.len() * BYTES_PER_TASK);
        first_that_fits(&layout, bytes, |detail| {
            Picture::new(&layout, detail).draw()
        })
    }
}

/// Draws with all the detail that there is room for.
fn first_that_fits(
    layout: &Layout<'_>,
    bytes: usize,
    mut draw: impl FnMut(Detail) -> String,
) -> String {
    let folds = folds(count_turns(&layout.columns) as f64);
    let (finest, coarser) = folds.split_first().expect("there is one");
    let tries = [
        Detail::Whole,
        Detail::Terse,
        Detail::Turns { fold: *finest },
    ];
    let long = layout.columns.len() > COLUMNS;
    for detail in tries.into_iter().skip(if long { 2 } else { 0 }) {
        let svg = draw(detail);
        if svg.len() <= bytes {
            return svg;
        }
    }
    // The more steps in a bar, the smaller the picture: it is looked for by halves, since of a thousand tasks each takes its time.
    let mut fits = None;
    let _ = coarser.partition_point(|fold| {
        let svg = draw(Detail::Turns { fold: *fold });
        let too_large = svg.len() > bytes;
        if !too_large {
            fits = Some(svg);
        }
        too_large
    });
    fits.unwrap_or_else(|| {
        let fold = *folds.last().expect("there is one");
        draw(Detail::Turns { fold })
    })
}

/// How many turns may be apart that are drawn as one bar: from few to all of them.
fn folds(turns: f64) -> Vec<f64> {
    // Of many thousands of turns, no bar can stand for less than a good many.
    let least = (turns / 500.0).floor();
    let more = |fold: &f64| (*fold <= turns).then(|| (fold * 1.4).max(0.3));
    std::iter::successors(Some(least), more).collect()
}

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Detail {
    /// A column for each handle, and the whole story in the titles.
    Whole,
    /// A column for each handle, and short titles.
    Terse,
    /// A column for each turn, and steps as one bar that are no more than so many turns apart.
    Turns { fold: f64 },
}

/// Where everything stands.
struct Picture<'a> {
    layout: &'a Layout<'a>,
    detail: Detail,
    /// How wide the names are.
    gutter: f64,
    /// From where to where each column goes.
    columns: Vec<(f64, f64)>,
    gaps: usize,
    /// Where the last column ends.
    right: f64,
    /// How wide a turn is, gaps included.
    turn_width: f64,
    /// The primitives, in the order of their first use: each has a colour.
    primitives: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
    lanes: Vec<Lane<'a>>,
    /// Where the lanes begin, and end.
    top: f64,
    bottom: f64,
}

struct Lane<'a> {
    /// The upper edge of its bars.
    y: f64,
    bars: Vec<Bar>,
    strips: Vec<Strip<'a>>,
}

impl<'a> Picture<'a> {
    fn new(layout: &'a Layout<'a>, detail: Detail) -> Self {
        let primitives = primitives(layout);
        let names = layout.titles.iter().map(|title| title.chars().count());
        let longest = names.max().unwrap_or(0).clamp(4, NAME);
        let mut picture = Self {
            layout,
            detail,
            gutter: text_width(&"m".repeat(longest), 11.0) + 20.0,
            columns: Vec::new(),
            gaps: layout
                .columns
                .iter()
                .filter(|column| column.gap.is_some())
                .count(),
            right: 0.0,
            turn_width: 0.0,
            numbers: primitives.iter().copied().zip(0..).collect(),
            primitives,
            lanes: Vec::new(),
            top: 0.0,
            bottom: 0.0,
        };
        picture.place_columns();
        picture.top = match picture.marks().is_empty() {
            true => 64.0,
            false => 86.0,
        };
        picture.place_lanes();
        picture
    }

    fn by_turn(&self) -> bool {
        matches!(self.detail, Detail::Turns { .. })
    }

    fn place_columns(&mut self) {
        let columns = &self.layout.columns;
        let by_step = (860.0 / columns.len().max(1) as f64).clamp(8.0, 44.0);
        let count = count_turns(columns).max(1) as f64;
        let by_turn = (1000.0 / count).clamp(4.0_f64.min(TURNS_WIDTH / count), 24.0);
        let mut x = self.gutter;
        for turn in columns.chunk_by(|one, next| one.turn == next.turn) {
            let width = match self.by_turn() {
                true => by_turn / turn.len() as f64,
                false => by_step,
            };
            for column in turn {
                x += column.gap.map_or(0.0, |gap| self.gap_width(gap));
                self.columns.push((x, x + width));
                x += width;
            }
        }
        self.right = x;
        self.turn_width = (x - self.gutter) / count;
    }

    /// A gap has room for its label, but in a long run.
    fn gap_width(&self, gap: Duration) -> f64 {
        match self.by_turn() {
            true => (GAPS_WIDTH / self.gaps as f64).min(5.0),
            false => text_width(&gap_label(gap), 10.0) + 12.0,
        }
    }

    fn place_lanes(&mut self) {
        let strips = self.strips();
        let mut y = self.top;
        for (slot, mut strips) in strips.into_iter().enumerate() {
            let mut bars = self.bars(slot);
            if let Detail::Turns { fold } = self.detail {
                let apart = fold * self.turn_width;
                bars = fold_bars(bars, apart);
                strips = fold_strips(strips, apart, fold >= WHATEVER);
            }
            let rows = strips.iter().map(|strip| strip.row + 1).max().unwrap_or(0);
            self.lanes.push(Lane { y, bars, strips });
            y += BAR + rows as f64 * (STRIP + 1.0) + SPACE;
        }
        self.bottom = y - SPACE / 2.0;
    }

    /// Where an event is: in its column, at its place among the others.
    fn x(&self, place: usize) -> f64 {
        let Some(column) = self.layout.column_of.get(place) else {
            return self.right;
        };
        let (from, to) = self.columns[*column];
        let events = &self.layout.columns[*column].events;
        let share = (place - events.start) as f64 + 0.5;
        from + (to - from) * share / events.len() as f64
    }

    /// The turn that an event is drawn in: a note or a failure that comes between two turns stands in the one before.
    fn turn(&self, place: usize) -> u64 {
        let (columns, column_of) = (&self.layout.columns, &self.layout.column_of);
        let column = column_of.get(place).map(|column| &columns[*column]);
        column.or(columns.last()).map_or(0, |column| column.turn)
    }

    /// Where a state begins. A step takes its whole column, and what its task does next begins behind it.
    fn edge(&self, task: u64, span: &Span<'_>) -> f64 {
        let column = self.layout.column_of[span.from];
        match span.state {
            State::Running => self.columns[column].0,
            _ if self.layout.runner(column) == Some(task) => self.columns[column].1,
            _ => self.x(span.from),
        }
    }

    fn bars(&self, slot: usize) -> Vec<Bar> {
        let task = self.layout.tasks[slot];
        let life = &self.layout.lives[slot];
        let mut bars = Vec::with_capacity(life.len());
        for (n, span) in life.iter().enumerate() {
            let (look, label) = match span.state {
                State::Running => (Look::Step, String::new()),
                State::Ready => (Look::Ready, String::new()),
                State::Waiting(on) => {
                    let mut numbers = on.iter().filter_map(|wait| self.number_of(wait));
                    (Look::Wait(numbers.next()), self.layout.wait_labels(on))
                }
                State::Ended(_) => break,
            };
            let next = life.get(n + 1);
            bars.push(Bar {
                from: self.edge(task, span),
                to: next.map_or(self.right, |next| self.edge(task, next)),
                look,
                title: self.title(slot, span, &label),
                label,
                turns: (self.turn(span.from), self.turn(span.to)),
                steps: usize::from(look == Look::Step),
            });
        }
        bars
    }

    fn number_of(&self, wait: &Wait) -> Option<usize> {
        match wait {
            Wait::Primitive(what) => self.numbers.get(&**what).copied(),
            _ => None,
        }
    }

    fn title(&self, slot: usize, span: &Span<'_>, label: &str) -> String {
        let (name, turn) = (&self.layout.titles[slot], self.turn(span.from));
        let column = &self.layout.columns[self.layout.column_of[span.from]];
        let waited = turns((turn, self.turn(span.to)));
        let whole = self.detail == Detail::Whole;
        match span.state {
            State::Running if whole => format!("{name}, turn {turn}: {}", self.layout.tell(column)),
            State::Running => format!("turn {turn}"),
            State::Waiting(on) if whole => {
                let end = self.layout.cause(span.to);
                let end = end.unwrap_or_else(|| match span.to < self.layout.column_of.len() {
                    true => "to its end".to_owned(),
                    false => "for ever".to_owned(),
                });
                format!("{name} waits {}, {waited}: {end}", self.layout.waits(on))
            }
            State::Waiting(_) => format!("{label}, {waited}"),
            State::Ready => match self.layout.cause(span.from) {
                Some(cause) => format!("{name} is ready: {cause}"),
                None => format!("{name} is ready"),
            },
            State::Ended(_) => String::new(),
        }
    }

    /// What each task holds, with a row for each thing that it holds at the same time.
    fn strips(&self) -> Vec<Vec<Strip<'a>>> {
        let tasks = self.layout.tasks.len();
        let mut strips: Vec<Vec<Strip<'a>>> = (0..tasks).map(|_| Vec::new()).collect();
        // Where the last strip of each row ends.
        let mut ends: Vec<Vec<f64>> = vec![Vec::new(); tasks];
        for holding in &self.layout.holdings {
            let slot = self.layout.slot(holding.task);
            let (from, to) = (self.x(holding.from), self.x(holding.to));
            let ends = &mut ends[slot];
            let free = ends.iter().position(|end| *end <= from);
            let row = free.unwrap_or_else(|| {
                ends.push(to);
                ends.len() - 1
            });
            ends[row] = to;
            strips[slot].push(Strip {
                from,
                to,
                row,
                what: holding.what,
                turns: (self.turn(holding.from), self.turn(holding.to)),
                times: 1,
            });
        }
        strips
    }
}

fn count_turns(columns: &[Column]) -> usize {
    let turns = columns.chunk_by(|one, next| one.turn == next.turn);
    turns.count()
}

/// The primitives that somebody waits for or holds, in the order of their first use.
fn primitives<'a>(layout: &Layout<'a>) -> Vec<&'a str> {
    let mut known = HashSet::new();
    let mut primitives: Vec<&'a str> = Vec::new();
    for event in layout.timeline.events() {
        match &event.kind {
            EventKind::Acquired { what } => {
                primitives.extend(Some(&**what).filter(|what| known.insert(*what)));
            }
            EventKind::Suspended { on } => {
                let names = on.iter().filter_map(|wait| match wait {
                    Wait::Primitive(what) => Some(&**what),
                    _ => None,
                });
                primitives.extend(names.filter(|what| known.insert(*what)));
            }
            _ => {}
        }
    }
    primitives
}

fn gap_label(gap: Duration) -> String {
    format!("+{}", short(gap))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{EventKind::*, by_hand::*},
        *,
    };

    /// The tags of a document, each with what stands before it. Panics where it is not well-formed XML of the plain kind that we write.
    fn tags(svg: &str) -> Vec<(&str, &str)> {
        let mut tags = Vec::new();
        let mut open = Vec::new();
        let mut left = svg.trim_end();
        while let Some((text, rest)) = left.split_once('<') {
            let (tag, rest) = rest.split_once('>').expect("a tag ends");
            check_entities(text);
            check_attributes(tag);
            let name = tag.split([' ', '/']).find(|part| !part.is_empty());
            match (tag.strip_prefix('/'), tag.ends_with('/')) {
                (Some(closed), _) => assert_eq!(open.pop(), Some(closed)),
                (None, true) => {}
                (None, false) => open.extend(name),
            }
            assert_eq!(open.is_empty(), rest.is_empty(), "one root");
            tags.push((text, tag));
            left = rest;
        }
        assert_eq!((left, open.len()), ("", 0));
        tags
    }

    fn check_entities(text: &str) {
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
        for entity in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;"];
            assert!(
                known.iter().any(|known| entity.starts_with(known)),
                "{text:?}"
            );
        }
    }

    fn check_attributes(tag: &str) {
        for attribute in attributes(tag) {
            let (name, value) = attribute;
            assert!(
                name.chars().all(|c| c.is_ascii_alphabetic() || c == '-'),
                "<{tag}>"
            );
            assert!(!value.is_empty() || name == "class", "<{tag}>");
            assert!(!value.contains(['<', '"']), "<{tag}>");
        }
    }

    fn attributes(tag: &str) -> Vec<(&str, &str)> {
        let mut left = tag
            .trim_end_matches('/')
            .split_once(' ')
            .map_or("", |(_, left)| left);
        let mut attributes = Vec::new();
        while let Some((name, rest)) = left.split_once("=\"") {
            let (value, rest) = rest.split_once('"').expect("a quote at the end");
            attributes.push((name.trim(), value));
            left = rest;
        }
        assert_eq!(left, "", "<{tag}>");
        attributes
    }

    fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
        let found = attributes(tag).into_iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value)
    }

    /// Where each text stands: its line, from where to where, and what it says.
    fn texts(svg: &str) -> Vec<(f64, f64, f64, String)> {
        let tags = tags(svg);
        let texts = tags.windows(2).filter(|pair| pair[0].1.starts_with("text"));
        texts
            .map(|pair| {
                let (tag, words) = (pair[0].1, pair[1].0);
                let number = |name| attribute(tag, name).unwrap().parse::<f64>().unwrap();
                let size = match attribute(tag, "class") {
                    Some("e" | "i") => 10.0,
                    _ => 11.0,
                };
                let words = ["&amp;", "&lt;", "&gt;", "&quot;"]
                    .iter()
                    .fold(words.to_owned(), |words, entity| words.replace(entity, "."));
                let left = number("x");
                let right = left + super::text_width(&words, size);
                (number("y"), left, right, words)
            })
            .collect()
    }

    fn pictures() -> [(&'static str, String); 4] {
        [
            ("handoff", handoff().to_svg()),
            ("trouble", trouble().to_svg()),
            ("crowd", crowd(20, 100).to_svg()),
            ("nothing", super::Timeline::default().to_svg()),
        ]
    }

    #[test]
    fn every_picture_is_well_formed() {
        for (_, svg) in pictures() {
            assert!(tags(&svg).len() > 4);
        }
    }

    #[test]
    fn every_bar_has_a_title() {
        for (name, svg) in pictures() {
            let tags = tags(&svg);
            // Of a long run, bars are paths, inside of groups as they always are.
            let is_bar = |tag: &str| {
                tag.starts_with("rect") || tag.starts_with("path") && !tag.ends_with('/')
            };
            let bars: Vec<_> = tags.windows(3).filter(|three| is_bar(three[0].1)).collect();
            for bar in &bars {
                assert_eq!((bar[1].1, bar[2].1), ("title", "/title"), "{name}");
                assert_ne!(bar[2].0, "", "{name}");
            }
            assert_eq!(bars.is_empty(), name == "nothing");
        }
    }

    #[test]
    fn no_text_overlaps_another() {
        for (name, svg) in pictures() {
            let texts = texts(&svg);
            for (n, one) in texts.iter().enumerate() {
                for other in &texts[n + 1..] {
                    let same_line = (one.0 - other.0).abs() < 9.0;
                    let apart = one.2 <= other.1 || other.2 <= one.1;
                    assert!(!same_line || apart, "{name}: {one:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn no_text_stands_outside() {
        for (name, svg) in pictures() {
            let (_, root) = tags(&svg)[0];
            let size = |name| attribute(root, name).unwrap().parse::<f64>().unwrap();
            let (width, height) = (size("width"), size("height"));
            for text in texts(&svg) {
                assert!(
                    text.2 <= width && text.0 + 4.0 <= height,
                    "{name}: {text:?}"
                );
            }
        }
    }

    #[test]
    fn twenty_tasks_over_a_hundred_turns_are_less_than_thirty_kilobytes() {
        let steps = |tasks, turns| crowd(tasks, turns).to_svg().len();
        assert!(steps(20, 100) < 30_000, "{}", steps(20, 100));
        assert!(steps(2, 110) < 30_000, "{}", steps(2, 110));
        assert!(steps(3, 3000) < 30_000, "{}", steps(3, 3000));
    }

    #[test]
    fn a_long_run_is_drawn_a_few_times_at_the_most() {
        let run = crowd(4, 2000);
        let layout = super::Layout::of(&run);
        for bytes in [0, super::BYTES, 1_000_000] {
            let mut drawn = 0;
            super::first_that_fits(&layout, bytes, |detail| {
                drawn += 1;
                super::Picture::new(&layout, detail).draw()
            });
            assert!(drawn <= 8, "{drawn} times for {bytes} bytes");
        }
    }

    #[test]
    fn it_says_who_holds_the_lock_and_how_long() {
        let svg = handoff().to_svg();
        for title in [
            "Task-2 holds Lock-1, turns 2\u{2013}4",
            "Task-3 waits for Lock-1, turns 2\u{2013}4: woken by Task-2 through Lock-1",
            "Task-3 holds Lock-1, turns 5\u{2013}7",
        ] {
            assert!(svg.contains(&format!("<title>{title}</title>")), "{title}");
        }
    }

    #[test]
    fn more_primitives_than_it_lists_are_counted() {
        let run = (1..=14).fold(ByHand::default(), |run, n| {
            run.step(1, [(1, acquired(&format!("Lock-{n}")))], waits("Event-1"))
        });
        let svg = run.tasks(1).to_svg();
        assert!(
            svg.contains("holds Lock-12<") && svg.contains("and 3 more"),
            "{svg}"
        );
    }

    #[test]
    fn it_says_who_waits_for_ever() {
        let svg = trouble().to_svg();
        let title = "<title>Task-1 waits for Task-3, turn 4: for ever</title>";
        assert!(svg.contains(title), "{svg}");
    }

    #[test]
    fn a_failure_found_after_the_last_turn_is_of_the_last_turn_that_is_drawn() {
        let waiting = waits("Event-1");
        let run = ByHand::default().turn().step(1, [], waiting).turn();
        let failed = EventKind::Failed {
            text: "lost".into(),
        };
        let svg = run.event(None, failed).tasks(1).to_svg();
        assert!(svg.contains("aria-label=\"1 task over 1 turn\""), "{svg}");
        assert!(svg.contains("waits for Event-1, turn 1: "), "{svg}");
    }

    #[test]
    fn of_a_long_run_few_words_are_made() {
        let run = handoff();
        let layout = super::Layout::of(&run);
        let svg = super::Picture::new(&layout, super::Detail::Terse).draw();
        let titles: Vec<&str> = tags(&svg)
            .windows(2)
            .filter(|pair| pair[0].1 == "title" && pair[1].0.contains("turn"))
            .map(|pair| pair[1].0)
            .collect();
        assert_eq!(
            titles[3..7],
            ["turn 1", "turn 5", "turn 8", "Task-2, turns 1\u{2013}4"]
        );
        assert!(!svg.contains("Task-2 is ready"));
    }

    #[test]
    fn of_a_long_run_steps_so_many_turns_apart_are_one() {
        // The first task steps in turns 1 and 11, and the other in those between.
        let run = (2..=10).fold(
            ByHand::default().turn().step(1, [], waits("Event-1")),
            |run, _| run.turn().step(2, [], waits("Event-1")),
        );
        let run = run.turn().step(1, [], waits("Event-1")).tasks(2);
        let layout = super::Layout::of(&run);
        let steps = |fold| {
            let picture = super::Picture::new(&layout, super::Detail::Turns { fold });
            let bars = &picture.lanes[0].bars;
            bars.iter().map(|bar| bar.steps).collect::<Vec<_>>()
        };
        assert_eq!([steps(8.9), steps(9.1)], [vec![1, 0, 1], vec![2]]);
    }

    #[test]
    fn of_many_tasks_there_is_room_for_more() {
        assert!(crowd(100, 1).to_svg().len() > 40_000);
    }

    /// What is tried of so many columns until a picture is no larger than a hundred bytes.
    fn tried(columns: u64, size: impl Fn(Detail) -> usize) -> Vec<Detail> {
        let run = (0..columns).fold(ByHand::default(), |run, _| run.turn().step(1, [], Yielded));
        let run = run.tasks(1);
        let mut tried = Vec::new();
        first_that_fits(&Layout::of(&run), 100, |detail| {
            tried.push(detail);
            "x".repeat(size(detail))
        });
        tried
    }

    #[test]
    fn less_is_drawn_until_it_fits() {
        let (whole, terse) = (Detail::Whole, Detail::Terse);
        let turns = Detail::Turns { fold: 0.0 };
        let size = |detail| if detail == turns { 100 } else { 101 };
        assert_eq!(tried(240, size), [whole, terse, turns]);
        assert_eq!(tried(240, |_| 100), [whole]);
        assert_eq!(tried(241, |_| 100), [turns]);
    }

    #[test]
    fn no_more_is_folded_than_it_takes() {
        let fits = |detail| match detail {
            Detail::Turns { fold } if fold >= 3.0 => 100,
            _ => 101,
        };
        let fits_first = tried(300, fits)
            .into_iter()
            .filter_map(|detail| match detail {
                Detail::Turns { fold } if fold >= 3.0 => Some(fold),
                _ => None,
            });
        let least = fits_first.fold(f64::MAX, f64::min);
        assert!((3.0..3.0 * 1.4).contains(&least), "{least}");
    }

    #[test]
    fn a_note_that_is_too_long_for_any_picture_is_drawn_all_the_same() {
        let text = "so ".repeat(10_000);
        let run = ByHand::default().step(1, [(1, Note { text })], returns());
        assert!(run.tasks(1).to_svg().len() > 30_000);
    }

    #[test]
    fn light_and_dark_know_the_same_signs() {
        let (light, dark) = super::drawing::STYLE.split_once("@media").unwrap();
        let fills = |style: &str| -> Vec<String> {
            let rules = style.split('}').filter(|rule| rule.contains('#'));
            let mut signs: Vec<String> = rules
                .filter_map(|rule| rule.rsplit_once('{'))
                .flat_map(|(signs, _)| signs.rsplit('{').next().unwrap().split(','))
                .map(str::to_owned)
                .collect();
            signs.sort();
            signs.dedup();
            signs
        };
        assert_eq!(fills(light), fills(dark));
    }
}
