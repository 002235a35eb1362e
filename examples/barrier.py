"""Two tasks wait at a barrier for three; main is the third."""

import asyncio


async def main():
    barrier = asyncio.Barrier(3)

    asyncio.create_task(barrier.wait())
    asyncio.create_task(barrier.wait())

    # One turn: both tasks begin, and stand at the barrier.
    await asyncio.sleep(0)
    print(barrier)

    # The third to come lets all three go.
    await barrier.wait()
    print(barrier)
    print("barrier passed")

    # One more turn: the other two leave, and it fills anew.
    await asyncio.sleep(0)
    print(barrier)


asyncio.run(main())
