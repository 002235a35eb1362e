//! The legend: what the signs mean, those that occur.

use super::{
    COLOURS, Detail, Picture,
    drawing::GAPS,
    lane::Look,
    pen::{self, Pen, text_width},
};
use crate::trace::{
    EventKind, Finish,
    layout::{State, Who},
};

/// Primitives are listed as long as their colours have not come around twice.
const LISTED: usize = 2 * COLOURS;

/// Writes one behind the other, in lines.
struct Legend<'a> {
    pen: &'a mut Pen,
    at: (f64, f64),
    width: f64,
}

impl Legend<'_> {
    fn sign(&mut self, class: &str, words: &str, sign: impl Fn((f64, f64)) -> String) {
        let width = 24.0 + text_width(words, 11.0);
        if self.at.0 + width > self.width - 8.0 {
            self.at = (8.0, self.at.1 + 20.0);
        }
        self.pen.path(class, &sign(self.at));
        self.pen.text("", self.at.0 + 24.0, self.at.1, words);
        self.at.0 += width + 18.0;
    }
}

impl Picture<'_> {
    /// Draws the legend. Returns where its last line is.
    pub(super) fn draw_legend(&self, pen: &mut Pen, width: f64, y: f64, arrows: bool) -> f64 {
        let at = (8.0, y);
        let mut legend = Legend { pen, at, width };
        self.explain_bars(&mut legend);
        if arrows {
            self.explain_arrows(&mut legend);
        }
        self.explain_columns(&mut legend);
        self.explain_ends(&mut legend);
        self.explain_primitives(&mut legend);
        legend.pen.drawn.push('\n');
        legend.at.1
    }

    fn any(&self, is: impl Fn(Look) -> bool) -> bool {
        let mut bars = self.lanes.iter().flat_map(|lane| &lane.bars);
        bars.any(|bar| is(bar.look))
    }

    fn explain_bars(&self, legend: &mut Legend<'_>) {
        legend.sign("r", "runs", |at| pen::block(at, 12.0));
        if self.any(|look| look == Look::Busy) {
            legend.sign("b", "several steps", |at| pen::block(at, 12.0));
        }
        match self.detail {
            Detail::Whole => legend.sign("q", "is ready", |at| pen::block(at, 7.0)),
            _ => legend.sign("a", "is ready", |at| pen::block(at, 0.0)),
        }
        if self.any(|look| look == Look::Wait(None)) {
            legend.sign("w", "waits", |at| pen::block(at, 12.0));
        }
    }

    fn explain_arrows(&self, legend: &mut Legend<'_>) {
        let events = self.layout.timeline.events();
        let arrow = |(x, y): (f64, f64)| pen::arrow(x + 9.0, y - 11.0, y + 2.0);
        let any = |is: fn(&EventKind) -> bool| events.iter().any(|event| is(&event.kind));
        if any(|kind| matches!(kind, EventKind::Woken { .. })) {
            legend.sign("a", "wakes", arrow);
        }
        if any(|kind| matches!(kind, EventKind::Spawned { by: Some(_) })) {
            legend.sign("d", "creates", arrow);
        }
        if any(|kind| matches!(kind, EventKind::CancelRequested { .. })) {
            legend.sign("x", "cancels", arrow);
        }
    }

    fn explain_columns(&self, legend: &mut Legend<'_>) {
        let columns = &self.layout.columns;
        if columns
            .iter()
            .any(|column| matches!(column.who, Who::Timer(_)))
        {
            legend.sign("n", "a timer", |at| pen::block(at, 7.0));
        }
        if (1..=GAPS).contains(&self.gaps) {
            legend.sign("g", "time passes", |at| pen::block(at, 12.0));
        }
    }

    fn explain_ends(&self, legend: &mut Legend<'_>) {
        let ended = |returned: bool| {
            let mut last = self.layout.lives.iter().filter_map(|life| life.last());
            last.any(|span| match span.state {
                State::Ended(how) => (*how == Finish::Returned) == returned,
                _ => false,
            })
        };
        if ended(true) {
            legend.sign("k", "returned", |(x, y)| pen::end_mark(x + 9.0, y - 12.0));
        }
        if ended(false) {
            let words = "raised, cancelled or dropped";
            legend.sign("l", words, |(x, y)| pen::cross_mark(x + 9.0, y - 12.0));
        }
    }

    fn explain_primitives(&self, legend: &mut Legend<'_>) {
        for (n, what) in self.primitives.iter().enumerate().take(LISTED) {
            let class = format!("c{}", n % COLOURS);
            if self.any(|look| look == Look::Wait(Some(n))) {
                let waits = format!("waits for {what}");
                legend.sign(&format!("y {class}"), &waits, |at| pen::block(at, 12.0));
            }
            let mut strips = self.lanes.iter().flat_map(|lane| &lane.strips);
            if strips.any(|strip| strip.what == *what) {
                let holds = format!("holds {what}");
                legend.sign(&class, &holds, |at| pen::block(at, 7.0));
            }
        }
        if let Some(more @ 1..) = self.primitives.len().checked_sub(LISTED) {
            legend.sign("", &format!("and {more} more"), |_| String::new());
        }
    }
}
