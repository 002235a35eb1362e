//! Whole pictures, as they were drawn when somebody last looked at them.
//!
//! `cargo test --test it pictures::drawn -- --ignored` draws them anew, after a change of what draws them.

use std::{fs, path::PathBuf, time::Duration};

use soloop::{
    Error, Event, Lock, Result, Semaphore, create_task, sleep,
    testing::{Explorer, Probe},
    trace::Timeline,
    wait_for,
};

use super::{MILLIS, timeline_of};

/// All that a picture may have to show in a few turns: departures, notes, requests, every way to end but a panic, a deadlock.
fn trouble() -> Timeline {
    let body = |probe: Probe| async move {
        let (pool, log) = (Semaphore::new(2), Lock::new().named("log \"a\""));
        let (stop, gone) = (Event::new().named("stop"), Lock::new());
        let asked = create_task(asks(probe.clone(), stop.clone()));
        asked.set_name("asks & is asked, and then asked again");
        let workers = ["worker", "worker", "keeps it"].map(|name| {
            let work = works(probe.clone(), pool.clone(), log.clone());
            let task = create_task(work);
            task.set_name(name);
            task
        });
        create_task(async { Err::<(), _>(Error::Value("<so>".into())) });
        let late = wait_for(Event::new().wait(), 3 * MILLIS).await;
        probe.note(format_args!("{late:?}\tat \u{1}\\last"));
        workers[1].cancel();
        stop.set();
        sleep(2 * MILLIS).await?;
        gone.acquire().await?;
        gone.acquire().await
    };
    let schedule = "sl1:2>1,9p3,15?2".parse().expect("a schedule");
    Explorer::new().replay(&schedule, body).timeline
}

async fn works(probe: Probe, pool: Semaphore, log: Lock) -> Result<()> {
    let _permit = pool.enter().await?;
    sleep(MILLIS).await?;
    let _held = log.enter().await?;
    if probe.choose(3) > 0 {
        probe.note("a line\nand one that is so long that it has to be broken somewhere in the middle, between two of its words, and again, since a \
                     picture is a good deal wider than a terminal, and this is more than its width");
    }
    sleep(4 * MILLIS).await
}

async fn asks(probe: Probe, stop: Event) -> Result<()> {
    for n in 0..3 {
        probe.note(n);
        sleep(Duration::ZERO).await?;
    }
    stop.wait().await
}

/// So many turns that a turn is a column: three who wait for each other, and now and then for the clock.
fn busy(turns: usize) -> Timeline {
    timeline_of(async move {
        let (desk, key, pen) = (
            Lock::new().named("desk"),
            Lock::new().named("key"),
            Semaphore::new(2).named("pen"),
        );
        let clerk = |own: usize| {
            let (first, second, pen) = match own {
                0 => (desk.clone(), key.clone(), pen.clone()),
                _ => (key.clone(), desk.clone(), pen.clone()),
            };
            create_task(async move {
                for turn in 0..turns {
                    if turn % 40 < 20 {
                        let _held = first.enter().await?;
                        sleep(Duration::ZERO).await?;
                    } else if turn % 40 < 30 {
                        let _held = second.enter().await?;
                        let _pen = pen.enter().await?;
                        sleep(Duration::ZERO).await?;
                    } else {
                        sleep(own as u32 * MILLIS).await?;
                    }
                }
                Ok(())
            })
        };
        for clerk in [clerk(0), clerk(1), clerk(2)] {
            clerk.await?;
        }
        Ok(())
    })
}

/// Each picture by the name of its file.
fn pictures() -> Vec<(&'static str, String)> {
    let (trouble, busy, long) = (trouble(), busy(60), busy(1_000));
    vec![
        ("trouble.txt", trouble.to_string()),
        ("trouble.svg", trouble.to_svg()),
        ("trouble.json", trouble.to_chrome_json()),
        ("busy.txt", busy.to_string()),
        ("busy.svg", busy.to_svg()),
        ("long.svg", long.to_svg()),
    ]
}

fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pictures/drawn");
    PathBuf::from(folder).join(name)
}

#[test]
fn are_drawn_again() {
    for (name, drawn) in pictures() {
        let stands = fs::read_to_string(file(name)).expect(name);
        assert!(stands == drawn, "{name} is another");
    }
}

#[test]
#[ignore = "draws them anew"]
fn anew() {
    for (name, drawn) in pictures() {
        fs::write(file(name), drawn).expect(name);
    }
}
