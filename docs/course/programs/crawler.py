import asyncio
import virtual

WEB = {  # how long a page takes, and its links
    "/": (2, ["/news", "/shop", "/about"]),
    "/news": (5, ["/", "/news/1", "/news/2"]),
    "/shop": (3, ["/", "/cart"]),
    "/about": (9, []),
    "/news/1": (4, ["/news"]),
    "/news/2": (2, ["/news", "/about"]),
}

class NotFound(Exception):
    pass

def say(line):
    print(f"{asyncio.get_running_loop().time():2.0f} s: {line}")

async def fetch(page):
    if page not in WEB:
        await asyncio.sleep(1)
        raise NotFound(f"{page} not found")
    seconds, links = WEB[page]
    await asyncio.sleep(seconds)
    return links

class Crawler:
    def __init__(self, requests, limit):
        self.gate = asyncio.Semaphore(requests)
        self.limit = limit
        self.seen = set()

    async def crawl(self, page):
        links = await self.visit(page)
        tasks = []
        for link in links:
            if link not in self.seen:
                self.seen.add(link)
                task = asyncio.create_task(self.crawl(link))
                tasks.append(task)
        for task in tasks:
            await task

    async def visit(self, page):
        async with self.gate:
            say(f"{page} ...")
            try:
                links = await asyncio.wait_for(fetch(page), self.limit)
            except TimeoutError:
                say(f"{page} takes too long")
                return []
            except NotFound as error:
                say(error)
                return []
            say(f"{page} has {len(links)} links")
            return links

async def main():
    crawler = Crawler(requests=2, limit=6)
    crawler.seen.add("/")
    await crawler.crawl("/")
    say(f"{len(crawler.seen)} pages, {crawler.gate}")

virtual.run(main())
