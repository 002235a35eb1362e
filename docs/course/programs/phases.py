import asyncio
import virtual
from itertools import count

def say(line):
    print(f"{asyncio.get_running_loop().time():2.0f} s: {line}")

async def work(name, cells, seconds, row, barrier):
    for phase in count(1):
        try:
            fresh = [row[i] + (row[i - 1] if i else 0) for i in cells]
            await asyncio.sleep(seconds)
            if max(fresh) > 9:
                say(f"{name}: {max(fresh)} has two digits")
                await barrier.abort()
                return
            await barrier.wait()  # all have read
            row[cells.start:cells.stop] = fresh
            place = await barrier.wait()  # all have written
            if place == 0:
                say(f"phase {phase}: {row}")
        except asyncio.BrokenBarrierError as error:
            say(f"{name} stops in phase {phase}: {error}")
            return

async def main():
    row = [1, 0, 0, 0, 0, 0]
    barrier = asyncio.Barrier(3)
    tasks = []
    for name, begin, seconds in ("ada", 0, 1), ("bob", 2, 2), ("eve", 4, 3):
        cells = range(begin, begin + 2)
        task = asyncio.create_task(
            work(name, cells, seconds, row, barrier))
        tasks.append(task)
    for task in tasks:
        await task
    say(f"what is left: {row}")

virtual.run(main())
