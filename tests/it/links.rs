//! Where the pages' links lead: in the repository to a file, and in the documentation to what `docs/links.md` says.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the repository that somebody reads there.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.expect("a name of letters");
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "links"].contains(&name) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") && name != "links.md" {
                let text = fs::read_to_string(&path).expect("a page");
                pages.push((path, prose(&text)));
            }
        }
    }
    assert!(pages.len() > 20, "the course alone has so many");
    pages
}

/// A page without its listings.
fn prose(page: &str) -> String {
    let mut listing = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        listing ^= fence;
        !listing && !fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The targets that stand at the end of a page, by what stands in brackets.
fn definitions(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// The targets that stand in the text.
fn inline(page: &str) -> impl Iterator<Item = &str> {
    let behind = page.split("](").skip(1);
    behind.filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// What a heading is called in an address.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().chars();
    let letters = letters.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    letters.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Whether there is such a file, with such a heading.
fn leads_somewhere(page: &Path, target: &str) -> bool {
    if target.starts_with("https://") {
        return true;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => page.to_owned(),
        file => page.parent().expect("a folder").join(file),
    };
    let has = |text: String| {
        let mut lines = text.lines().filter(|line| line.starts_with('#'));
        heading.is_empty() || lines.any(|line| anchor(line) == heading)
    };
    file.is_dir() || fs::read_to_string(file).is_ok_and(has)
}

#[test]
fn in_the_repository_lead_to_what_is_there() {
    let mut dead = Vec::new();
    for (path, page) in pages() {
        let targets = definitions(&page).map(|(_, target)| target);
        let targets = targets.chain(inline(&page));
        dead.extend(
            targets
                .filter(|target| !leads_somewhere(&path, target))
                .map(|target| format!("{}: {target}", path.display())),
        );
    }
    assert_eq!(dead, [""; 0]);
}

/// In the documentation a name would be found without, and in the repository its brackets would be read.
#[test]
fn have_their_targets_on_the_page() {
    for (path, page) in pages() {
        let defined: Vec<&str> = definitions(&page).map(|(label, _)| label).collect();
        for link in page.split("[`").skip(1) {
            let Some((name, rest)) = link.split_once("`]") else {
                continue;
            };
            let label = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((label, _)) => label.to_owned(),
                None => format!("`{name}`"),
            };
            let known = rest.starts_with('(') || defined.contains(&&*label);
            assert!(known, "{}: {label}", path.display());
        }
        for label in defined {
            let used = page.matches(&format!("[{label}]")).count() > 1;
            assert!(used, "{}: nothing leads to {label}", path.display());
        }
    }
}

#[test]
fn that_stay_in_the_repository_lead_elsewhere_in_the_documentation() {
    let read = |path| fs::read_to_string(root().join(path)).expect("a file");
    let (library, links) = (read("src/lib.rs"), read("docs/links.md"));
    let redirected: Vec<&str> = definitions(&links).map(|(label, _)| label).collect();
    let mut used = Vec::new();
    for (path, page) in pages() {
        let path = path.strip_prefix(root()).expect("it is in the root");
        let include = format!("include_str!(\"../{}\")", path.display());
        if !library.contains(&include) || path.starts_with("docs/course") {
            continue;
        }
        let stays = |target: &&str| !target.starts_with("https://") && !target.starts_with('#');
        assert_eq!(inline(&page).find(stays), None, "{}", path.display());
        for (label, target) in definitions(&page) {
            let known = redirected.contains(&label);
            assert!(known || !stays(&target), "{}: {label}", path.display());
            used.push(label.to_owned());
        }
    }
    let unused = redirected
        .iter()
        .find(|label| !used.iter().any(|used| used == *label));
    assert_eq!(unused, None);
    // Labels that differ in case alone are one.
    let mut lower: Vec<_> = redirected
        .iter()
        .map(|label| label.to_lowercase())
        .collect();
    lower.sort();
    lower.dedup();
    assert_eq!(lower.len(), redirected.len());
}
