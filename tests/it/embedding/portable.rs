//! Nothing but the monotonic clock and `run` asks anything of the operating system, so that soloop can live where there is
//! none (`wasm32-unknown-unknown`): `with_clock`, turns and `drive` touch neither `Instant` nor the parker.

use std::{collections::BTreeSet, fs, path::Path};

/// The code of every source file, without comments.
fn sources(under: &Path, prefix: &str) -> Vec<(String, String)> {
    fs::read_dir(under)
        .expect("the sources are there")
        .flat_map(|entry| {
            let path = entry.expect("the directory can be read").path();
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            if path.is_dir() {
                return sources(&path, &format!("{prefix}{name}/"));
            }
            let text = fs::read_to_string(&path).expect("it can be read");
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            vec![(
                format!("{prefix}{name}"),
                code.collect::<Vec<_>>().join("\n"),
            )]
        })
        .collect()
}

/// The files whose code has one of these words.
fn files_with(words: &[&str]) -> BTreeSet<String> {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "")
        .into_iter()
        .filter(|(_, code)| {
            code.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| words.contains(&word))
        })
        .map(|(name, _)| name)
        .collect()
}

fn files<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn the_monotonic_clock_alone_reads_the_machines() {
    assert_eq!(files_with(&["Instant"]), files(["event_loop/clock.rs"]));
    assert_eq!(files_with(&["SystemTime"]), files([]));
}

#[test]
fn run_alone_parks() {
    assert_eq!(files_with(&["Condvar"]), files(["event_loop/waker.rs"]));
    assert_eq!(
        files_with(&["park"]),
        files(["event_loop/mod.rs", "event_loop/waker.rs"])
    );
    assert_eq!(
        files_with(&["wait_until_ready", "turn_until_stopped"]),
        files(["event_loop/mod.rs"])
    );
}

#[test]
fn no_code_needs_threads_files_or_the_network() {
    assert_eq!(
        files_with(&[
            "spawn_blocking",
            "sleep_ms",
            "available_parallelism",
            "fs",
            "net",
            "os"
        ]),
        files([])
    );
    // A trace of Chrome's has processes.
    assert_eq!(files_with(&["process"]), files(["trace/chrome.rs"]));
    // `SOLOOP_REPLAY`, which no test has set where there is no environment.
    assert_eq!(files_with(&["env"]), files(["testing/explorer.rs"]));
    // `panicking` is all that is asked about a thread; the rest is the docs' examples.
    assert_eq!(files_with(&["panicking"]), files(["event_loop/mod.rs"]));
}
