"""A rate limit: two calls may go out at once, then one with each tick."""

import asyncio


async def call(name, permits):
    await permits.acquire()
    print(f"{name} goes out: {permits}")


async def metronome(permits):
    while True:
        await asyncio.sleep(0.1)
        print("tick")
        permits.release()


async def main():
    permits = asyncio.Semaphore(2)
    asyncio.create_task(metronome(permits))

    calls = [
        asyncio.create_task(call(name, permits))
        for name in ("Ada", "Bob", "Cyd", "Dan", "Eve")
    ]
    for task in calls:
        await task

    # The metronome is still at it; the end of main cancels it.
    print(f"done: {permits}")


asyncio.run(main())
