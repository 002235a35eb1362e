//! The drawing, from the back to the front: turns and gaps, bars, arrows, labels, ends, marks.

use super::{
    BAR, BYTES, COLOURS, Detail, Lane, NAME, Picture, STRIP, gap_label,
    lane::{Bar, Look, Strip, count, fold_bars, turns},
    pen::{self, Pen, clipped, number, text_width},
};
use crate::trace::{
    Cause, Event, EventKind, Finish,
    layout::{Column, State, Who, doer},
    story::short,
};
use std::fmt::Write;

/// Only the last so many notes are drawn: that is where it failed.
const NOTES: usize = 20;
/// The class of a mark that is one.
const FAILURE: &str = "t";
/// At most so many stripes are shaded, and so many gaps.
const STRIPES: u64 = 130;
pub(super) const GAPS: usize = 200;
/// Less would not hold the legend.
const WIDTH: f64 = 640.0;

pub(super) const STYLE: &str = "\
text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2328}\
.f{fill:#fff}.z{fill:#f3f5f8}.g{fill:#fff3d1}\
.s{fill:#59636e}.e{fill:#424a53;font-size:10px}.i{font-size:10px;fill:#fff}\
.r{fill:#2b323a}.b{fill:#2b323a;fill-opacity:.7}.q{fill:#fff;stroke:#2b323a}.w{fill:#59636e;fill-opacity:.2}\
.a,.d,.x,.k,.l{fill:none;stroke:#57606a;stroke-width:1.3}.d{stroke-dasharray:2 2}\
.x,.l{stroke:#d1242f}.k,.l{stroke-width:2}.k{stroke:#1f2328}\
.n{fill:#57606a}.p{fill:#8250df}.t{fill:#d1242f}\
.c0{fill:#0969da}.c1{fill:#1a7f37}.c2{fill:#9a3fd5}.c3{fill:#b35900}.c4{fill:#0e7490}.c5{fill:#bf3989}\
.y{fill-opacity:.22}.v{fill-opacity:.6}\
@media(prefers-color-scheme:dark){\
text{fill:#e6edf3}.f{fill:#0d1117}.z{fill:#161b22}.g{fill:#2d2611}\
.s{fill:#9da7b3}.e{fill:#b7c0ca}.i{fill:#0d1117}\
.r,.b{fill:#e6edf3}.q{fill:#0d1117;stroke:#e6edf3}.w{fill:#9da7b3}\
.a,.d{stroke:#9da7b3}.x,.l{stroke:#ff7b72}.k{stroke:#e6edf3}.n{fill:#9da7b3}.p{fill:#bc8cff}.t{fill:#ff7b72}\
.c0{fill:#58a6ff}.c1{fill:#3fb950}.c2{fill:#d2a8ff}.c3{fill:#f0a35e}.c4{fill:#39c5cf}.c5{fill:#f778ba}}";

/// A line from lane to lane, that labels should keep clear of.
#[derive(Debug, Clone, Copy)]
struct Upright {
    x: f64,
    from: f64,
    to: f64,
}

/// Something that was done to a task, drawn from the lane of the one that did it.
type Arrow = (&'static str, Upright);

/// A note, a departure or a failure.
pub(super) struct Mark<'a> {
    place: usize,
    event: &'a Event,
    class: &'static str,
    text: String,
}

impl<'a> Picture<'a> {
    pub(super) fn draw(&self) -> String {
        let mut pen = Pen::new(self.by_turn());
        self.draw_background(&mut pen);
        self.draw_axis(&mut pen);
        self.draw_loop(&mut pen);
        for (slot, lane) in self.lanes.iter().enumerate() {
            self.draw_lane(&mut pen, slot, lane);
        }
        let arrows = self.arrows();
        draw_arrows(&mut pen, &arrows);
        let uprights: Vec<Upright> = arrows.iter().map(|(_, upright)| *upright).collect();
        let uprights = [uprights, self.mark_lines()].concat();
        for lane in &self.lanes {
            self.draw_labels(&mut pen, lane, &uprights);
        }
        self.draw_ends(&mut pen);
        self.draw_marks(&mut pen);
        let width = self.right.max(WIDTH) + 16.0;
        let y = self.draw_legend(&mut pen, width, self.bottom + 26.0, !arrows.is_empty());
        let height = self.draw_notes(&mut pen, width, y);
        self.page(width, height, &pen.drawn)
    }

    fn page(&self, width: f64, height: f64, drawn: &str) -> String {
        let (width, height) = (number(width), number(height));
        let tasks = count(self.lanes.len(), "task");
        let turns = count(self.turn(usize::MAX) as usize, "turn");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{tasks} over {turns}\">\n\
             <style>{STYLE}</style>\n<path class=\"f\" d=\"M0 0h{width}v{height}H0z\"/>\n{drawn}</svg>\n"
        )
    }

    /// The columns turn by turn, with their numbers.
    fn turns(&self) -> impl Iterator<Item = Vec<(usize, &Column)>> {
        let columns = &self.layout.columns;
        let mut n = 0;
        let turns = columns.chunk_by(|one, next| one.turn == next.turn);
        turns.map(move |turn| {
            n += turn.len();
            (n - turn.len()..n).zip(turn).collect()
        })
    }

    fn edges_of(&self, turn: &[(usize, &Column)]) -> (f64, f64) {
        let (first, last) = (turn[0].0, turn[turn.len() - 1].0);
        (self.columns[first].0, self.columns[last].1)
    }

    /// Every other turn is shaded, or in a long run, of so many turns every other. So are the gaps in which nothing ran and time went on.
    fn draw_background(&self, pen: &mut Pen) {
        let (mut shades, mut gaps) = (String::new(), String::new());
        let bottom = number(self.bottom);
        let mut sizes = (0..).flat_map(|zeros| [1, 2, 5].map(|n| n * 10_u64.pow(zeros)));
        let size = sizes.find(|size| self.turn(usize::MAX) / size <= STRIPES);
        let stripe = |column: &Column| column.turn / size.unwrap_or(u64::MAX);
        let columns: Vec<(usize, &Column)> = self.layout.columns.iter().enumerate().collect();
        for turns in columns.chunk_by(|one, next| stripe(one.1) == stripe(next.1)) {
            if stripe(turns[0].1) % 2 == 1 {
                let (from, to) = self.edges_of(turns);
                let _ = write!(shades, "M{} 28V{bottom}H{}V28z", number(from), number(to));
            }
        }
        for (n, column) in columns {
            if let Some(gap) = column.gap.filter(|_| self.gaps <= GAPS) {
                let to = self.columns[n].0;
                let from = number(to - self.gap_width(gap));
                let _ = write!(gaps, "M{from} 8V{bottom}H{}V8z", number(to));
            }
        }
        pen.path("z", &shades);
        pen.path("g", &gaps);
    }

    /// The numbers of the turns and the times, where there is room for them.
    fn draw_axis(&self, pen: &mut Pen) {
        for (y, words) in [(20.0, "turn"), (40.0, "time"), (56.0, "loop")] {
            pen.text("s", 8.0, y, words);
        }
        let (mut free, mut free_time) = (0.0, 0.0);
        let mut time = None;
        for turn in self.turns() {
            let (from, to) = self.edges_of(&turn);
            let column = turn[0].1;
            if let (Some(gap), false) = (column.gap, self.by_turn()) {
                pen.text("e", from - self.gap_width(gap) + 6.0, 20.0, &gap_label(gap));
            }
            let label = column.turn.to_string();
            let width = text_width(&label, 11.0);
            let left = (from + to - width) / 2.0;
            if left >= free {
                pen.text("", left, 20.0, &label);
                free = left + width + if self.by_turn() { 22.0 } else { 6.0 };
            }
            if time.replace(column.time) != Some(column.time) && from >= free_time {
                let label = short(column.time);
                pen.text("e", from + 2.0, 40.0, &label);
                free_time = from + text_width(&label, 10.0) + 8.0;
            }
        }
        pen.drawn.push('\n');
    }

    /// The timers, and what came from outside: a row of their own above the tasks.
    fn draw_loop(&self, pen: &mut Pen) {
        let columns = self.layout.columns.iter().zip(&self.columns);
        let mut bars: Vec<Bar> = Vec::new();
        for (column, &(from, to)) in columns {
            let whose = match column.who {
                Who::Step { .. } => continue,
                Who::Timer(task) => format!("a timer of {}, ", self.layout.title(task)),
                Who::Outside => String::new(),
            };
            bars.push(Bar {
                from,
                to,
                look: Look::Step,
                label: String::new(),
                title: match self.detail {
                    Detail::Whole => {
                        format!("{whose}turn {}: {}", column.turn, self.layout.tell(column))
                    }
                    _ => format!("{whose}turn {}", column.turn),
                },
                turns: (column.turn, column.turn),
                steps: 1,
            });
        }
        if let Detail::Turns { fold } = self.detail {
            bars = fold_bars(bars, fold * self.turn_width);
        }
        pen.open_group(49.0);
        for bar in &bars {
            pen.bar("n", inset(bar), 1.0, 7.0, &bar.title);
        }
        pen.close_group();
    }

    fn draw_lane(&self, pen: &mut Pen, slot: usize, lane: &Lane<'_>) {
        let name = &self.layout.titles[slot];
        pen.text("", 8.0, lane.y + 12.0, &clipped(name, NAME));
        pen.open_group(lane.y);
        // With few words, being ready is a line and no bar.
        let mut lines = String::new();
        // Those of one look together: that is shorter.
        let mut bars: Vec<(String, &Bar)> =
            lane.bars.iter().map(|bar| (class(bar.look), bar)).collect();
        bars.sort_by(|one, next| one.0.cmp(&next.0));
        for (class, bar) in bars {
            let edges = (bar.from, bar.to);
            match bar.look {
                Look::Step => pen.bar(&class, inset(bar), 0.0, BAR, &bar.title),
                Look::Busy | Look::Wait(_) => pen.bar(&class, edges, 0.0, BAR, &bar.title),
                Look::Ready if self.detail == Detail::Whole => {
                    let edges = (bar.from + 0.5, bar.to - 0.5);
                    pen.bar(&class, edges, 4.5, 7.0, &bar.title);
                }
                Look::Ready => {
                    let _ = write!(lines, "M{} 8H{}", number(bar.from), number(bar.to));
                }
            }
        }
        for strip in &lane.strips {
            // What was held now and then is paler than what was held all the time.
            let class = match (self.numbers.get(strip.what), strip.times) {
                (Some(n), 1) => format!("c{}", n % COLOURS),
                (Some(n), _) => format!("v c{}", n % COLOURS),
                (None, _) => "b".to_owned(),
            };
            let title = self.strip_title(name, strip);
            let edges = (strip.from, strip.to);
            pen.bar(&class, edges, strip_top(strip), STRIP, &title);
        }
        pen.path("a", &lines);
        pen.close_group();
    }

    fn strip_title(&self, name: &str, strip: &Strip<'_>) -> String {
        match (self.detail, strip.times) {
            (Detail::Whole, _) => format!("{name} holds {}, {}", strip.what, turns(strip.turns)),
            (_, 1) => format!("holds {}", strip.what),
            (_, times) => format!("holds {}, {times} times", strip.what),
        }
    }

    /// Who did something to whom; none, if they would be most of the picture. What a task does to itself needs no arrow, and
    /// a request to cancel that wakes needs one only.
    fn arrows(&self) -> Vec<Arrow> {
        let events = self.layout.timeline.events();
        let mut arrows = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let class = match &event.kind {
                EventKind::Spawned { .. } => "d",
                EventKind::CancelRequested { .. } => {
                    let woken = events.get(place + 1).filter(|next| is_stop(&next.kind));
                    if woken.is_some_and(|next| next.task == event.task) {
                        continue;
                    }
                    "x"
                }
                kind if is_stop(kind) => "x",
                EventKind::Woken { .. } => "a",
                _ => continue,
            };
            let runner = self.layout.runner(self.layout.column_of[place]);
            let by = doer(&event.kind).or(runner);
            if let Some(task) = event.task.filter(|task| by != Some(*task)) {
                arrows.push((class, self.upright(self.x(place), by, task)));
            }
        }
        const BYTES_PER_ARROW: usize = 28;
        match arrows.len() * BYTES_PER_ARROW <= BYTES / 3 {
            true => arrows,
            false => Vec::new(),
        }
    }

    fn upright(&self, x: f64, by: Option<u64>, task: u64) -> Upright {
        let to = self.lanes[self.layout.slot(task)].y;
        let Some(by) = by else {
            let from = 57.0;
            return Upright { x, from, to };
        };
        let from = self.lanes[self.layout.slot(by)].y;
        let (from, to) = match from < to {
            true => (from + BAR, to),
            false => (from, to + BAR),
        };
        Upright { x, from, to }
    }

    /// Writes on bars and strips what they are for, where there is room between the arrows, or else across them.
    fn draw_labels(&self, pen: &mut Pen, lane: &Lane<'_>, uprights: &[Upright]) {
        for bar in &lane.bars {
            if let Some(x) = place((bar.from, bar.to), lane.y + 8.0, &bar.label, uprights) {
                pen.text("e", x, lane.y + 11.5, &bar.label);
            }
        }
        // In a long run, the colours have to do.
        for strip in lane.strips.iter().filter(|_| !self.by_turn()) {
            let y = lane.y + strip_top(strip);
            for label in [format!("holds {}", strip.what), strip.what.to_owned()] {
                if let Some(x) = place((strip.from, strip.to), y + 5.0, &label, uprights) {
                    pen.text("i", x, y + 9.0, &label);
                    break;
                }
            }
        }
        pen.drawn.push('\n');
    }

    /// How each task ended, and where.
    fn draw_ends(&self, pen: &mut Pen) {
        let (mut ends, mut crosses) = (String::new(), String::new());
        for (slot, life) in self.layout.lives.iter().enumerate() {
            let Some(span) = life.last() else { continue };
            let State::Ended(how) = span.state else {
                continue;
            };
            let x = self.edge(self.layout.tasks[slot], span);
            let y = self.lanes[slot].y;
            match how {
                Finish::Returned => ends.push_str(&pen::end_mark(x, y)),
                _ => crosses.push_str(&pen::cross_mark(x, y)),
            }
        }
        pen.path("k", &ends);
        pen.path("l", &crosses);
    }

    /// What was noted, where an explorer departed, and where it failed.
    pub(super) fn marks(&self) -> Vec<Mark<'a>> {
        let events: &'a [Event] = self.layout.timeline.events();
        let mut marks = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let (class, text) = match &event.kind {
                EventKind::Note { text } => ("n", text.clone()),
                EventKind::Departed { text } => ("p", format!("departure: {text}")),
                EventKind::Failed { text } => (FAILURE, format!("failure: {text}")),
                _ => continue,
            };
            marks.push(Mark {
                place,
                event,
                class,
                text,
            });
        }
        let first = marks.len().saturating_sub(NOTES);
        marks.split_off(first)
    }

    /// The line from a mark to its task's lane; of a failure, through all lanes.
    fn mark_lines(&self) -> Vec<Upright> {
        let line = |mark: Mark<'a>| {
            let task = mark.event.task.filter(|_| mark.class != FAILURE);
            Upright {
                x: self.x(mark.place),
                from: 84.0,
                to: task.map_or(self.bottom, |task| self.lanes[self.layout.slot(task)].y),
            }
        };
        self.marks().into_iter().map(line).collect()
    }

    /// A mark is a number above the lanes, and stands beside its line where there are many.
    fn draw_marks(&self, pen: &mut Pen) {
        let mut free = self.gutter;
        for (n, (mark, line)) in (1..).zip(self.marks().iter().zip(self.mark_lines())) {
            let x = line.x.max(free + 8.0);
            free = x + 8.0;
            let [at, down, to] = [x, line.x, line.to].map(number);
            let class = if mark.class == FAILURE { "x" } else { "d" };
            pen.path(class, &format!("M{at} 76L{down} 84V{to}"));
            pen.badge(mark.class, x, 74.0, n, &mark.text);
        }
    }

    /// Writes out the marks. Returns the height of it all.
    fn draw_notes(&self, pen: &mut Pen, width: f64, y: f64) -> f64 {
        let room = ((width - 48.0) / text_width("m", 11.0)) as usize;
        let mut y = y + 24.0;
        for (n, mark) in (1..).zip(self.marks()) {
            let task = mark.event.task.map(|task| self.layout.title(task));
            let who = task.map_or(String::new(), |task| format!(", {task}"));
            // The turn that it is drawn in: a failure may be written down when the next one has begun.
            let turn = self.layout.columns[self.layout.column_of[mark.place]].turn;
            let note = format!("turn {turn}{who}: {}", mark.text);
            pen.badge(mark.class, 16.0, y - 4.0, n, "");
            for line in pen::lines(&note, room) {
                pen.text("", 30.0, y, &line);
                y += 16.0;
            }
            y += 2.0;
        }
        y - 10.0
    }
}

fn is_stop(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Woken {
            through: Cause::Cancel | Cause::Timeout,
            ..
        }
    )
}

fn class(look: Look) -> String {
    match look {
        Look::Step => "r".to_owned(),
        Look::Busy => "b".to_owned(),
        Look::Ready => "q".to_owned(),
        Look::Wait(None) => "w".to_owned(),
        Look::Wait(Some(n)) => format!("y c{}", n % COLOURS),
    }
}

/// Two steps side by side are two.
fn inset(bar: &Bar) -> (f64, f64) {
    match bar.to - bar.from > 6.0 {
        true => (bar.from, bar.to - 1.0),
        false => (bar.from, bar.to),
    }
}

fn strip_top(strip: &Strip<'_>) -> f64 {
    BAR + 1.0 + strip.row as f64 * (STRIP + 1.0)
}

fn draw_arrows(pen: &mut Pen, arrows: &[Arrow]) {
    for class in ["d", "a", "x"] {
        let of_class = arrows.iter().filter(|(own, _)| *own == class);
        let paths = of_class.map(|(_, line)| pen::arrow(line.x, line.from, line.to));
        pen.path(class, &paths.collect::<String>());
    }
}

/// Where a label can begin that is to stand between those edges.
fn place((from, to): (f64, f64), y: f64, label: &str, uprights: &[Upright]) -> Option<f64> {
    let width = text_width(label, 10.0) + 8.0;
    if label.is_empty() || to - from < width {
        return None;
    }
    let crossing = uprights.iter().filter(|line| {
        let (top, bottom) = (line.from.min(line.to), line.from.max(line.to));
        (top..bottom).contains(&y) && (from..to).contains(&line.x)
    });
    let mut edges: Vec<f64> = crossing.map(|line| line.x).chain([from, to]).collect();
    edges.sort_by(f64::total_cmp);
    let mut rooms = edges.windows(2);
    let room = rooms.find(|room| room[1] - room[0] >= width);
    Some(room.map_or(from, |room| room[0]) + 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_step_is_drawn_in_full() {
        let step = |to| Bar {
            from: 0.0,
            to,
            look: Look::Step,
            label: String::new(),
            title: String::new(),
            turns: (0, 0),
            steps: 1,
        };
        assert_eq!(
            [inset(&step(6.0)), inset(&step(8.0))],
            [(0.0, 6.0), (0.0, 7.0)]
        );
    }

    #[test]
    fn a_label_stands_where_it_just_fits() {
        let width = text_width("Lock-1", 10.0) + 8.0;
        let place = |to| place((0.0, to), 0.0, "Lock-1", &[]);
        assert_eq!([place(width), place(width - 0.1)], [Some(4.0), None]);
    }
}
