//! The programs, each in a module of its own, as it stands in `docs/course/programs/`.

/// Shadows the one of the standard library in all that stands below.
macro_rules! println {
    ($($line:tt)*) => {
        crate::course::print(format!($($line)*))
    };
}

/// A program: `start` is recorded. With `(main)` it is its `main` that prints, with `(main search)` its `search` that
/// finds the failure to draw, and with `(main alone)` there is nothing to draw.
macro_rules! programs {
    ($($name:ident $(($($how:ident)+))?)+) => {
        $(
            #[allow(dead_code, reason = "`main` is for the reader")]
            mod $name {
                include!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/docs/course/programs/", stringify!($name), ".rs"
                ));

                pub(super) fn play() -> Option<String> {
                    play!($($($how)+)?)
                }
            }
        )+

        pub(super) const PROGRAMS: &[Program] = &[
            $(Program { name: stringify!($name), play: $name::play }),+
        ];
    };
}

macro_rules! play {
    () => {
        crate::course::record(start())
    };
    (main) => {{
        let _ = main();
        crate::course::record(start())
    }};
    (main search) => {{
        main();
        let failure = search().failure.expect("it is found");
        crate::course::draw(&failure.timeline)
    }};
    (main alone) => {{
        let _ = main();
        None
    }};
}

pub(super) struct Program {
    pub(super) name: &'static str,
    /// Prints its lines, and returns its picture, if it has one.
    pub(super) play: fn() -> Option<String>,
}

programs! {
    barrier
    bounded
    cancel
    chain
    condition
    coroutine
    crawler
    deadlock(main)
    detached
    event
    explored(main search)
    fair
    frames(main alone)
    gone
    greedy
    guards
    in_a_row
    left_behind
    lock
    lost_permit(main search)
    lost_update
    outside
    passed_on
    phases
    pool
    predicate
    race
    reacquire
    semaphore
    stuck
    swallowed
    tasks
    timeout
    too_early
    too_late
    turns
    whose
}
