//! Schedules as strings.

use proptest::{collection::vec, prelude::*, sample::select};
use soloop::{Error, testing::Schedule};

/// Any schedule of departures, as it prints.
fn departures() -> impl Strategy<Value = String> {
    let departure = (
        1..1_000_u32,
        select(vec![">", "c", "d", "p", "?", "t"]),
        1..=u32::MAX,
    );
    vec(departure, 0..8).prop_map(|departures| {
        let mut at = 0;
        let departures = departures.into_iter().map(|(gap, sign, operand)| {
            at += gap;
            let operand = if sign == "t" {
                String::new()
            } else {
                operand.to_string()
            };
            format!("{}{sign}{operand}", at - 1)
        });
        format!("sl1:{}", departures.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #[test]
    fn departures_print_as_they_parse(text in departures()) {
        let schedule: Schedule = text.parse().unwrap();
        prop_assert_eq!(schedule.to_string(), text);
    }

    #[test]
    fn choices_parse_as_they_print(choices in vec(any::<u16>(), 0..9)) {
        let schedule = Schedule::from_choices(&choices);
        prop_assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
    }

    #[test]
    fn what_parses_prints_the_same(text in "sl1[:=][0-9cdpt>?,é+]{0,8}") {
        if let Ok(schedule) = text.parse::<Schedule>() {
            prop_assert_eq!(schedule.to_string(), text);
        }
    }
}

#[test]
fn what_is_no_schedule_is_refused() {
    let refused = [
        "",
        "sl1",
        "sl2:",
        "SL1:",
        "4c2",
        " sl1:4c2",
        "sl1: 4c2",
        "sl1:4c2 ",
        "sl1:,",
        "sl1:4c2,",
        "sl1:,4c2",
        "sl1:4",
        "sl1:c2",
        "sl1:4x2",
        "sl1:4c",
        "sl1:4c-2",
        "sl1:4c+2",
        "sl1:+4c2",
        "sl1:4c2.5",
        "sl1:04c2",
        "sl1:4c02",
        "sl1:4>0",
        "sl1:4?0",
        "sl1:4t1",
        "sl1:4é",
        "sl1:é",
        "sl1:４c2",
        "sl1:4c2,4d3",
        "sl1:9>1,4c2",
        "sl1:4294967296c2",
        "sl1:4c4294967296",
        "sl1=-1",
        "sl1=+1",
        "sl1=65536",
        "sl1=1,",
        "sl1=x",
        "sl1=01",
    ];
    for text in refused {
        match text.parse::<Schedule>() {
            Err(Error::Value(message)) => {
                assert_eq!(message, format!("'{text}' is not a schedule"))
            }
            parsed => panic!("{text:?} was read as {parsed:?}"),
        }
    }
}

#[test]
fn the_empty_ones_depart_from_nothing() {
    let printed = [Schedule::default(), Schedule::from_choices(&[])].map(|empty| empty.to_string());
    assert_eq!(printed, ["sl1:", "sl1="]);
}
