//! What stands in a lane: a bar for each state of the task, strips for what it holds. And how many of them become one in a long run.

/// A state of a task, from where to where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) look: Look,
    /// What is written on it.
    pub(super) label: String,
    pub(super) title: String,
    /// The first and the last turn that it spans.
    pub(super) turns: (u64, u64),
    pub(super) steps: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Step,
    Ready,
    /// A wait, and the number of the primitive if it is for one.
    Wait(Option<usize>),
    /// Several steps, with what lies between.
    Busy,
}

/// What a task holds, from where to where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strip<'a> {
    pub(super) from: f64,
    pub(super) to: f64,
    /// Several things can be held at a time.
    pub(super) row: usize,
    pub(super) what: &'a str,
    pub(super) turns: (u64, u64),
    pub(super) times: usize,
}

/// Draws as one the steps that are no more than so much apart.
pub(super) fn fold_bars(bars: Vec<Bar>, apart: f64) -> Vec<Bar> {
    let mut folded: Vec<Bar> = Vec::new();
    let mut group: Vec<Bar> = Vec::new();
    for bar in bars {
        let close = bar.look == Look::Step || bar.to - bar.from <= apart;
        let touches = group.last().is_none_or(|last| bar.from - last.to <= apart);
        if !close || !touches {
            folded.extend(as_one(std::mem::take(&mut group)));
        }
        match close {
            true => group.push(bar),
            false => folded.push(bar),
        }
    }
    folded.extend(as_one(group));
    folded
}

fn as_one(group: Vec<Bar>) -> Option<Bar> {
    let steps: usize = group.iter().map(|bar| bar.steps).sum();
    let mut bars = group.into_iter();
    let mut one = bars.next()?;
    for bar in bars {
        one.to = bar.to;
        one.turns.1 = bar.turns.1;
        one.look = Look::Busy;
        one.label.clear();
    }
    if one.look == Look::Busy {
        one.steps = steps;
        one.title = format!("{}: {}", turns(one.turns), count(steps, "step"));
    }
    Some(one)
}

/// Draws as one what is held again so soon, or if need be, whatever is held so soon.
pub(super) fn fold_strips(strips: Vec<Strip<'_>>, apart: f64, whatever: bool) -> Vec<Strip<'_>> {
    let mut folded: Vec<Strip<'_>> = Vec::new();
    for strip in strips {
        let mut earlier = folded.iter_mut().rev();
        let last = earlier.find(|last| last.row == strip.row).filter(|last| {
            let near = apart > 0.0 && strip.from - last.to <= apart;
            near && (whatever || last.what == strip.what)
        });
        let Some(last) = last else {
            folded.push(strip);
            continue;
        };
        last.to = last.to.max(strip.to);
        last.turns.1 = strip.turns.1;
        last.times += 1;
        if last.what != strip.what {
            last.what = "one or another";
        }
    }
    folded
}

/// `turn 3`, or `turns 3–5`.
pub(super) fn turns((first, last): (u64, u64)) -> String {
    match first == last {
        true => format!("turn {first}"),
        false => format!("turns {first}\u{2013}{last}"),
    }
}

pub(super) fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(look: Look, from: f64, to: f64) -> Bar {
        Bar {
            from,
            to,
            look,
            label: String::new(),
            title: String::new(),
            turns: (from as u64, to as u64),
            steps: usize::from(look == Look::Step),
        }
    }

    #[test]
    fn steps_with_a_short_wait_between_become_one() {
        let bars = vec![
            bar(Look::Step, 0.0, 1.0),
            bar(Look::Wait(None), 1.0, 2.0),
            bar(Look::Step, 2.0, 3.0),
            bar(Look::Wait(None), 3.0, 9.0),
            bar(Look::Step, 9.0, 10.0),
        ];
        let folded = fold_bars(bars, 1.0);
        let seen: Vec<_> = folded
            .iter()
            .map(|bar| (bar.look, bar.from, bar.to))
            .collect();
        assert_eq!(
            seen,
            [
                (Look::Busy, 0.0, 3.0),
                (Look::Wait(None), 3.0, 9.0),
                (Look::Step, 9.0, 10.0)
            ]
        );
        assert_eq!(folded[0].title, "turns 0\u{2013}3: 2 steps");
    }

    #[test]
    fn what_is_held_twice_in_a_row_is_two_in_a_short_run() {
        let strip = |from, to| Strip {
            from,
            to,
            row: 0,
            what: "Lock-1",
            turns: (0, 0),
            times: 1,
        };
        let strips = vec![strip(0.0, 1.0), strip(1.0, 2.0)];
        let folded = [0.0, 0.1].map(|apart| fold_strips(strips.clone(), apart, false).len());
        assert_eq!(folded, [2, 1]);
    }
}
