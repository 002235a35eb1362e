//! Every example prints what is written down beside it: where there is a Python counterpart, what that printed
//! (`examples/record` records it). What it is to read from stdin stands in a file that ends in `.in`.
//!
//! `cargo test` builds the examples beside the test binaries; here they run as a reader runs them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead, BufReader, Read, Write},
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

/// Starts an example with what it is to read.
fn start(example: &str) -> Child {
    match sources("in").get(example) {
        Some(input) => start_with(example, fs::File::open(input).unwrap().into()),
        None => start_with(example, Stdio::null()),
    }
}

fn start_with(example: &str, stdin: Stdio) -> Child {
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
        .stdin(stdin)
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

/// What the README shows is what its first command runs, without the comment at the head.
#[test]
fn the_first_is_that_of_the_readme() {
    let readme = include_str!("../../README.md");
    let listing = |language: &str| {
        let (_, after) = readme.split_once(&format!("```{language}\n")).unwrap();
        code(after.split_once("```").unwrap().0)
    };
    for (language, extension) in [("rust", "rs"), ("python", "py")] {
        let program = fs::read_to_string(&sources(extension)["event"]).unwrap();
        let (_, below_the_head) = program.split_once('\n').unwrap();
        assert_eq!(listing(language), code(below_the_head));
    }
}

/// The lines of a program: how many are left empty between them is a matter of taste.
fn code(program: &str) -> Vec<&str> {
    program.lines().filter(|line| !line.is_empty()).collect()
}

/// A thread that is blocked in a read of stdin, which stays open, delays the exit by nothing.
#[test]
fn the_repl_quits_while_its_stdin_is_open() {
    let mut repl = start_with("repl", Stdio::piped());
    let mut stdin = repl.stdin.take().unwrap();
    stdin.write_all(b"tasks\nsleep 60\nquit\n").unwrap();
    let mut said = String::new();
    repl.stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "0\nbye\nslept 60: Err(Cancelled)\n");
    assert!(repl.wait().unwrap().success());
    drop(stdin);
}

/// With real signals, to a process of its own.
#[cfg(unix)]
mod ctrl_c {
    use super::*;

    /// Presses Ctrl-C after each of these lines; what is printed in all, and the exit code.
    fn interrupt_after(lines: &[&str]) -> (String, Option<i32>) {
        let mut program = start("ctrl_c");
        let mut output = BufReader::new(program.stdout.take().unwrap());
        let mut said = String::new();
        for line in lines {
            while !said.ends_with(&format!("{line}\n")) {
                assert_ne!(output.read_line(&mut said).unwrap(), 0, "{said:?}");
            }
            let kill = Command::new("kill")
                .args(["-INT", &program.id().to_string()])
                .status();
            assert!(kill.unwrap().success());
        }
        output.read_to_string(&mut said).unwrap();
        (said, program.wait().unwrap().code())
    }

    #[test]
    fn cancels_main_which_cleans_up() {
        let (said, code) = interrupt_after(&["working, until Ctrl-C"]);
        assert_eq!(said, "working, until Ctrl-C\ncleaning up\nclean\n");
        assert_eq!(code, Some(130));
    }

    #[test]
    fn a_second_time_does_not_wait_for_that() {
        let (said, code) = interrupt_after(&["working, until Ctrl-C", "cleaning up"]);
        assert_eq!(said, "working, until Ctrl-C\ncleaning up\n");
        assert_eq!(code, Some(130));
    }
}
