//! As much of JSON as a trace has.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    pub(crate) fn get(&self, key: &str) -> &Value {
        match self {
            Value::Object(entries) => &entries[key],
            other => panic!("no object: {other:?}"),
        }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Value::Text(text) => text,
            other => panic!("{key} is {other:?}"),
        }
    }

    pub(crate) fn list(&self) -> &[Value] {
        match self {
            Value::List(values) => values,
            other => panic!("no list: {other:?}"),
        }
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        match self.get(key) {
            Value::Number(number) => *number,
            other => panic!("{key} is {other:?}"),
        }
    }
}

/// Panics where it is none.
pub(crate) fn parse(json: &str) -> Value {
    let mut left = json.chars().peekable();
    let value = value(&mut left);
    assert_eq!(left.collect::<String>().trim(), "");
    value
}

fn value(left: &mut Peekable<Chars<'_>>) -> Value {
    match next(left) {
        '"' => Value::Text(text(left)),
        '[' => Value::List(members(left, ']', value)),
        '{' => {
            let entry = |left: &mut Peekable<Chars<'_>>| {
                assert_eq!(next(left), '"');
                let key = text(left);
                assert_eq!(next(left), ':');
                (key, value(left))
            };
            Value::Object(members(left, '}', entry).into_iter().collect())
        }
        first => {
            let mut number = String::from(first);
            while let Some(c) = left.next_if(|c| c.is_ascii_digit() || *c == '.') {
                number.push(c);
            }
            Value::Number(number.parse().expect("a number"))
        }
    }
}

fn next(left: &mut Peekable<Chars<'_>>) -> char {
    left.find(|c| !c.is_whitespace()).expect("more of it")
}

fn members<T>(
    left: &mut Peekable<Chars<'_>>,
    end: char,
    member: impl Fn(&mut Peekable<Chars<'_>>) -> T,
) -> Vec<T> {
    let mut members = Vec::new();
    while left.next_if(|c| c.is_whitespace()).is_some() {}
    if left.next_if_eq(&end).is_some() {
        return members;
    }
    loop {
        members.push(member(left));
        match next(left) {
            ',' => {}
            c => {
                assert_eq!(c, end);
                return members;
            }
        }
    }
}

fn text(left: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    loop {
        match left.next().expect("a quote at the end") {
            '"' => return text,
            '\\' => match left.next().expect("what is escaped") {
                'n' => text.push('\n'),
                'u' => {
                    let code: String = left.take(4).collect();
                    let code = u32::from_str_radix(&code, 16).expect("four digits");
                    text.push(char::from_u32(code).expect("a character"));
                }
                c => {
                    assert!("\"\\".contains(c));
                    text.push(c);
                }
            },
            c => {
                assert!(c >= ' ', "{c:?} stands in a string");
                text.push(c);
            }
        }
    }
}
