//! What a program that uses the crate weighs, and how long the crate takes to compile.

use crate::{profile, report::Report};
use std::{env, fs, path::Path, process::Command, time::Instant};

const BENCHES: &str = env!("CARGO_MANIFEST_DIR");

/// # Panics
/// If something does not build.
pub fn footprint() -> Report {
    let scratch = env::temp_dir().join("soloop-footprint");
    fs::create_dir_all(&scratch).expect("there is a temporary directory");
    let mut report = Report::new(["the Event example", "bytes, release", "bytes, stripped"]);
    let target = profile::target();
    cargo(BENCHES, &target, &["--examples"]);
    for peer in ["soloop", "tokio", "smol"] {
        let program = target
            .join("release/examples")
            .join(format!("event_{peer}"));
        let bytes = size(&program);
        report.row([peer.to_string(), bytes, stripped(&program, &scratch)]);
    }
    let start = Instant::now();
    cargo(&format!("{BENCHES}/.."), &scratch, &[]);
    let took = start.elapsed().as_secs_f64();
    report.note(format!(
        "A clean `cargo build --release` of the crate with its dependencies takes {took:.1} seconds."
    ));
    fs::remove_dir_all(scratch).expect("it was just written");
    report
}

fn cargo(package: &str, target: &Path, more: &[&str]) {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(target)
        .args(more)
        .current_dir(package)
        .status();
    assert!(status.expect("cargo runs").success(), "it builds");
}

fn size(program: &Path) -> String {
    let length = fs::metadata(program).expect("it was just built").len();
    length.to_string()
}

/// Without symbols, where there is a `strip`.
fn stripped(program: &Path, scratch: &Path) -> String {
    let copy = scratch.join("stripped");
    let done = Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(program)
        .status();
    match done {
        Ok(status) if status.success() => size(&copy),
        _ => String::new(),
    }
}
