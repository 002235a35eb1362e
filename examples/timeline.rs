//! Records one of the other examples, prints it as lanes of text, and draws it as an SVG.
//!
//! `cargo run --example timeline lock` takes `examples/lock.rs`. Time is virtual, so nothing is waited for.

use soloop::{
    EventLoop, Result,
    trace::{self, Timeline},
};
use std::{
    env, fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Each in a module of its own. What stands at their heads is `//`, since a `//!` cannot be included.
macro_rules! programs {
    ($($name:ident)+) => {
        $(
            #[allow(dead_code, reason = "it has a `main` of its own")]
            mod $name {
                include!(concat!(stringify!($name), ".rs"));

                pub(super) fn record() -> super::Timeline {
                    super::record(start())
                }
            }
        )+

        const PROGRAMS: &[(&str, fn() -> Timeline)] = &[
            $((stringify!($name), $name::record)),+
        ];
    };
}

programs! { barrier cancel condition deadlock event lock semaphore timeouts }

fn record(main: impl Future<Output = Result<()>>) -> Timeline {
    let (ended, timeline) = trace::record(&mut EventLoop::with_virtual_clock(), main);
    if let Err(error) = ended {
        println!("{error}");
    }
    timeline
}

/// Writes the picture below `target/`, as it is made; if that cannot be, among the temporary files. Returns where.
fn write(picture: &str, name: &str) -> io::Result<PathBuf> {
    let file = format!("{name}.svg");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new("target").join("timeline");
    let written = fs::create_dir_all(package.join(&folder))
        .and_then(|()| fs::write(package.join(&folder).join(&file), picture));
    match written {
        Ok(()) => Ok(folder.join(file)), // as seen from the package
        Err(_) => {
            let path = env::temp_dir().join(file);
            fs::write(&path, picture).map(|()| path)
        }
    }
}

fn main() -> ExitCode {
    let wanted = env::args().nth(1).unwrap_or("lock".to_owned());
    let Some((name, program)) = PROGRAMS.iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no {wanted}, but {}", names.join(", "));
        return ExitCode::FAILURE;
    };
    let timeline = program();
    println!("\n{timeline}");
    match write(&timeline.to_svg(), name) {
        Ok(path) => println!("drawn in {}", path.display()),
        Err(error) => {
            eprintln!("cannot write the picture: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
