//! Markdown: tables, and their place in `docs/performance.md`.

use std::{fmt::Display, fs, io};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");

/// A table and what must be said below it.
#[derive(Default)]
pub struct Report {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Report {
    pub fn new(header: impl IntoIterator<Item = impl Display>) -> Self {
        let header = header.into_iter().map(|cell| cell.to_string()).collect();
        Report {
            header,
            ..Report::default()
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Display>) {
        self.rows
            .push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }

    pub fn note(&mut self, text: impl Display) {
        self.notes.push(text.to_string());
    }

    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut page = line(&self.header);
        page += &format!("|---|{}\n", "---:|".repeat(self.header.len() - 1));
        page.extend(self.rows.iter().map(|row| line(row)));
        for note in &self.notes {
            page += &format!("\n{note}\n");
        }
        page
    }

    /// Prints it and, if asked to, puts it in its place on the page.
    ///
    /// # Errors
    /// What reading or writing the page gives.
    pub fn finish(&self, name: &str, write: bool) -> io::Result<()> {
        let table = self.to_markdown();
        println!("{table}");
        if write {
            let page = fs::read_to_string(PAGE).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(String::new()),
                _ => Err(error),
            })?;
            fs::write(PAGE, put(&page, name, &table))?;
        }
        Ok(())
    }
}

/// Replaces what stands between the markers of that name, or adds them at the end.
fn put(page: &str, name: &str, table: &str) -> String {
    let (start, end) = (
        format!("<!-- bench: {name} -->\n"),
        format!("<!-- end: {name} -->\n"),
    );
    let section = format!("{start}\n{table}\n{end}");
    match (page.find(&start), page.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{section}{}", &page[..from], &page[to + end.len()..])
        }
        _ => format!("{page}\n{section}"),
    }
}

#[cfg(test)]
mod tests {
    use super::put;

    #[test]
    fn a_table_replaces_the_one_before() {
        let page = put("Head.\n", "x", "| old |\n") + "Tail.\n";
        let wanted = "Head.\n\n<!-- bench: x -->\n\n| new |\n\n<!-- end: x -->\nTail.\n";
        assert_eq!(put(&page, "x", "| new |\n"), wanted);
    }
}
