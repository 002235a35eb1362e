//! `SOLOOP_REPLAY`: one test of a binary, run again with a schedule.

use std::{env, process::Command};

use soloop::{Event, create_task, testing::Explorer};

/// Passes, for as long as nobody is cancelled.
#[test]
#[ignore = "run by its neighbours, in a process of its own"]
fn victim() {
    Explorer::new().check(|_| async {
        let ready = Event::new().named("ready");
        let set = ready.clone();
        let setter = create_task(async move {
            set.set();
            Ok(())
        });
        ready.wait().await?;
        setter.await
    });
}

/// The same for a sample.
#[test]
#[ignore = "run by its neighbours, in a process of its own"]
fn sampled_victim() {
    let report = Explorer::new().sample(1, 1, |_| async { create_task(async { Ok(()) }).await });
    let schedule = report.failure.map(|failure| failure.schedule.to_string());
    assert_eq!((report.runs, report.steps, schedule), (1, 3, None));
}

/// Runs a test of this binary, and returns whether it passed and what it printed.
fn run(test: &str, schedule: Option<&str>) -> (bool, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([
        &format!("testing::environment::{test}"),
        "--exact",
        "--ignored",
    ]);
    command
        .env_remove("SOLOOP_REPLAY")
        .env("RUST_BACKTRACE", "0");
    command.envs(schedule.map(|schedule| ("SOLOOP_REPLAY", schedule)));
    let output = command.output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(printed.contains("running 1 test"), "{printed}");
    (output.status.success(), printed)
}

#[test]
fn a_schedule_is_run_in_place_of_the_search() {
    let (passed, printed) = run("victim", Some("sl1:1c2"));
    assert!(
        !passed && printed.contains("deadlock: Task-1 waits for <Event 'ready'"),
        "{printed}"
    );
    assert!(printed.contains("SOLOOP_REPLAY='sl1:1c2' "), "{printed}");
}

#[test]
fn a_panic_of_check_names_the_line_that_called_it() {
    let (_, printed) = run("victim", Some("sl1:1c2"));
    assert!(
        printed.contains("panicked at tests/it/testing/environment.rs:"),
        "{printed}"
    );
}

#[test]
fn a_sample_hears_of_it_too() {
    let (passed, printed) = run("sampled_victim", Some("sl1:1c2"));
    assert!(
        !passed && printed.contains(r#"left: (1, 3, Some("sl1:1c2"))"#),
        "{printed}"
    );
}

#[test]
fn a_schedule_that_does_not_fit_fails() {
    let (passed, printed) = run("victim", Some("sl1:77c2"));
    assert!(
        !passed && printed.contains("the schedule no longer fits at decision "),
        "{printed}"
    );
}

#[test]
fn what_is_no_schedule_is_refused() {
    let (passed, printed) = run("victim", Some("yesterday"));
    assert!(
        !passed && printed.contains("SOLOOP_REPLAY: ValueError: 'yesterday' is not a schedule"),
        "{printed}"
    );
}

#[test]
fn without_it_there_is_a_search() {
    assert_eq!(
        [run("victim", None).0, run("sampled_victim", None).0],
        [true, true]
    );
}
