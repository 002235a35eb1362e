//! The pen: SVG's elements as text, with what they need of escaping and rounding.

use std::fmt::Write;

/// A character takes so much of the font's size: all do in the fonts that we name, so that we know how wide a text is.
const ADVANCE: f64 = 0.61;

/// What has been drawn so far.
pub(super) struct Pen {
    pub(super) drawn: String,
    /// The look of the bars that are drawn now.
    class: String,
    /// Whether every byte counts: a bar is a path then, and a place a whole number.
    thrifty: bool,
}

impl Pen {
    pub(super) fn new(thrifty: bool) -> Self {
        Self {
            drawn: String::new(),
            class: String::new(),
            thrifty,
        }
    }

    pub(super) fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let _ = writeln!(self.drawn, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, words: &str) {
        let class = match class {
            "" => String::new(),
            class => format!(" class=\"{class}\""),
        };
        let x = if self.thrifty { x.round() } else { x };
        let (x, y, words) = (number(x), number(y), escaped(words));
        let _ = write!(
            self.drawn,
            "<text{class} x=\"{x}\" y=\"{y}\">{words}</text>"
        );
    }

    /// What follows has its origin so far down.
    pub(super) fn open_group(&mut self, y: f64) {
        let _ = write!(self.drawn, "<g transform=\"translate(0 {})\">", number(y));
    }

    pub(super) fn close_group(&mut self) {
        self.close_class();
        self.drawn.push_str("</g>\n");
    }

    fn close_class(&mut self) {
        if !self.class.is_empty() {
            self.drawn.push_str("</g>");
            self.class.clear();
        }
    }

    /// A bar with its title, in a group. It is never so narrow that it could not be seen.
    pub(super) fn bar(
        &mut self,
        class: &str,
        (from, to): (f64, f64),
        y: f64,
        height: f64,
        title: &str,
    ) {
        if self.class != class {
            self.close_class();
            let _ = write!(self.drawn, "<g class=\"{class}\">");
            class.clone_into(&mut self.class);
        }
        let (width, title) = ((to - from).max(1.5), escaped(title));
        let _ = match self.thrifty {
            true => {
                let (from, width) = (from.round(), width.ceil());
                let bar = format!("M{from} {y}h{width}v{height}h-{width}z");
                write!(
                    self.drawn,
                    "<path d=\"{bar}\"><title>{title}</title></path>"
                )
            }
            false => write!(
                self.drawn,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{title}</title></rect>",
                number(from),
                number(y),
                number(width),
                number(height),
            ),
        };
    }

    /// A disc with a number in it.
    pub(super) fn badge(&mut self, class: &str, x: f64, y: f64, n: usize, title: &str) {
        let (cx, cy, title) = (number(x), number(y), escaped(title));
        let _ = write!(
            self.drawn,
            "<circle class=\"{class}\" cx=\"{cx}\" cy=\"{cy}\" r=\"7.5\"><title>{title}</title></circle>"
        );
        let label = n.to_string();
        let left = x - text_width(&label, 10.0) / 2.0;
        self.text("i", left, y + 3.5, &label);
    }
}

pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * ADVANCE
}

/// A coordinate, to a tenth.
pub(super) fn number(x: f64) -> String {
    let text = format!("{x:.1}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A bar, as the legend shows it.
pub(super) fn block((x, y): (f64, f64), height: f64) -> String {
    let (x, top, height) = (number(x), number(y - 4.0 - height / 2.0), number(height));
    format!("M{x} {top}h18v{height}h-18z")
}

/// An arrow between two lanes.
pub(super) fn arrow(x: f64, from: f64, to: f64) -> String {
    let head = match from < to {
        true => "m-3-4l3 4 3-4",
        false => "m-3 4l3-4 3 4",
    };
    format!("M{} {}V{}{head}", number(x), number(from), number(to))
}

/// What closes the lane of a task that returned.
pub(super) fn end_mark(x: f64, y: f64) -> String {
    format!("M{} {}v20", number(x), number(y - 2.0))
}

/// What closes any other.
pub(super) fn cross_mark(x: f64, y: f64) -> String {
    format!("M{} {}l8 8m0-8l-8 8", number(x - 4.0), number(y + 4.0))
}

/// Text as XML can have it: some characters have a meaning, and some may not occur at all.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(super) fn clipped(name: &str, width: usize) -> String {
    match name.chars().count() <= width {
        true => name.to_owned(),
        false => name.chars().take(width - 1).chain(['…']).collect(),
    }
}

/// Breaks a text between words where a line is full, and cuts a very long one.
pub(super) fn lines(text: &str, room: usize) -> Vec<String> {
    const LINES: usize = 8;
    let mut lines: Vec<String> = Vec::new();
    for part in text.lines() {
        lines.push(String::new());
        for word in part.split_whitespace() {
            let line = lines.last_mut().expect("one was pushed");
            if line.is_empty() {
                line.push_str(&clipped(word, room));
            } else if line.chars().count() + 1 + word.chars().count() <= room {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(clipped(word, room));
            }
        }
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        lines.push("…".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escaped("<a href=\"b\">\n&\u{1b}\u{ffff}"),
            "&lt;a href=&quot;b&quot;&gt; &amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_coordinate_has_a_tenth_if_it_has_to() {
        assert_eq!(
            [12.0, 12.04, 12.25, 0.96].map(number),
            ["12", "12", "12.2", "1"]
        );
    }

    #[test]
    fn a_line_is_filled_to_its_end() {
        assert_eq!(lines("one two six", 7), ["one two", "six"]);
        assert_eq!(lines("one two six", 6), ["one", "two", "six"]);
    }

    #[test]
    fn of_many_lines_eight_are_shown() {
        assert_eq!(lines(&"so\n".repeat(8), 9), ["so"; 8]);
        let cut = lines(&"so\n".repeat(9), 9);
        assert_eq!((cut.len(), cut[8].as_str()), (9, "…"));
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(
            lines("one two three\nextraordinary", 9),
            ["one two", "three", "extraord…"]
        );
    }
}
