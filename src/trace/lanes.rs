//! Lanes of text: the run as a picture that a terminal can show, and below it the same as a story, a line for each handle.

use super::{
    EventKind, Finish, Timeline,
    layout::{Column, Holding, Layout, Span, State, Who},
    story::short,
};
use std::{
    collections::{BTreeSet, HashMap},
    fmt::{self, Display, Formatter},
    ops::Range,
};

/// How wide a line may be.
const WIDTH: usize = 110;
/// A name takes no more than this.
const NAME: usize = 20;
/// Of a longer run the beginning and the end are printed, so many columns of each.
const HEAD: usize = 40;
const TAIL: usize = 120;

/// Lanes of plain text, and below them the same as a story.
///
/// A lane is a task, and a column is a handle: a step, or a timer, with the turn's number above its first. Below the tasks stand the
/// locks and semaphores that were held, and by whom. A run of more than 160 handles is printed without its middle, and in full by `{:#}`.
impl Display for Timeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let layout = Layout::of(self);
        let all = layout.columns.len();
        let cut = !f.alternate() && all > HEAD + TAIL;
        let (head, tail) = match cut {
            true => (0..HEAD, all - TAIL..all),
            false => (0..all, all..all),
        };
        let lanes = Lanes::new(&layout, head.len() + tail.len());
        lanes.write(f, head.clone())?;
        if cut {
            writeln!(f, "...\n")?;
        }
        lanes.write(f, tail.clone())?;
        writeln!(f, "{}\n\n  turn      time", lanes.legend())?;
        let mut story = Story::new(&lanes);
        for column in head {
            story.write(f, column)?;
        }
        if cut {
            writeln!(f, "\n  ... {} handles are left out ...", all - HEAD - TAIL)?;
        }
        for column in tail {
            story.write(f, column)?;
        }
        Ok(())
    }
}

struct Lanes<'a> {
    layout: &'a Layout<'a>,
    /// How wide the names are.
    gutter: usize,
    /// How wide a column is.
    cell: usize,
    /// What is drawn in a lane, and is to be explained.
    held: Vec<(&'a str, usize)>,
}

impl<'a> Lanes<'a> {
    fn new(layout: &'a Layout<'a>, columns: usize) -> Self {
        let held: BTreeSet<(usize, &str, usize)> = layout
            .holdings
            .iter()
            .map(|holding| (first_held(layout, holding.what), holding.what, holding.row))
            .collect();
        let held: Vec<(&str, usize)> = held.iter().map(|(_, what, row)| (*what, *row)).collect();
        let names = layout.titles.iter().map(|title| title.chars().count());
        let labels = held.iter().map(|(what, _)| what.chars().count());
        let gutter = names.chain(labels).max().unwrap_or(0).clamp(6, NAME);
        let gaps: usize = layout.columns.iter().map(gap_width).sum();
        let room = WIDTH.saturating_sub(gutter + 1 + gaps);
        Self {
            layout,
            gutter,
            cell: (room / columns.max(1)).clamp(2, 4),
            held,
        }
    }

    /// Writes the lanes of some columns, in as many blocks as it takes.
    fn write(&self, f: &mut Formatter<'_>, columns: Range<usize>) -> fmt::Result {
        let mut first = columns.start;
        while first < columns.end {
            let mut width = 0;
            let mut end = first;
            while end < columns.end {
                width += gap_width(&self.layout.columns[end]) + self.cell;
                if width > WIDTH - self.gutter - 1 {
                    break;
                }
                end += 1;
            }
            self.write_block(f, first..end)?;
            first = end;
        }
        Ok(())
    }

    fn write_block(&self, f: &mut Formatter<'_>, columns: Range<usize>) -> fmt::Result {
        let block = Block::new(self, columns);
        self.write_lane(f, "turn", &block.turns())?;
        if let Some(marks) = block.marks() {
            self.write_lane(f, "", &marks)?;
        }
        for (slot, life) in self.layout.lives.iter().enumerate() {
            let lane = block.life(self.layout.tasks[slot], life);
            if lane.iter().any(|c| *c != ' ') {
                self.write_lane(f, &self.layout.titles[slot], &lane)?;
            }
        }
        for &(what, row) in &self.held {
            let lane = block.held(what, row);
            if lane.iter().any(|c| *c != ' ') {
                self.write_lane(f, what, &lane)?;
            }
        }
        writeln!(f)
    }

    fn write_lane(&self, f: &mut Formatter<'_>, name: &str, lane: &[char]) -> fmt::Result {
        let lane: String = lane.iter().collect();
        let name = clip(name, self.gutter);
        writeln!(
            f,
            "{name:gutter$} {}",
            lane.trim_end(),
            gutter = self.gutter
        )
    }

    /// What the signs mean: those that occur.
    fn legend(&self) -> String {
        let events = self.layout.timeline.events();
        let any = |is: fn(&EventKind) -> bool| events.iter().any(|event| is(&event.kind));
        let ended = |is: fn(&Finish) -> bool| {
            events.iter().any(|event| match &event.kind {
                EventKind::Finished { how } => is(how),
                _ => false,
            })
        };
        let signs = [
            (true, "█ runs"),
            (true, "░ is ready"),
            (true, "─ waits"),
            (!self.held.is_empty(), "═ holds something meanwhile"),
            (ended(|how| *how == Finish::Returned), "┤ returned"),
            (
                ended(|how| matches!(how, Finish::Raised(_) | Finish::Panicked)),
                "✗ raised",
            ),
            (
                any(|kind| matches!(kind, EventKind::CancelRequested { .. }))
                    || ended(|how| *how == Finish::Cancelled),
                "× cancelled",
            ),
            (ended(|how| *how == Finish::Dropped), "† dropped"),
            (any(|kind| matches!(kind, EventKind::Note { .. })), "n note"),
            (
                any(|kind| matches!(kind, EventKind::Departed { .. })),
                "! departure",
            ),
            (
                any(|kind| matches!(kind, EventKind::Failed { .. })),
                "F failure",
            ),
        ];
        let shown = signs.iter().filter(|(occurs, _)| *occurs);
        let mut legend = String::new();
        let mut width = 0;
        for (n, (_, sign)) in shown.enumerate() {
            let wide = sign.chars().count();
            let (space, from) = match width + 3 + wide > WIDTH {
                _ if n == 0 => ("", 0),
                true => ("\n", 0),
                false => ("   ", width + 3),
            };
            legend.push_str(space);
            legend.push_str(sign);
            width = from + wide;
        }
        legend
    }
}

/// As many columns as fit side by side.
struct Block<'a> {
    layout: &'a Layout<'a>,
    columns: Range<usize>,
    /// Where each column begins, behind the gap before it; and where the last one ends.
    starts: Vec<usize>,
    cell: usize,
    /// The events that happened in them.
    events: Range<usize>,
    /// What is held meanwhile: by each task, and in each row of each primitive.
    of_task: HashMap<u64, Vec<&'a Holding<'a>>>,
    of_row: HashMap<(&'a str, usize), Vec<&'a Holding<'a>>>,
    /// Where each task is cancelled by another.
    cancels: HashMap<u64, Vec<usize>>,
}

impl<'a> Block<'a> {
    fn new(lanes: &Lanes<'a>, columns: Range<usize>) -> Self {
        let mut starts = Vec::with_capacity(columns.len() + 1);
        let mut x = 0;
        for column in &lanes.layout.columns[columns.clone()] {
            x += gap_width(column);
            starts.push(x);
            x += lanes.cell;
        }
        starts.push(x);
        let all = &lanes.layout.columns;
        let events = all[columns.start].events.start..all[columns.end - 1].events.end;
        let mut block = Self {
            layout: lanes.layout,
            columns,
            starts,
            cell: lanes.cell,
            events,
            of_task: HashMap::new(),
            of_row: HashMap::new(),
            cancels: HashMap::new(),
        };
        block.look_up();
        block
    }

    /// Sorts by lanes what has to be found for each: of a thousand tasks, none should be looked for in all.
    fn look_up(&mut self) {
        let events = &self.events;
        let holdings = self.layout.holdings.iter();
        for holding in
            holdings.filter(|holding| holding.from < events.end && events.start <= holding.to)
        {
            self.of_task.entry(holding.task).or_default().push(holding);
            let row = (holding.what, holding.row);
            self.of_row.entry(row).or_default().push(holding);
        }
        for place in self.events.clone() {
            let event = &self.layout.timeline.events()[place];
            let by_another = |task: &u64| self.runner(place) != Some(*task);
            if !matches!(event.kind, EventKind::CancelRequested { .. }) {
                continue;
            }
            if let Some(task) = event.task.filter(by_another) {
                let x = self.start(place);
                self.cancels.entry(task).or_default().push(x);
            }
        }
    }

    fn width(&self) -> usize {
        self.starts[self.columns.len()]
    }

    fn blank(&self) -> Vec<char> {
        vec![' '; self.width()]
    }

    /// Where the column of an event begins, or would; clipped.
    fn start(&self, place: usize) -> usize {
        match self.layout.column_of.get(place) {
            None => self.width(),
            Some(column) if *column < self.columns.start => 0,
            Some(column) if *column >= self.columns.end => self.width(),
            Some(column) => self.starts[column - self.columns.start],
        }
    }

    fn end(&self, place: usize) -> usize {
        match self.layout.column_of.get(place) {
            Some(column) if self.columns.contains(column) => self.start(place) + self.cell,
            _ => self.start(place),
        }
    }

    /// The numbers of the turns, each where there is room for it, and the gaps.
    fn turns(&self) -> Vec<char> {
        let mut lane = self.blank();
        let mut free = 0;
        let mut turn = None;
        for (column, start) in self.layout.columns[self.columns.clone()]
            .iter()
            .zip(&self.starts)
        {
            if let Some(gap) = column.gap {
                let label = gap_label(gap);
                put(&mut lane, start - label.chars().count() - 1, &label);
            }
            let number = column.turn.to_string();
            if turn.replace(column.turn) != Some(column.turn) && *start >= free {
                put(&mut lane, *start, &number);
                free = start + number.len() + 1;
            }
        }
        lane
    }

    fn marks(&self) -> Option<Vec<char>> {
        let mut lane = self.blank();
        let mut any = false;
        for column in &self.layout.columns[self.columns.clone()] {
            for place in column.events.clone() {
                let mark = match self.layout.timeline.events()[place].kind {
                    EventKind::Note { .. } => 'n',
                    EventKind::Departed { .. } => '!',
                    EventKind::Failed { .. } => 'F',
                    _ => continue,
                };
                let cells = self.start(place)..self.end(place);
                if let Some(free) = lane[cells].iter_mut().find(|c| **c == ' ') {
                    *free = mark;
                    any = true;
                }
            }
        }
        any.then_some(lane)
    }

    fn life(&self, task: u64, life: &[Span<'a>]) -> Vec<char> {
        let mut lane = self.blank();
        let first = life.partition_point(|span| span.to < self.events.start);
        for (n, span) in life.iter().enumerate().skip(first) {
            if span.from >= self.events.end {
                break;
            }
            let next = life.get(n + 1);
            let from = self.span_start(task, span);
            let to = next.map_or(self.width(), |next| self.span_start(task, next));
            if from >= to && !matches!(span.state, State::Ended(_)) {
                continue;
            }
            let (dash, label) = match span.state {
                State::Running => ('█', String::new()),
                State::Ready => ('░', String::new()),
                State::Waiting(on) => ('─', self.layout.wait_labels(on)),
                State::Ended(how) => {
                    self.mark_end(&mut lane, task, span.from, how);
                    continue;
                }
            };
            lane[from..to].fill(dash);
            if span.state == State::Running {
                lane[to - 1] = '▌';
            }
            if span.state != State::Running {
                self.thicken(&mut lane[from..to], task, from);
            }
            // A label needs a dash on either side.
            if label.chars().count() + 2 <= to - from {
                put(&mut lane, from + 1, &label);
            }
        }
        for x in self.cancels.get(&task).into_iter().flatten() {
            lane[*x] = '×';
        }
        lane
    }

    fn runner(&self, place: usize) -> Option<u64> {
        self.layout.runner(self.layout.column_of[place])
    }

    /// A step takes its whole column. What follows it begins behind that; what another's step does to a task, with that step.
    fn span_start(&self, task: u64, span: &Span<'_>) -> usize {
        match span.state {
            State::Running => self.start(span.from),
            _ if self.runner(span.from) == Some(task) => self.end(span.from),
            _ => self.start(span.from),
        }
    }

    fn mark_end(&self, lane: &mut [char], task: u64, place: usize, how: &Finish) {
        if !self.columns.contains(&self.layout.column_of[place]) {
            return;
        }
        let x = match self.runner(place) == Some(task) {
            true => self.end(place) - 1,
            false => self.start(place),
        };
        lane[x] = match how {
            Finish::Returned => '┤',
            Finish::Raised(_) | Finish::Panicked => '✗',
            Finish::Cancelled => '×',
            Finish::Dropped => '†',
        };
    }

    /// Doubles the line while the task holds something.
    fn thicken(&self, line: &mut [char], task: u64, at: usize) {
        for holding in self.of_task.get(&task).into_iter().flatten() {
            let held = self.start(holding.from)..self.end(holding.to);
            for (x, c) in line.iter_mut().enumerate() {
                if held.contains(&(at + x)) {
                    *c = match *c {
                        '─' => '═',
                        '░' => '▒',
                        c => c,
                    };
                }
            }
        }
    }

    fn held(&self, what: &str, row: usize) -> Vec<char> {
        let mut lane = self.blank();
        for holding in self.of_row.get(&(what, row)).into_iter().flatten() {
            let (from, to) = (self.start(holding.from), self.end(holding.to));
            let bar = &mut lane[from..to];
            bar.fill('═');
            bar[0] = '╞';
            if holding.to < self.layout.column_of.len() {
                let last = bar.len() - 1;
                bar[last] = '╡';
            }
            let holder = self.layout.title(holding.task);
            if holder.chars().count() + 2 <= to - from {
                put(&mut lane, from + 1, holder);
            }
        }
        lane
    }
}

/// The story, column by column.
struct Story<'a> {
    lanes: &'a Lanes<'a>,
    last: Option<&'a Column>,
}

impl<'a> Story<'a> {
    fn new(lanes: &'a Lanes<'a>) -> Self {
        Self { lanes, last: None }
    }

    fn write(&mut self, f: &mut Formatter<'_>, column: usize) -> fmt::Result {
        let layout = self.lanes.layout;
        let column = &layout.columns[column];
        let last = self.last.replace(column);
        let turn = match last {
            Some(last) if last.turn == column.turn => String::new(),
            _ => column.turn.to_string(),
        };
        let time = match last {
            Some(last) if last.time == column.time => String::new(),
            _ => short(column.time),
        };
        let mut when = format!("{turn:>6} {time:>9}");
        let gutter = self.lanes.gutter.max("(timer)".len());
        for (who, text) in self.lines(column) {
            let head = format!("{when}  {:gutter$}  ", clip(&who, gutter));
            let indent = head.chars().count();
            wrapped(f, &head, indent, &text)?;
            when = " ".repeat(when.len());
        }
        Ok(())
    }

    /// What is to be said of a column: first where it departs from the usual, then what happened, then what was noted and failed.
    /// What an explorer does to a task is a departure, and is said once.
    fn lines(&self, column: &Column) -> Vec<(String, String)> {
        let layout = self.lanes.layout;
        let (who, from_outside) = match column.who {
            Who::Step { task, .. } => (layout.title(task), false),
            Who::Timer(_) => ("(timer)", false),
            Who::Outside => ("(loop)", true),
        };
        let mut told = layout.tell(column);
        let told_already = from_outside && !told.is_empty();
        let mut before = Vec::new();
        let mut after = Vec::new();
        for event in &layout.timeline.events()[column.events.clone()] {
            let who = event.task.map_or("", |task| layout.title(task)).to_owned();
            match &event.kind {
                EventKind::Departed { .. } if told_already && event.task.is_some() => {
                    told.insert_str(0, "!! ");
                }
                EventKind::Departed { text } => before.push((who, format!("!! {text}"))),
                EventKind::Note { text } => after.push((who, format!("note: {text}"))),
                EventKind::Failed { text } => after.push((who, format!("FAILED: {text}"))),
                _ => {}
            }
        }
        let told = (!told.is_empty()).then(|| (who.to_owned(), told));
        before.into_iter().chain(told).chain(after).collect()
    }
}

/// Writes a text, broken between words where a line is full.
fn wrapped(f: &mut Formatter<'_>, head: &str, indent: usize, text: &str) -> fmt::Result {
    let mut line = head.to_owned();
    for part in text.lines() {
        for (n, word) in part.split_whitespace().enumerate() {
            if n > 0 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                writeln!(f, "{}", line.trim_end())?;
                line = " ".repeat(indent);
            } else if n > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
        writeln!(f, "{}", line.trim_end())?;
        line = " ".repeat(indent);
    }
    Ok(())
}

fn first_held(layout: &Layout<'_>, what: &str) -> usize {
    let mut holdings = layout.holdings.iter();
    holdings
        .position(|holding| holding.what == what)
        .unwrap_or(0)
}

fn gap_label(gap: std::time::Duration) -> String {
    format!("+{}", short(gap))
}

fn gap_width(column: &Column) -> usize {
    column
        .gap
        .map_or(0, |gap| gap_label(gap).chars().count() + 2)
}

fn clip(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    name.chars().take(width - 1).chain(['…']).collect()
}

fn put(lane: &mut [char], at: usize, text: &str) {
    for (cell, c) in lane[at..].iter_mut().zip(text.chars()) {
        *cell = c;
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{EventKind::*, Requester, by_hand::*, layout::DROPPED},
        *,
    };

    #[test]
    fn a_lock_handed_on() {
        let drawn = r#"
turn   0   1   2        +100ms 3   4   5        +100ms 6   7   8
Task-1 ░░░░███▌─Task-2─────────────░░░░░░░░███▌─Task-3─────░░░░███┤
Task-2     ░░░░███▌═100ms══════▒▒▒▒███┤
Task-3     ░░░░░░░░███▌─Lock-1─────░░░░███▌═200ms══════▒▒▒▒███┤
Lock-1         ╞Task-2════════════════╡╞Task-3════════════════╡

█ runs   ░ is ready   ─ waits   ═ holds something meanwhile   ┤ returned

  turn      time
     0        0s  (loop)   Task-1 created
     1            Task-1   begins: creates Task-2, Task-3; waits for Task-2
     2            Task-2   begins: acquires Lock-1; waits until 100ms
                  Task-3   begins: waits for Lock-1
     3     100ms  (timer)  wakes Task-2
     4            Task-2   its sleep is over: releases Lock-1; wakes Task-3; returns; wakes Task-1
     5            Task-3   woken by Task-2 through Lock-1: acquires Lock-1; waits until 200ms
                  Task-1   Task-2 has ended: waits for Task-3
     6     200ms  (timer)  wakes Task-3
     7            Task-3   its sleep is over: releases Lock-1; returns; wakes Task-1
     8            Task-1   Task-3 has ended: returns
"#;
        assert_eq!(handoff().to_string(), drawn[1..]);
    }

    #[test]
    fn all_that_can_go_wrong() {
        let drawn = r#"
turn      0   1   2               3   4
                  !   n               F
Task-1    ░░░░███▌░░░░░░░░░░░░███▌░░░░███▌────
Task-2        ░░░░░░░░███▌────×░░░███×
Task-3        ░░░░███▌═Event-1════════════†
Task-4        ░░░░░░░░░░░░███✗
Lock 'db'         ╞Task-3═════════════════════

█ runs   ░ is ready   ─ waits   ═ holds something meanwhile   ✗ raised   × cancelled   † dropped   n note
! departure   F failure

  turn      time
     0        0s  (loop)     Task-1 created
     1            Task-1     begins: creates Task-2, Task-3, Task-4; yields
     2            Task-3     !! it goes first
                  Task-3     begins: acquires Lock 'db'; waits for Event-1
                  Task-2     begins: waits for Lock 'db'
                  Task-2     note: I <want> the "db"
                  Task-4     begins: raises ValueError: no & no
                  Task-1     goes on: cancels Task-2; waits for Task-2
     3            Task-2     cancelled by Task-1: gets Cancelled; ends cancelled; wakes Task-1
     4            Task-1     Task-2 has ended: waits for Task-3
                             FAILED: deadlock: Task-1 waits for <Task pending name='Task-3'>
                             Task-3 waits for <Event [unset, waiters:1]>
                  (loop)     drops Task-3
"#;
        assert_eq!(trouble().to_string(), drawn[1..]);
    }

    fn widest(drawn: &str) -> Option<usize> {
        drawn.lines().map(|line| line.chars().count()).max()
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        // Of twelve tasks, fifty-one columns fill a line to its end; of nine, whose names are shorter, there is half a column left.
        for (tasks, width) in [(12, WIDTH), (9, WIDTH - 1)] {
            let drawn = format!("{:#}", crowd(tasks, 20));
            let (lanes, story) = drawn.split_once("█ runs").expect("a legend");
            assert_eq!(widest(lanes), Some(width));
            assert!(widest(story) <= Some(WIDTH), "{story}");
        }
    }

    /// The lines of a note in the story.
    fn noted(text: String) -> Vec<usize> {
        let run = ByHand::default().event(1, Note { text }).tasks(1);
        let drawn = run.to_string();
        let (_, story) = drawn.split_once("time\n").expect("a story");
        story.lines().map(|line| line.chars().count()).collect()
    }

    #[test]
    fn a_line_of_the_story_is_filled_before_it_is_broken() {
        let lines = (1..40).map(|n| noted(format!("{} {}", "o".repeat(60), "o".repeat(n))));
        let full = lines.take_while(|lines| lines.len() == 1).last();
        assert_eq!(full, Some(vec![WIDTH]));
    }

    #[test]
    fn a_word_that_is_wider_than_a_line_begins_where_it_stands() {
        let lines = noted(format!("so\n{}", "o".repeat(WIDTH)));
        assert_eq!(lines.len(), 2);
    }

    fn legend(run: &Timeline) -> String {
        let drawn = run.to_string();
        let legend = drawn.lines().find(|line| line.starts_with("█ runs"));
        legend.expect("there is one").to_owned()
    }

    #[test]
    fn a_line_of_the_legend_is_filled_before_it_is_broken() {
        let asks = (2, asked(Requester::Task(1)));
        let run = ByHand::default()
            .step(1, [(1, acquired("Lock-1")), asks], returns())
            .event(3, DROPPED)
            .event(None, Failed { text: "so".into() })
            .tasks(3);
        assert_eq!(widest(&legend(&run)), Some(WIDTH));
    }

    #[test]
    fn a_cancel_is_explained_where_it_is_asked_for_and_where_it_is_an_end() {
        let explained = |step: ByHand| legend(&step.tasks(2)).contains("× cancelled");
        let step = |events: Vec<_>, end| explained(ByHand::default().step(1, events, end));
        assert!(step(vec![(2, asked(Requester::Task(1)))], Yielded));
        assert!(step(vec![], cancelled()));
        assert!(!step(vec![], Yielded));
    }

    /// Fifty-one columns are a block, and the first of the next is a step that is never taken.
    #[test]
    fn who_was_ready_at_the_end_of_a_block_is_so_at_the_head_of_the_next() {
        let created = ByHand::default().event(1, Spawned { by: None });
        let created = created.event(2, Spawned { by: None });
        let run = (0..50).fold(created, |run, _| run.step(1, [], Yielded));
        let drawn = run.event(2, cancelled()).tasks(2).to_string();
        let mut lanes = drawn.lines().filter(|line| line.starts_with("Task-2"));
        assert_eq!(lanes.next_back(), Some("Task-2 ░×"));
    }

    #[test]
    fn a_long_run_is_printed_without_its_middle() {
        let run = crowd(4, 100); // and a column before the first turn
        let left_out = "  ... 241 handles are left out ...";
        assert!(run.to_string().lines().any(|line| line == left_out));
        let whole = format!("{run:#}");
        assert!(!whole.contains("left out"));
        let steps = |drawn: &str| {
            drawn
                .lines()
                .filter(|line| line.contains("releases"))
                .count()
        };
        assert_eq!((steps(&run.to_string()), steps(&whole)), (159, 400));
    }

    #[test]
    fn nothing_is_left_out_of_what_is_just_short_enough() {
        let left_out = |tasks, turns| crowd(tasks, turns).to_string().contains("are left out");
        assert_eq!([left_out(3, 53), left_out(4, 40)], [false, true]); // of 160 handles, and of 161
    }

    #[test]
    fn a_long_name_is_cut() {
        let run = ByHand::default().event(1, spawned(2)).event(2, spawned(1));
        let run = run.named(&["the one and only reader of the feed", "w"]);
        let drawn = run.to_string();
        assert_eq!(drawn.lines().nth(1), Some("the one and only re… ░░░░░░░░"));
    }
}
