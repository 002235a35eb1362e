import asyncio
import virtual

def say(line):
    print(f"{asyncio.get_running_loop().time():2.0f} s: {line}")

class Closed(Exception):
    pass

class Pool:
    def __init__(self, size):
        self.idle = [f"line {n}" for n in range(1, size + 1)]
        self.is_open = True
        self.changed = asyncio.Condition()

    async def take(self):
        async with self.changed:
            await self.changed.wait_for(
                lambda: self.idle or not self.is_open)
            if not self.is_open:
                raise Closed("the pool is closed")
            return self.idle.pop(0)

    async def give_back(self, line):
        async with self.changed:
            self.idle.append(line)
            self.changed.notify()

    async def close(self):
        async with self.changed:
            self.is_open = False
            self.changed.notify_all()

async def query(name, seconds, pool):
    line = await asyncio.wait_for(pool.take(), 4)
    say(f"{name} takes {line}")
    try:
        await asyncio.sleep(seconds)
    finally:
        await pool.give_back(line)
        say(f"{name} gives back {line}")

async def client(name, begin, seconds, pool):
    await asyncio.sleep(begin)
    say(f"{name} wants a line")
    try:
        await query(name, seconds, pool)
    except TimeoutError:
        say(f"{name} got none in time")
    except Closed as error:
        say(f"{name} got none: {error}")

async def main():
    pool = Pool(2)
    clients = {}
    for name, begin, seconds in [
        ("ada", 0, 4), ("bob", 1, 6), ("eve", 2, 5), ("dan", 3, 10),
        ("fay", 5, 8), ("gus", 8, 1), ("hal", 13, 1),
    ]:
        clients[name] = asyncio.create_task(
            client(name, begin, seconds, pool))

    await asyncio.sleep(6)
    say("eve is cancelled")
    clients["eve"].cancel()
    await asyncio.sleep(8)
    say("the pool is to close")
    await pool.close()

    for name, task in clients.items():
        try:
            await task
        except asyncio.CancelledError:
            say(f"{name} was cancelled")
    say(", ".join(sorted(pool.idle)))

virtual.run(main())
