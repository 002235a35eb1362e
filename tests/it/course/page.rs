//! What a page of the course should be, given the programs.
//!
//! Between `<!-- program: name -->` and `<!-- end -->` stands a program: the Python and the Rust in two columns, what
//! both print, and the picture. With `<!-- program: name, in full -->` they stand one below the other.
//! `<!-- file: name -->` is for a file of Python alone.
//! After `<!-- foot -->` come the links to the neighbours, and between `<!-- pages -->` and `<!-- end -->` those to all.
//!
//! Links and pictures are written by reference, `[a lock][lock.md]`, and defined on the page for those who read it in
//! the repository. In the documentation that `cargo doc` makes, no such file is there; so `links/` has, for each page, definitions
//! that come before those and therefore win.

use super::{PAGES, file, read};
use std::fmt::Write;

pub(super) struct Page {
    name: String,
    pub(super) text: String,
}

enum Part<'a> {
    Prose(&'a str),
    Program { name: &'a str, in_full: bool },
    File(&'a str),
    Pages,
    Foot,
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: read(&format!("{name}.md")),
        }
    }

    /// The names of the programs that it shows.
    pub(super) fn programs(&self) -> Vec<String> {
        let shown = self.parts().into_iter().filter_map(|part| match part {
            Part::Program { name, .. } => Some(name.to_owned()),
            _ => None,
        });
        shown.collect()
    }

    /// The page with each made part as it should be.
    pub(super) fn rewritten(&self) -> String {
        let mut text = String::new();
        for part in self.parts() {
            match part {
                Part::Prose(prose) => text += prose,
                Part::Program { name, in_full } => text += &program(name, in_full),
                Part::File(name) => text += &listing(name),
                Part::Pages => text += &pages(),
                Part::Foot => text += &self.foot(),
            }
        }
        text
    }

    /// Each definition of the page, as the compiled documentation needs it.
    pub(super) fn links(&self) -> String {
        let definitions = self.text.lines().filter_map(|line| {
            let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
            Some(format!("[{label}]: {}\n", compiled(target)))
        });
        definitions.collect()
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        let mut rest = self.text.as_str();
        while let Some(begin) = ["<!-- program: ", "<!-- file: ", "<!-- pages", "<!-- foot"]
            .iter()
            .filter_map(|mark| rest.find(mark))
            .min()
        {
            parts.push(Part::Prose(&rest[..begin]));
            let (mark, after) = rest[begin + 5..]
                .split_once(" -->")
                .expect("a comment ends");
            parts.push(match mark {
                "foot" => Part::Foot,
                "pages" => Part::Pages,
                _ if mark.starts_with("file: ") => Part::File(&mark["file: ".len()..]),
                _ => {
                    let name = mark.trim_start_matches("program: ");
                    let stacked = name.strip_suffix(", in full");
                    Part::Program {
                        name: stacked.unwrap_or(name),
                        in_full: stacked.is_some(),
                    }
                }
            });
            rest = match mark {
                "foot" => "",
                _ => {
                    after
                        .split_once("<!-- end -->")
                        .expect("a made part ends")
                        .1
                }
            };
        }
        parts.push(Part::Prose(rest));
        parts
    }

    fn foot(&self) -> String {
        let at = PAGES.iter().position(|page| *page == self.name);
        let at = at.expect("what has a foot is a chapter");
        let mut links = Vec::new();
        let mut definitions = String::new();
        let mut add = |text: String, to: &str| {
            links.push(format!("[{text}][{to}.md]"));
            writeln!(definitions, "[{to}.md]: {to}.md").unwrap();
        };
        if at > 0 {
            add(format!("← {}", title(PAGES[at - 1])), PAGES[at - 1]);
        }
        add("contents".to_owned(), "README");
        if let Some(next) = PAGES.get(at + 1) {
            add(format!("{} →", title(next)), next);
        }
        format!(
            "<!-- foot -->\n\n---\n\n{}\n\n{definitions}",
            links.join(" · ")
        )
    }
}

/// The first half of a page's heading: `Lock`, in `# Lock: there is one thread, so why a lock?`.
fn title(page: &str) -> String {
    let (title, _) = heading(page);
    title
}

fn heading(page: &str) -> (String, String) {
    let text = read(&format!("{page}.md"));
    let heading = text.lines().next().and_then(|line| line.strip_prefix("# "));
    let heading = heading.and_then(|heading| heading.split_once(": "));
    let (title, question) = heading.expect("a page begins with a title and a question");
    (title.to_owned(), question.to_owned())
}

fn pages() -> String {
    let mut list = String::from("<!-- pages -->\n\n");
    for (page, number) in PAGES.iter().zip(1..) {
        let (title, question) = heading(page);
        writeln!(list, "{number}. [{title}][{page}.md]: {question}").unwrap();
    }
    list.push('\n');
    for page in PAGES {
        writeln!(list, "[{page}.md]: {page}.md").unwrap();
    }
    list + "\n<!-- end -->"
}

/// Whether the program stands beside its Python.
pub(super) fn in_columns(program: &str) -> bool {
    let mark = format!("<!-- program: {program} -->");
    let shown = PAGES
        .iter()
        .any(|page| Page::read(page).text.contains(&mark));
    shown && file(&format!("programs/{program}.py")).exists()
}

fn program(name: &str, in_full: bool) -> String {
    let rust = block("rust", &read(&format!("programs/{name}.rs")));
    let python = file(&format!("programs/{name}.py")).exists();
    let python = python.then(|| block("python", &read(&format!("programs/{name}.py"))));
    let printed = block("text", &read(&format!("programs/{name}.out")));
    let mark = if in_full { ", in full" } else { "" };
    let mut text = format!("<!-- program: {name}{mark} -->\n\n");
    text += &match &python {
        None => rust,
        Some(python) if in_full => format!("{python}\n{rust}"),
        Some(python) => format!(
            "<table class=\"pair\">\n<tr><th>Python</th><th>Rust</th></tr>\n<tr><td valign=\"top\">\n\n{python}\n\
             </td><td valign=\"top\">\n\n{rust}\n</td></tr>\n</table>\n"
        ),
    };
    text += if python.is_some() {
        "\nBoth print:\n\n"
    } else {
        "\nIt prints:\n\n"
    };
    text += &printed;
    if file(&format!("pictures/{name}.svg")).exists() {
        write!(
            text,
            "\n![The timeline of this program: a lane for each task][{name}.svg]\n\n\
             [{name}.svg]: pictures/{name}.svg\n"
        )
        .unwrap();
    }
    text + "\n<!-- end -->"
}

/// A file of Python that is no program of its own.
fn listing(name: &str) -> String {
    let python = block("python", &read(&format!("programs/{name}")));
    format!("<!-- file: {name} -->\n\n{python}\n<!-- end -->")
}

fn block(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}

/// Where a link of the page leads in the compiled documentation.
fn compiled(target: &str) -> String {
    if target.ends_with(".svg") {
        format!(
            "data:image/svg+xml;base64,{}",
            base64(read(target).as_bytes())
        )
    } else if target == "README.md" {
        "crate::pages::course".to_owned()
    } else if let Some(page) = target.strip_prefix("../") {
        format!("crate::pages::{}", page.trim_end_matches(".md"))
    } else if let Some(page) = target.strip_suffix(".md") {
        format!("crate::pages::course::{page}")
    } else {
        target.to_owned()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | usize::from(*chunk.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * at) & 63];
            text.push(if at <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}
