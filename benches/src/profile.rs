//! How this binary was built, and the others as it.

use std::{env, path::PathBuf, process::Command};

/// The directory of this binary, `target/PROFILE`.
pub fn directory() -> PathBuf {
    let this = env::current_exe().expect("this binary is somewhere");
    this.parent().expect("it stands in a directory").into()
}

pub fn target() -> PathBuf {
    directory()
        .parent()
        .expect("a directory for each profile")
        .into()
}

/// The profile that this binary was built with.
pub fn name() -> String {
    let directory = directory();
    match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev".to_string(),
        Some(name) => name.to_string(),
    }
}

/// Builds the binary with the counting allocator as this one was built.
///
/// # Panics
/// If it does not build.
pub fn build_counting() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--bin", "allocations"])
        .args(["--profile", &name(), "--target-dir"])
        .arg(target())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(status.expect("cargo runs").success(), "it builds");
}
