use soloop::{EventLoop, Result, Turn, sleep};
use std::time::Duration;

async fn blink() -> Result<()> {
    for light in ["on", "off", "on"] {
        println!("  light {light}");
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

fn main() {
    let mut guest = EventLoop::new();
    guest.create_task(blink()).set_name("blink");
    let mut frame = 0;
    loop {
        frame += 1;
        println!("frame {frame}");
        if let Turn::Empty = guest.turn() {
            break;
        }
    }
}
