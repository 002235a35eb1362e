//! The course of one run: at each decision, what to do in place of what asyncio would. Plain data; it knows no loop.

use super::schedule::{Action, Departure};

/// How often a run may depart, in each way and in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) reorder: u32,
    pub(super) cancels: u32,
    pub(super) drops: u32,
    pub(super) early_timers: u32,
    pub(super) spurious: u32,
    pub(super) deviations: u32,
}

impl Limits {
    pub(super) const NONE: Self = Self {
        reorder: 0,
        cancels: 0,
        drops: 0,
        early_timers: 0,
        spurious: 0,
        deviations: u32::MAX,
    };

    /// Whether no departure is allowed.
    pub(super) fn are_exhausted(&self) -> bool {
        let kinds = [
            self.reorder,
            self.cancels,
            self.drops,
            self.early_timers,
            self.spurious,
        ];
        self.deviations == 0 || kinds == [0; 5]
    }

    /// What is left after a departure. One beyond the limits, from a schedule that was given, takes nothing.
    fn spend(&mut self, action: Action) {
        let kind = match action {
            Action::Reorder(_) => &mut self.reorder,
            Action::Cancel(_) => &mut self.cancels,
            Action::Drop(_) => &mut self.drops,
            Action::Poll(_) => &mut self.spurious,
            Action::PassDeadline => &mut self.early_timers,
            // The test's own, and no departure.
            Action::Choose(_) => return,
        };
        *kind = kind.saturating_sub(1);
        self.deviations = self.deviations.saturating_sub(1);
    }
}

/// Where the departures of a run come from.
#[derive(Debug)]
pub(super) enum Guide {
    /// A list, of which so many have been taken.
    Script {
        departures: Vec<Departure>,
        taken: usize,
    },
    /// A number for each decision.
    Choices(Vec<u16>),
    /// Chance: at each decision, one in so many.
    Walk { random: Random, one_in: u64 },
}

/// Another run that departs once more than this one, and how this one stood there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Branch {
    pub(super) departure: Departure,
    pub(super) state: u32,
}

#[derive(Debug)]
pub(super) struct Course {
    guide: Guide,
    /// What may still be done, by a guide that is not told what to do.
    pub(super) limits: Limits,
    /// How many decisions there were.
    at: u32,
    /// A digest of everything that was seen at the decisions so far.
    state: u64,
    /// What the digest must be at the last departure of the script.
    expected: Option<u32>,
    /// Whether to note where else the run could have departed after its last departure.
    branches_out: bool,
    pub(super) branches: Vec<Branch>,
    /// How the run has departed.
    pub(super) departures: Vec<Departure>,
    /// What does not fit.
    pub(super) misfit: Option<Misfit>,
    /// The run is over, and has nothing to decide any more.
    over: bool,
}

/// Why a run cannot go on as it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The program came to another state than in the run before, though nothing was done in another way.
    Nondeterministic { at: u32 },
    /// A departure cannot be made.
    Impossible(Departure),
    /// The run was over before a departure.
    TooShort { decisions: u32, next: Departure },
}

impl Course {
    pub(super) fn new(guide: Guide, limits: Limits) -> Self {
        Self {
            guide,
            limits,
            at: 0,
            state: 0,
            expected: None,
            branches_out: false,
            branches: Vec::new(),
            departures: Vec::new(),
            misfit: None,
            over: false,
        }
    }

    pub(super) fn script(departures: Vec<Departure>, limits: Limits) -> Self {
        let mut limits = limits;
        for departure in &departures {
            limits.spend(departure.action);
        }
        Self::new(
            Guide::Script {
                departures,
                taken: 0,
            },
            limits,
        )
    }

    /// Has the branches noted that begin after the last departure, and the state checked that it begins in.
    pub(super) fn branch_out(mut self, expected: Option<u32>, branches: Vec<Branch>) -> Self {
        self.expected = expected;
        self.branches_out = true;
        self.branches = branches;
        self
    }

    /// Takes in what is seen at a decision.
    pub(super) fn see(&mut self, seen: u64) {
        self.state = (self.state.rotate_left(5) ^ seen).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    /// A digest of the run so far.
    pub(super) fn digest(&self) -> u32 {
        (self.state >> 32) as u32
    }

    pub(super) fn decisions(&self) -> u32 {
        self.at
    }

    /// Whether this decision needs to know what can be done at it.
    pub(super) fn wants_options(&self) -> bool {
        if self.over {
            return false;
        }
        match &self.guide {
            Guide::Script { departures, taken } => {
                self.branches_out
                    && *taken == departures.len()
                    && departures.last().is_none_or(|last| last.at < self.at)
                    && !self.limits.are_exhausted()
            }
            Guide::Choices(choices) => choices
                .get(self.at as usize)
                .is_some_and(|&choice| choice > 0),
            Guide::Walk { .. } => !self.limits.are_exhausted(),
        }
    }

    /// Decides what to do, of these options, in place of what asyncio would.
    pub(super) fn decide(&mut self, options: &[Action]) -> Option<Action> {
        if self.over {
            return None;
        }
        let at = self.at;
        self.at += 1;
        let action = match &mut self.guide {
            Guide::Script { departures, taken } => match departures.get(*taken) {
                Some(departure) if departure.at == at => {
                    *taken += 1;
                    let action = departure.action;
                    if *taken == departures.len()
                        && self
                            .expected
                            .is_some_and(|expected| expected != self.digest())
                    {
                        self.misfit = Some(Misfit::Nondeterministic { at });
                    }
                    self.departures.push(Departure { at, action });
                    return Some(action);
                }
                _ => {
                    let state = self.digest();
                    let branches = options.iter().map(|&action| Branch {
                        departure: Departure { at, action },
                        state,
                    });
                    self.branches.extend(branches);
                    return None;
                }
            },
            Guide::Choices(choices) => {
                let choice = choices.get(at as usize).copied().unwrap_or(0);
                match usize::from(choice) % (options.len() + 1) {
                    0 => None,
                    n => Some(options[n - 1]),
                }
            }
            Guide::Walk { random, one_in } => match options.len() as u64 {
                0 => None,
                n if random.below(*one_in) == 0 => Some(options[random.below(n) as usize]),
                _ => None,
            },
        }?;
        self.limits.spend(action);
        self.departures.push(Departure { at, action });
        Some(action)
    }

    /// Decides a question of the test's own.
    pub(super) fn choose(&mut self, n: usize) -> usize {
        if n == 1 || self.over {
            return 0;
        }
        self.see(n as u64);
        let options: Vec<_> = match &self.guide {
            Guide::Script { departures, taken }
                if *taken < departures.len() || !self.branches_out =>
            {
                Vec::new()
            }
            _ => (1..n as u32).map(Action::Choose).collect(),
        };
        let at = self.at;
        let chosen = match &mut self.guide {
            // Nothing asyncio would do: all answers are alike.
            Guide::Walk { random, .. } => {
                self.at += 1;
                let value = random.below(n as u64) as u32;
                if value > 0 {
                    let action = Action::Choose(value);
                    self.departures.push(Departure { at, action });
                }
                value
            }
            _ => match self.decide(&options) {
                None => 0,
                Some(Action::Choose(value)) if (value as usize) < n => value,
                Some(action) => {
                    self.misfit = Some(Misfit::Impossible(Departure { at, action }));
                    0
                }
            },
        };
        self.see(u64::from(chosen));
        chosen as usize
    }

    /// A course that has nothing to decide any more.
    pub(super) fn over() -> Self {
        Self {
            over: true,
            ..Self::script(Vec::new(), Limits::NONE)
        }
    }

    /// What of the script was not done when the run was over.
    pub(super) fn left_over(&self) -> Option<Misfit> {
        let Guide::Script { departures, taken } = &self.guide else {
            return None;
        };
        let &next = departures.get(*taken)?;
        let decisions = self.at;
        Some(Misfit::TooShort { decisions, next })
    }
}

/// A small generator of random numbers: xorshift64*, by George Marsaglia and Sebastiano Vigna.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Never zero, and seeds that are neighbours are far from each other.
        Self((seed ^ 0x5DEE_CE66_D1CE_4E5B).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }
}
