//! Every example prints what its Python counterpart printed (`examples/record` writes that down).
//!
//! `cargo test` builds the examples beside the test binaries; here they run as a reader runs them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The files in `examples/` that end in `.{extension}`, by name.
fn sources(extension: &str) -> BTreeMap<String, PathBuf> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))
        .expect("the repository has examples")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

fn start(example: &str) -> Child {
    let deps = env::current_exe().expect("the test runs from a file");
    let built = deps
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples");
    let program = built
        .join(example)
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "`cargo build --examples` first: there is no {}",
        program.display()
    );
    Command::new(program)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn each_prints_what_was_recorded() {
    let recorded = sources("out");
    // All at once: most of their time is spent waiting.
    let running: Vec<(&String, Child)> = recorded.keys().map(|name| (name, start(name))).collect();
    for (name, child) in running {
        let output = child.wait_with_output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let expected = fs::read_to_string(&recorded[name]).unwrap();
        assert_eq!(printed, expected, "examples/{name}.rs");
        assert!(
            output.status.success(),
            "examples/{name}.rs: {}",
            output.status
        );
    }
}

#[test]
fn those_of_the_page_stand_beside_their_python() {
    let names = |extension| BTreeSet::from_iter(sources(extension).into_keys());
    let page = [
        "barrier",
        "cancel",
        "condition",
        "event",
        "lock",
        "semaphore",
        "timeouts",
    ];
    assert_eq!(names("py"), BTreeSet::from(page.map(str::to_owned)));
    assert!(names("rs").is_superset(&names("py")));
    assert!(names("out").is_superset(&names("py")));
}
