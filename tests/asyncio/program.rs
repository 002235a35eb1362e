//! The little language of the suite: one program is one line of words, read by both interpreters.
//!
//! ```text
//! L C0 { spawn0=1 sleep1 rel0? cancel0 } { with1 { wait@ } }
//! ```
//!
//! First the primitives, numbered from zero: `L` lock, `E` event, `C` condition, `C0` condition on
//! lock 0, `S2` semaphore, `B2` bounded semaphore, `R3` barrier. Then the functions; the first is
//! main. A step may end in a mark that says what it catches: `?` everything, `~` all but a cancel,
//! `^` a cancel alone. `@` in place of a number is the guard of the condition block around it.
//! `README.md` has the table of steps.

use std::{fmt, iter::Peekable, rc::Rc, str::SplitWhitespace};

/// Primitives, and functions to run in tasks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Program {
    pub(crate) primitives: Vec<Kind>,
    pub(crate) functions: Vec<Vec<Step>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Lock,
    Event,
    Condition(Option<usize>),
    Semaphore(usize),
    BoundedSemaphore(usize),
    Barrier(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) act: Act,
    pub(crate) catch: Catch,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Catch {
    Nothing,
    Everything,
    AllButCancel,
    Cancel,
}

/// A primitive by its number, or the guard of the condition block around the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    Primitive(usize),
    Guard,
}

/// The running task, or the task last spawned into a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Who {
    Me,
    Slot(usize),
}

/// `variable >= at_least`, asked after the steps inside; `found` returns the value in place of truth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Predicate {
    pub(crate) variable: usize,
    pub(crate) at_least: u32,
    pub(crate) found: bool,
    pub(crate) inside: Rc<Vec<Step>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Acquire(usize),
    Release(usize),
    Wait(Target),
    Set(usize),
    Clear(usize),
    Notify(Target, usize),
    NotifyAll(Target),
    WaitFor(Target, Predicate),
    Reset(usize),
    Abort(usize),
    Peek(usize),
    With(usize, Vec<Step>),
    Within(Option<u32>, Vec<Step>),
    Finally(Vec<Step>, Vec<Step>),
    Repeat(u32, Vec<Step>),
    Try(Vec<Step>),
    Sleep(u32),
    Spawn { slot: usize, function: usize },
    Cancel(Who),
    Uncancel(Who),
    Look(Who),
    Name(Who),
    Await(usize),
    AwaitWithin(usize, Option<u32>),
    Drop(usize),
    Raise(u32),
    Return(u32),
    Let(usize, u32),
    Increment(usize),
}

impl Program {
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut words = Words(line.split_whitespace().peekable());
        let mut primitives = Vec::new();
        while let Some(word) = words.0.next_if(|word| *word != "{") {
            primitives.push(Kind::parse(word).ok_or_else(|| format!("no primitive: {word}"))?);
        }
        let mut functions = Vec::new();
        while words.0.peek().is_some() {
            functions.push(words.block()?);
        }
        Ok(Self {
            primitives,
            functions,
        })
    }
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        let (letter, number) = word.split_at_checked(1)?;
        let number = || number.parse().ok();
        Some(match letter {
            "L" => Self::Lock,
            "E" => Self::Event,
            "C" if word.len() == 1 => Self::Condition(None),
            "C" => Self::Condition(Some(number()?)),
            "S" => Self::Semaphore(number()?),
            "B" => Self::BoundedSemaphore(number()?),
            "R" => Self::Barrier(number()?),
            _ => return None,
        })
    }
}

struct Words<'a>(Peekable<SplitWhitespace<'a>>);

impl Words<'_> {
    fn block(&mut self) -> Result<Vec<Step>, String> {
        if self.0.next() != Some("{") {
            return Err("a block begins with {".into());
        }
        let mut steps = Vec::new();
        loop {
            match self.0.next() {
                Some("}") => return Ok(steps),
                Some(word) => steps.push(self.step(word)?),
                None => return Err("a block ends with }".into()),
            }
        }
    }

    fn step(&mut self, word: &str) -> Result<Step, String> {
        let (bare, catch) = match word.chars().last() {
            Some('?') => (&word[..word.len() - 1], Catch::Everything),
            Some('~') => (&word[..word.len() - 1], Catch::AllButCancel),
            Some('^') => (&word[..word.len() - 1], Catch::Cancel),
            _ => (word, Catch::Nothing),
        };
        let end = bare.find(|c: char| !c.is_ascii_lowercase());
        let (verb, rest) = bare.split_at(end.unwrap_or(bare.len()));
        let act = self
            .act(verb, rest)?
            .ok_or_else(|| format!("no step: {word}"))?;
        Ok(Step { act, catch })
    }

    /// `Ok(None)`: the word does not parse.
    fn act(&mut self, verb: &str, rest: &str) -> Result<Option<Act>, String> {
        macro_rules! some {
            ($option:expr) => {
                match $option {
                    Some(value) => value,
                    None => return Ok(None),
                }
            };
        }
        let index = || rest.parse::<usize>().ok();
        let amount = || rest.parse::<u32>().ok();
        Ok(Some(match verb {
            "acq" => Act::Acquire(some!(index())),
            "rel" => Act::Release(some!(index())),
            "wait" => Act::Wait(some!(target(rest))),
            "set" => Act::Set(some!(index())),
            "clr" => Act::Clear(some!(index())),
            "ntf" => {
                let (on, n) = some!(rest.split_once('*'));
                Act::Notify(some!(target(on)), some!(n.parse().ok()))
            }
            "all" => Act::NotifyAll(some!(target(rest))),
            "until" | "find" => {
                let (on, question) = some!(rest.split_once(':'));
                let (variable, at_least) = some!(question.split_once(':'));
                let on = some!(target(on));
                let predicate = Predicate {
                    variable: some!(variable.parse().ok()),
                    at_least: some!(at_least.parse().ok()),
                    found: verb == "find",
                    inside: Rc::new(match self.0.peek() {
                        Some(&"{") => self.block()?,
                        _ => Vec::new(),
                    }),
                };
                Act::WaitFor(on, predicate)
            }
            "reset" => Act::Reset(some!(index())),
            "abort" => Act::Abort(some!(index())),
            "peek" => Act::Peek(some!(index())),
            "with" => Act::With(some!(index()), self.block()?),
            "within" => Act::Within(some!(limit(rest)), self.block()?),
            "fin" => Act::Finally(self.block()?, self.block()?),
            "rep" => Act::Repeat(some!(amount()), self.block()?),
            "try" => Act::Try(self.block()?),
            "sleep" => Act::Sleep(some!(amount())),
            "spawn" => {
                let (slot, function) = some!(rest.split_once('='));
                Act::Spawn {
                    slot: some!(slot.parse().ok()),
                    function: some!(function.parse().ok()),
                }
            }
            "cancel" => Act::Cancel(some!(who(rest))),
            "uncancel" => Act::Uncancel(some!(who(rest))),
            "look" => Act::Look(some!(who(rest))),
            "name" => Act::Name(some!(who(rest))),
            "await" => match rest.split_once('<') {
                Some((slot, time)) => {
                    Act::AwaitWithin(some!(slot.parse().ok()), some!(limit(time)))
                }
                None => Act::Await(some!(index())),
            },
            "drop" => Act::Drop(some!(index())),
            "raise" => Act::Raise(some!(amount())),
            "ret" => Act::Return(some!(amount())),
            "var" => match rest.split_once('=') {
                Some((variable, value)) => {
                    Act::Let(some!(variable.parse().ok()), some!(value.parse().ok()))
                }
                None => Act::Increment(some!(rest.strip_suffix('+').and_then(|v| v.parse().ok()))),
            },
            _ => return Ok(None),
        }))
    }
}

fn target(word: &str) -> Option<Target> {
    match word {
        "@" => Some(Target::Guard),
        _ => word.parse().ok().map(Target::Primitive),
    }
}

fn who(word: &str) -> Option<Who> {
    match word {
        "" => Some(Who::Me),
        _ => word.parse().ok().map(Who::Slot),
    }
}

/// A timeout: ticks, or `-` for none.
fn limit(word: &str) -> Option<Option<u32>> {
    match word {
        "-" => Some(None),
        _ => word.parse().ok().map(Some),
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in &self.primitives {
            write!(f, "{kind} ")?;
        }
        for (number, function) in self.functions.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { " " })?;
            block(f, function)?;
        }
        Ok(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock => f.write_str("L"),
            Self::Event => f.write_str("E"),
            Self::Condition(None) => f.write_str("C"),
            Self::Condition(Some(lock)) => write!(f, "C{lock}"),
            Self::Semaphore(value) => write!(f, "S{value}"),
            Self::BoundedSemaphore(value) => write!(f, "B{value}"),
            Self::Barrier(parties) => write!(f, "R{parties}"),
        }
    }
}

fn block(f: &mut fmt::Formatter<'_>, steps: &[Step]) -> fmt::Result {
    f.write_str("{ ")?;
    for step in steps {
        write!(f, "{step} ")?;
    }
    f.write_str("}")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.act.word(), self.catch)?;
        for steps in self.act.blocks() {
            f.write_str(" ")?;
            block(f, steps)?;
        }
        Ok(())
    }
}

impl Act {
    /// The step's word, without its mark and its blocks: what a trace line calls it.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Acquire(p) => format!("acq{p}"),
            Self::Release(p) => format!("rel{p}"),
            Self::Wait(on) => format!("wait{on}"),
            Self::Set(p) => format!("set{p}"),
            Self::Clear(p) => format!("clr{p}"),
            Self::Notify(on, n) => format!("ntf{on}*{n}"),
            Self::NotifyAll(on) => format!("all{on}"),
            Self::WaitFor(on, question) => {
                let verb = if question.found { "find" } else { "until" };
                format!("{verb}{on}:{}:{}", question.variable, question.at_least)
            }
            Self::Reset(p) => format!("reset{p}"),
            Self::Abort(p) => format!("abort{p}"),
            Self::Peek(p) => format!("peek{p}"),
            Self::With(p, _) => format!("with{p}"),
            Self::Within(limit, _) => format!("within{}", ticks(limit)),
            Self::Finally(..) => "fin".into(),
            Self::Repeat(n, _) => format!("rep{n}"),
            Self::Try(_) => "try".into(),
            Self::Sleep(ticks) => format!("sleep{ticks}"),
            Self::Spawn { slot, function } => format!("spawn{slot}={function}"),
            Self::Cancel(who) => format!("cancel{who}"),
            Self::Uncancel(who) => format!("uncancel{who}"),
            Self::Look(who) => format!("look{who}"),
            Self::Name(who) => format!("name{who}"),
            Self::Await(slot) => format!("await{slot}"),
            Self::AwaitWithin(slot, limit) => format!("await{slot}<{}", ticks(limit)),
            Self::Drop(slot) => format!("drop{slot}"),
            Self::Raise(what) => format!("raise{what}"),
            Self::Return(value) => format!("ret{value}"),
            Self::Let(variable, value) => format!("var{variable}={value}"),
            Self::Increment(variable) => format!("var{variable}+"),
        }
    }

    pub(crate) fn blocks(&self) -> Vec<&Vec<Step>> {
        match self {
            Self::With(_, steps)
            | Self::Within(_, steps)
            | Self::Repeat(_, steps)
            | Self::Try(steps) => vec![steps],
            Self::Finally(first, last) => vec![first, last],
            Self::WaitFor(_, question) if !question.inside.is_empty() => vec![&question.inside],
            _ => vec![],
        }
    }

    pub(crate) fn blocks_mut(&mut self) -> Vec<&mut Vec<Step>> {
        match self {
            Self::With(_, steps)
            | Self::Within(_, steps)
            | Self::Repeat(_, steps)
            | Self::Try(steps) => vec![steps],
            Self::Finally(first, last) => vec![first, last],
            Self::WaitFor(_, question) if !question.inside.is_empty() => {
                vec![Rc::make_mut(&mut question.inside)]
            }
            _ => vec![],
        }
    }
}

fn ticks(limit: &Option<u32>) -> String {
    limit.map_or("-".into(), |ticks| ticks.to_string())
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "",
            Self::Everything => "?",
            Self::AllButCancel => "~",
            Self::Cancel => "^",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive(number) => write!(f, "{number}"),
            Self::Guard => f.write_str("@"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => Ok(()),
            Self::Slot(number) => write!(f, "{number}"),
        }
    }
}
