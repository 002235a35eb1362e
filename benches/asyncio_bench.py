"""The workloads of src/workloads.rs in Python, on asyncio or uvloop.

Says its version, then answers lines on its standard input until "quit":
"time WORKLOAD OPS TASKS" with nanoseconds, "turns WORKLOAD OPS TASKS" with the tasks in the order of their turns, "idle - OPS TASKS" with
bytes and allocations of one idle task, and with "none" what it cannot do.
"""

import asyncio
import platform
import selectors
import sys
import time
import tracemalloc
from collections import deque

LONG = 60
CAPACITY = 10


async def crew(tasks, make):
    """Spawns tasks 0, 1, 2 … and joins them."""
    for task in [asyncio.create_task(make(number)) for number in range(tasks)]:
        await task


async def spawn(ops, tasks, turn):
    async def task(number):
        if turn:
            turn(number)

    for _ in range(ops // tasks):
        await crew(tasks, task)


async def yields(ops, tasks, turn):
    async def task(number):
        for _ in range(ops // tasks):
            if turn:
                turn(number)
            await asyncio.sleep(0)

    await crew(tasks, task)


async def lock_free(ops, tasks, turn):
    async def task(number):
        lock = asyncio.Lock()
        for _ in range(ops):
            async with lock:
                pass

    await crew(1, task)


async def lock_handoff(ops, tasks, turn):
    await contended(asyncio.Lock(), ops, tasks, turn)


async def semaphore(ops, tasks, turn):
    await contended(asyncio.Semaphore(10), ops, tasks, turn)


async def contended(primitive, ops, tasks, turn):
    async def task(number):
        for _ in range(ops // tasks):
            async with primitive:
                if turn:
                    turn(number)
                await asyncio.sleep(0)

    await crew(tasks, task)


async def ping_pong(ops, tasks, turn, wait=asyncio.Event.wait):
    events = [asyncio.Event(), asyncio.Event()]
    events[0].set()

    async def task(number):
        mine, other = events[number], events[1 - number]
        for _ in range(ops):
            await wait(mine)
            mine.clear()
            if turn:
                turn(number)
            other.set()

    await crew(2, task)


async def broadcast(ops, tasks, turn):
    event = asyncio.Event()
    waiting = 0

    async def task(number):
        nonlocal waiting
        waiting += 1
        await event.wait()
        if turn:
            turn(number)

    for _ in range(ops // tasks):
        handles = [asyncio.create_task(task(number)) for number in range(tasks)]
        while waiting < tasks:
            await asyncio.sleep(0)
        waiting = 0
        event.set()
        for handle in handles:
            await handle
        event.clear()


async def condition(ops, tasks, turn):
    changed = asyncio.Condition()
    queue = deque()

    async def producer():
        for item in range(ops):
            async with changed:
                while len(queue) == CAPACITY:
                    await changed.wait()
                queue.append(item)
                changed.notify(1)

    async def consumer():
        for _ in range(ops):
            async with changed:
                while not queue:
                    await changed.wait()
                item = queue.popleft()
                if turn:
                    turn(item)
                changed.notify(1)

    for handle in [asyncio.create_task(producer()), asyncio.create_task(consumer())]:
        await handle


async def barrier(ops, tasks, turn):
    barrier = asyncio.Barrier(tasks)

    async def task(number):
        for _ in range(ops // tasks):
            await barrier.wait()
            if turn:
                turn(number)

    await crew(tasks, task)


def deadline(number, tasks):
    return number * 7919 % tasks + 1


async def sleeps(ops, tasks, turn):
    async def task(number):
        await asyncio.sleep(deadline(number, tasks) / 1000)
        if turn:
            turn(number)

    for _ in range(ops // tasks):
        await crew(tasks, task)


async def sleeps_real(ops, tasks, turn):
    async def task(number):
        await asyncio.sleep(0.010 * deadline(number, tasks) / tasks)
        if turn:
            turn(number)

    for _ in range(ops // tasks):
        await crew(tasks, task)


async def timeout_ready(ops, tasks, turn):
    async def ready():
        pass

    async def task(number):
        for _ in range(ops):
            await asyncio.wait_for(ready(), LONG)

    await crew(1, task)


async def timeout_yield(ops, tasks, turn):
    async def task(number):
        for _ in range(ops):
            await asyncio.wait_for(asyncio.sleep(0), LONG)

    await crew(1, task)


async def timeout_wait(ops, tasks, turn):
    await ping_pong(ops, tasks, turn, lambda event: asyncio.wait_for(event.wait(), LONG))


async def timer_dropped(ops, tasks, turn):
    async def task(number):
        for _ in range(ops):
            sleep = asyncio.sleep(LONG)
            sleep.send(None)
            sleep.close()

    await crew(1, task)


async def idle(ops, tasks, turn):
    handles = [None] * tasks

    async def task(number):
        if turn:
            turn(number)
        await asyncio.get_running_loop().create_future()

    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for number in range(tasks):
        handles[number] = asyncio.create_task(task(number))
    await asyncio.sleep(0)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    for handle in handles:
        handle.cancel()
    more = [(entry.size_diff, entry.count_diff) for entry in after.compare_to(before, "filename")]
    return [sum(size for size, _ in more) / tasks, sum(count for _, count in more) / tasks]


WORKLOADS = {
    "spawn": spawn,
    "yield-1": yields,
    "yield-10": yields,
    "yield-1000": yields,
    "lock-free": lock_free,
    "lock-handoff": lock_handoff,
    "ping-pong": ping_pong,
    "broadcast": broadcast,
    "semaphore": semaphore,
    "condition": condition,
    "barrier": barrier,
    "sleeps-100k": sleeps,
    "sleeps-1m": sleeps,
    "sleeps-real": sleeps_real,
    "timeout-ready": timeout_ready,
    "timeout-yield": timeout_yield,
    "timeout-wait": timeout_wait,
    "timer-dropped": timer_dropped,
}
VIRTUAL = {"sleeps-100k", "sleeps-1m"}


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, lets the time pass."""

    now = 0.0

    def select(self, timeout=None):
        if timeout:
            self.now += timeout
        return super().select(0)


def virtual_loop():
    selector = JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    return loop


def loop_factory(kind, workload):
    if kind == "asyncio":
        return virtual_loop if workload in VIRTUAL else asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def run(kind, workload, ops, tasks, turn):
    """Nanoseconds within main, as in Rust. There is a `turn` to call only where nobody looks at the time."""
    nanoseconds = 0

    async def main():
        nonlocal nanoseconds
        start = time.perf_counter_ns()
        await WORKLOADS[workload](ops, tasks, turn)
        nanoseconds = time.perf_counter_ns() - start

    with asyncio.Runner(loop_factory=loop_factory(kind, workload)) as runner:
        runner.run(main())
    return nanoseconds


def answer(kind, what, workload, ops, tasks):
    if what == "idle":
        with asyncio.Runner(loop_factory=loop_factory(kind, workload)) as runner:
            return runner.run(idle(ops, tasks, None))
    if workload not in WORKLOADS:
        return ["none"]
    if kind == "uvloop" and workload.startswith("sleeps-1"):
        return ["none"]  # its clock is not ours to turn
    if what == "time":
        return [run(kind, workload, ops, tasks, None)]
    turns = []
    run(kind, workload, ops, tasks, turns.append)
    return turns


def main():
    kind = sys.argv[1]
    version = f"CPython {platform.python_version()}"
    if kind == "uvloop":
        import uvloop

        version = f"{uvloop.__version__} on {version}"
    print(version, flush=True)
    for line in sys.stdin:
        if line.strip() == "quit":
            return
        what, workload, ops, tasks = line.split()
        print(*answer(kind, what, workload, int(ops), int(tasks)), flush=True)


if __name__ == "__main__":
    main()
