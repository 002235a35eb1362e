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
    #[inline]
    pub(super) fn are_exhausted(&self) -> bool {
        self.deviations == 0 || self.name_no_kind()
    }

    /// Whether no kind of departure is allowed, whatever their number in all.
    #[inline]
    pub(super) fn name_no_kind(&self) -> bool {
        let Self {
            reorder,
            cancels,
            drops,
            early_timers,
            spurious,
            deviations: _,
        } = *self;
        (reorder, cancels, drops, early_timers, spurious) == (0, 0, 0, 0, 0)
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
    /// Where else the run could have departed after its last departure, if that is asked for.
    branching: Option<Branching>,
    /// How the run has departed, by a guide that is no script.
    departed: Vec<Departure>,
    /// At how many points a task could have been cancelled.
    pub(super) cancel_points: u32,
    /// What does not fit.
    pub(super) misfit: Option<Misfit>,
}

/// The branches of a run.
#[derive(Debug, Default)]
pub(super) struct Branching {
    /// Those that depart once more. Invariant: at most `room`, here and below.
    pub(super) departing: Vec<Branch>,
    /// Those that depart as often as the run itself, and differ from it by a choice of the test's own.
    pub(super) choosing: Vec<Branch>,
    /// How many could ever be run.
    pub(super) room: usize,
    /// Whether there were more.
    pub(super) was_cut: bool,
}

impl Branching {
    fn depart(&mut self, at: u32, actions: &[Action], state: u32) {
        let left = self.room - self.departing.len();
        self.was_cut |= actions.len() > left;
        let actions = actions.iter().take(left);
        self.departing.extend(actions.map(|&action| Branch {
            departure: Departure { at, action },
            state,
        }));
    }

    fn choose(&mut self, at: u32, values: u32, state: u32) {
        let left = self.room - self.choosing.len();
        self.was_cut |= values as usize - 1 > left;
        let values = (1..values).take(left);
        self.choosing.extend(values.map(|value| Branch {
            departure: Departure {
                at,
                action: Action::Choose(value),
            },
            state,
        }));
    }
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
            branching: None,
            departed: Vec::new(),
            cancel_points: 0,
            misfit: None,
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
    pub(super) fn branch_out(mut self, expected: Option<u32>, branching: Branching) -> Self {
        self.expected = expected;
        self.branching = Some(branching);
        self
    }

    /// How the run has departed so far.
    pub(super) fn departures(&self) -> &[Departure] {
        match &self.guide {
            Guide::Script { departures, taken } => &departures[..*taken],
            Guide::Choices(_) | Guide::Walk { .. } => &self.departed,
        }
    }

    /// The branches of the run, and room for the script of another.
    pub(super) fn into_branching(self) -> (Branching, Vec<Departure>) {
        let script = match self.guide {
            Guide::Script { departures, .. } => departures,
            Guide::Choices(_) | Guide::Walk { .. } => self.departed,
        };
        (self.branching.unwrap_or_default(), script)
    }

    /// Takes in what is seen at a decision.
    #[inline]
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
    #[inline]
    pub(super) fn wants_options(&self) -> bool {
        let wants = match &self.guide {
            Guide::Script { departures, taken } => {
                self.branching.is_some() && *taken == departures.len()
            }
            Guide::Choices(choices) => choices
                .get(self.at as usize)
                .is_some_and(|&choice| choice > 0),
            Guide::Walk { .. } => true,
        };
        wants && !self.limits.are_exhausted()
    }

    /// Decides what to do, of these options, in place of what asyncio would.
    #[inline]
    pub(super) fn decide(&mut self, options: &[Action]) -> Option<Action> {
        let at = self.at;
        self.at += 1;
        if let Guide::Script { departures, taken } = &self.guide {
            if let Some(departure) = departures.get(*taken) {
                return (departure.at == at).then(|| self.depart());
            }
        }
        if options.is_empty() {
            return None;
        }
        self.decide_among(options, at)
    }

    /// Takes the next departure of the script.
    fn depart(&mut self) -> Action {
        let digest = self.digest();
        let Guide::Script { departures, taken } = &mut self.guide else {
            unreachable!("the guide is a script")
        };
        let Departure { at, action } = departures[*taken];
        *taken += 1;
        let is_last = *taken == departures.len();
        if is_last && self.expected.is_some_and(|expected| expected != digest) {
            self.misfit = Some(Misfit::Nondeterministic { at });
        }
        action
    }

    fn decide_among(&mut self, options: &[Action], at: u32) -> Option<Action> {
        let digest = self.digest();
        let cancels = options
            .iter()
            .filter(|action| matches!(action, Action::Cancel(_)));
        let cancels = u32::try_from(cancels.count()).unwrap_or(u32::MAX);
        self.cancel_points = self.cancel_points.saturating_add(cancels);
        let action = match &mut self.guide {
            Guide::Script { .. } => {
                if let Some(branching) = &mut self.branching {
                    branching.depart(at, options, digest);
                }
                return None;
            }
            Guide::Choices(choices) => {
                let choice = choices.get(at as usize).copied().unwrap_or(0);
                match usize::from(choice) % (options.len() + 1) {
                    0 => return None,
                    n => options[n - 1],
                }
            }
            Guide::Walk { random, one_in } => {
                if random.below(*one_in) > 0 {
                    return None;
                }
                options[random.below(options.len() as u64) as usize]
            }
        };
        self.limits.spend(action);
        self.departed.push(Departure { at, action });
        Some(action)
    }

    /// Something cannot be done that the script says.
    pub(super) fn impossible(&mut self, departure: Departure) {
        // What was possible in one run of a search has to be so in the next.
        self.misfit.get_or_insert(match &self.branching {
            Some(_) => Misfit::Nondeterministic { at: departure.at },
            None => Misfit::Impossible(departure),
        });
    }

    /// Decides a question of the test's own.
    pub(super) fn choose(&mut self, n: usize) -> usize {
        if n == 1 {
            return 0;
        }
        self.see(n as u64);
        let at = self.at;
        self.at += 1;
        let digest = self.digest();
        // A schedule has room for so many answers.
        let values = u32::try_from(n).unwrap_or(u32::MAX);
        let chosen = match &mut self.guide {
            Guide::Script { departures, taken } => match departures.get(*taken) {
                Some(departure) if departure.at == at => match self.depart() {
                    Action::Choose(value) if value < values => value,
                    action => {
                        self.impossible(Departure { at, action });
                        0
                    }
                },
                Some(_) => 0,
                None => {
                    if let Some(branching) = &mut self.branching {
                        branching.choose(at, values, digest);
                    }
                    0
                }
            },
            Guide::Choices(choices) => {
                u32::from(choices.get(at as usize).copied().unwrap_or(0)) % values
            }
            // Nothing is what asyncio would do: all answers are alike.
            Guide::Walk { random, .. } => random.below(values.into()) as u32,
        };
        if chosen > 0 && !matches!(self.guide, Guide::Script { .. }) {
            let action = Action::Choose(chosen);
            self.departed.push(Departure { at, action });
        }
        self.see(chosen.into());
        chosen as usize
    }

    /// A course that has nothing to decide any more.
    pub(super) fn over() -> Self {
        Self::script(Vec::new(), Limits::NONE)
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

    /// Whether a run of a search ended before the departures that the run before it has come to.
    pub(super) fn strayed(&self) -> Option<Misfit> {
        self.left_over()?;
        let decisions = self.at;
        self.branching
            .is_some()
            .then_some(Misfit::Nondeterministic { at: decisions })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_more_branches_are_noted_than_there_is_room_for() {
        let two = [Action::Cancel(1), Action::Cancel(2)];
        let noted = |room, times| {
            let mut branching = Branching {
                room,
                ..Branching::default()
            };
            (0..times).for_each(|at| branching.depart(at, &two, 0));
            (0..times).for_each(|at| branching.choose(at, 3, 0));
            let Branching {
                departing,
                choosing,
                ..
            } = &branching;
            (departing.len(), choosing.len(), branching.was_cut)
        };
        assert_eq!(
            [noted(4, 1), noted(4, 2), noted(4, 3), noted(3, 2)],
            [(2, 2, false), (4, 4, false), (4, 4, true), (3, 3, true)]
        );
    }

    /// Each kind of branch has the room to itself.
    #[test]
    fn choices_are_cut_where_departures_are_not() {
        let mut branching = Branching {
            room: 2,
            ..Branching::default()
        };
        branching.choose(0, 4, 0);
        assert_eq!((branching.choosing.len(), branching.was_cut), (2, true));
    }

    #[test]
    fn a_digest_tells_one_number_from_another() {
        let digest = |n| {
            let mut course = Course::over();
            course.see(7);
            course.see(n);
            course.digest()
        };
        let digests: HashSet<u32> = (0..1_000).map(digest).collect();
        assert_eq!(digests.len(), 1_000);
    }

    /// The first numbers after `1`, as any other xorshift64* makes them.
    #[test]
    fn random_numbers_are_those_of_xorshift() {
        let mut random = Random(1);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [
                0x47E4_CE4B_896C_DD1D,
                0xABCF_A6A8_E079_651D,
                0xB9D1_0D8F_EB73_1F57
            ]
        );
    }
}
