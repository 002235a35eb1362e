use soloop::{Error, EventLoop, Result, Semaphore, create_task, sleep, time, wait_for};
use std::{cell::RefCell, collections::BTreeSet, fmt, rc::Rc, time::Duration};

type Page = &'static str;

/// How long a page takes, and its links.
const WEB: [(Page, u64, &[Page]); 6] = [
    ("/", 2, &["/news", "/shop", "/about"]),
    ("/news", 5, &["/", "/news/1", "/news/2"]),
    ("/shop", 3, &["/", "/cart"]),
    ("/about", 9, &[]),
    ("/news/1", 4, &["/news"]),
    ("/news/2", 2, &["/news", "/about"]),
];

#[derive(Debug)]
struct NotFound(Page);

impl std::error::Error for NotFound {}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} not found", self.0)
    }
}

fn say(line: impl fmt::Display) {
    println!("{:2} s: {line}", time().as_secs());
}

async fn fetch(page: Page) -> Result<&'static [Page]> {
    let Some((_, seconds, links)) = WEB.iter().find(|entry| entry.0 == page) else {
        sleep(Duration::from_secs(1)).await?;
        return Err(Error::other(NotFound(page)));
    };
    sleep(Duration::from_secs(*seconds)).await?;
    Ok(links)
}

struct Crawler {
    gate: Semaphore,
    limit: Duration,
    seen: RefCell<BTreeSet<Page>>,
}

impl Crawler {
    fn new(requests: usize, limit: Duration) -> Rc<Self> {
        Rc::new(Self {
            gate: Semaphore::new(requests),
            limit,
            seen: RefCell::default(),
        })
    }

    async fn crawl(self: Rc<Self>, page: Page) -> Result<()> {
        let links = self.visit(page).await?;
        let mut tasks = Vec::new();
        for link in links {
            if self.seen.borrow_mut().insert(link) {
                let task = create_task(Self::crawl(self.clone(), link));
                task.set_name(*link);
                tasks.push(task);
            }
        }
        for task in tasks {
            task.await?;
        }
        Ok(())
    }

    async fn visit(&self, page: Page) -> Result<&'static [Page]> {
        let _held = self.gate.enter().await?;
        say(format!("{page} ..."));
        match wait_for(fetch(page), self.limit).await {
            Ok(links) => {
                say(format!("{page} has {} links", links.len()));
                Ok(links)
            }
            Err(Error::Timeout) => {
                say(format!("{page} takes too long"));
                Ok(&[])
            }
            Err(Error::Other(error)) if error.is::<NotFound>() => {
                say(error);
                Ok(&[])
            }
            other => other,
        }
    }
}

async fn start() -> Result<()> {
    let crawler = Crawler::new(2, Duration::from_secs(6));
    crawler.seen.borrow_mut().insert("/");
    crawler.clone().crawl("/").await?;
    let seen = crawler.seen.borrow().len();
    say(format!("{seen} pages, {:?}", crawler.gate));
    Ok(())
}

fn main() -> Result<()> {
    EventLoop::with_virtual_clock().run(start())
}
