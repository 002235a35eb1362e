//! The course cannot rot: each of its programs prints what CPython printed for the Python beside it
//! (`docs/course/record` records that), and its pages and pictures are what is made of those programs.
//!
//! `cargo test --test it course -- --ignored` makes them anew, after a change of a program.

mod page;
mod programs;

use self::{
    page::Page,
    programs::{PROGRAMS, Program},
};
use soloop::{
    EventLoop, Result,
    trace::{self, Timeline},
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    future::Future,
    path::{Path, PathBuf},
};

/// The pages, in the order in which they are read.
const PAGES: [&str; 16] = [
    "coroutines",
    "tasks",
    "turns",
    "lock",
    "event",
    "condition",
    "semaphore",
    "barrier",
    "fairness",
    "cancellation",
    "dropping",
    "timeouts",
    "deadlock",
    "testing",
    "embedding",
    "programs",
];

thread_local! {
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the programs' `println!` is here.
fn print(line: String) {
    PRINTED.with_borrow_mut(|printed| *printed += &(line + "\n"));
}

/// What a program printed, and how it went, turn by turn.
struct Run {
    printed: String,
    picture: Option<String>,
}

/// Records a main under a virtual clock.
fn record(main: impl Future<Output = Result<()>>) -> Option<String> {
    let (_, timeline) = trace::record(&mut EventLoop::with_virtual_clock(), main);
    draw(&timeline)
}

fn draw(timeline: &Timeline) -> Option<String> {
    Some(timeline.to_svg())
}

fn run(program: &Program) -> Run {
    let picture = (program.play)();
    Run {
        printed: PRINTED.take(),
        picture,
    }
}

fn course() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/course")
}

fn file(name: &str) -> PathBuf {
    course().join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("docs/course/{name}: {error}"))
}

/// The names of the files in a folder of the course that have this extension.
fn names(folder: &str, extension: &str) -> BTreeSet<String> {
    fs::read_dir(file(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_program_prints_what_was_recorded() {
    for program in PROGRAMS {
        let recorded = read(&format!("programs/{}.out", program.name));
        assert_eq!(run(program).printed, recorded, "{}.rs", program.name);
    }
}

#[test]
fn each_program_is_run_and_stands_on_one_page() {
    let known = BTreeSet::from_iter(PROGRAMS.iter().map(|program| program.name.to_owned()));
    assert_eq!(names("programs", "rs"), known);
    assert_eq!(names("programs", "out"), known);
    let python = names("programs", "py");
    let rust_alone: Vec<&String> = known.difference(&python).collect();
    assert_eq!(
        rust_alone,
        ["deadlock", "explored", "guards", "lost_permit"]
    ); // asyncio has no such thing
    let mut shown: Vec<String> = PAGES
        .iter()
        .flat_map(|name| Page::read(name).programs())
        .collect();
    shown.sort();
    assert_eq!(shown, Vec::from_iter(known));
}

#[test]
fn each_picture_is_what_the_code_draws() {
    for program in PROGRAMS {
        if let Some(picture) = run(program).picture {
            let stands = read(&format!("pictures/{}.svg", program.name));
            assert!(
                stands == picture,
                "pictures/{}.svg is another",
                program.name
            );
        }
    }
}

#[test]
fn each_page_shows_the_programs_as_they_are() {
    for name in PAGES.iter().chain(&["README"]) {
        let page = Page::read(name);
        assert_eq!(page.text, page.rewritten(), "{name}.md");
        assert!(
            read(&format!("links/{name}.md")) == page.links(),
            "links/{name}.md is another"
        );
    }
}

/// Lines as wide as that stand side by side without scrolling, or nearly so.
#[test]
fn programs_in_columns_are_narrow() {
    let programs = PROGRAMS.iter().map(|program| program.name);
    for program in programs.filter(|program| page::in_columns(program)) {
        for (extension, width) in [("py", 64), ("rs", 72)] {
            let name = format!("programs/{program}.{extension}");
            let text = read(&name);
            let wide = text.lines().find(|line| line.chars().count() > width);
            assert_eq!(wide, None, "{name}");
        }
    }
}

#[test]
#[ignore = "writes what is made of the programs: pictures, pages, and what those print that have no Python"]
fn write_anew() {
    for folder in ["pictures", "links"] {
        fs::create_dir_all(file(folder)).unwrap();
    }
    for program in PROGRAMS {
        let Run { printed, picture } = run(program);
        if !file(&format!("programs/{}.py", program.name)).exists() {
            fs::write(file(&format!("programs/{}.out", program.name)), printed).unwrap();
        }
        if let Some(picture) = picture {
            fs::write(file(&format!("pictures/{}.svg", program.name)), picture).unwrap();
        }
    }
    for name in PAGES.iter().chain(&["README"]) {
        let page = Page::read(name);
        fs::write(file(&format!("{name}.md")), page.rewritten()).unwrap();
        fs::write(file(&format!("links/{name}.md")), Page::read(name).links()).unwrap();
    }
}
