//! `Event`, against a flag.

use super::*;
use crate::kit::outcome;
use soloop::Event;

#[derive(Debug, Default)]
struct Flag {
    set: bool,
    line: Line,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Set,
    Clear,
}

impl Model for Flag {
    type Wait = ();
    type Call = Call;
    type Real = Event;

    fn poll(&mut self, world: &mut World, id: usize, (): ()) -> Option<String> {
        match world.look(id) {
            Found::Unpolled if self.set => Some("ok".into()),
            Found::Unpolled => {
                self.line.enter(world, id);
                None
            }
            Found::Pending => None,
            found => {
                self.line.leave(id);
                Some(
                    if found == Found::Woken {
                        "ok"
                    } else {
                        CANCELLED
                    }
                    .into(),
                )
            }
        }
    }

    fn forget(&mut self, _: &mut World, id: usize, (): ()) {
        self.line.leave(id);
    }

    fn call(&mut self, world: &mut World, call: Call) -> String {
        match call {
            Call::Set if self.set => {}
            Call::Set => {
                self.set = true;
                self.line.wake(world, usize::MAX);
            }
            Call::Clear => self.set = false,
        }
        String::new()
    }

    fn show(&self, _: &World) -> String {
        let set = if self.set { "set" } else { "unset" };
        format!("<Event [{set}{}]> {}", self.line.show(), self.set)
    }

    fn stuck(&self, world: &World) -> bool {
        self.set && self.line.first_pending(world).is_some()
    }
}

impl Real for Event {
    type Wait = ();
    type Call = Call;

    fn future(&self, (): ()) -> Fut {
        let wait = self.wait();
        Box::pin(async { outcome(wait.await) })
    }

    fn call(&self, call: Call) -> String {
        match call {
            Call::Set => self.set(),
            Call::Clear => self.clear(),
        }
        String::new()
    }

    fn show(&self) -> String {
        format!("{self:?} {}", self.is_set())
    }
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![Just(Call::Set), Just(Call::Clear)]
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn is_its_model(script in script(Just(()), call())) {
        play(Flag::default(), Event::new(), script)?;
    }
}
