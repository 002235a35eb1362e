"""Four letters with a limit: in time, too late, without one, and with none left."""

import asyncio


async def letter(name, delay):
    print(f"{name} is on its way")
    try:
        await asyncio.sleep(delay)
    except asyncio.CancelledError:
        print(f"{name} is called back")
        raise
    return f"{name} has come"


async def expect(name, delay, limit):
    try:
        print(await asyncio.wait_for(letter(name, delay), limit))
    except TimeoutError as error:
        print(f"{name} is late: {type(error).__name__}")


async def main():
    await expect("the first", 0.1, 5)
    await expect("the second", 5, 0.1)
    await expect("the third", 0.1, None)
    await expect("the fourth", 0.1, 0)

    # Of two limits, the one that strikes first is the one that raises.
    try:
        await asyncio.wait_for(expect("the fifth", 5, 5), 0.1)
    except TimeoutError:
        print("the whole round is late")


asyncio.run(main())
