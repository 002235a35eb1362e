"""A task is cancelled, cleans up with further awaits, and then ends; another one returns all the same."""

import asyncio


async def diver(name, stubborn):
    print(f"{name} dives")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print(f"{name} is called")
        # Not a hurry: what cleans up may wait as well.
        await asyncio.sleep(0.1)
        print(f"{name} is out of the water")
        if not stubborn:
            raise
    return "a pearl"


async def main():
    for name, stubborn in ("Ada", False), ("Bob", True):
        task = asyncio.create_task(diver(name, stubborn))
        await asyncio.sleep(0.1)
        task.cancel()
        try:
            print(f"{name} brings {await task}")
        except asyncio.CancelledError:
            print(f"{name} brings nothing")
        if not task.cancel():
            print(f"{name} has gone home")


asyncio.run(main())
