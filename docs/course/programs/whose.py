import asyncio

async def step():
    try:
        await asyncio.wait_for(asyncio.sleep(1), 0.2)
    except TimeoutError:
        print("the step is too slow")
    except asyncio.CancelledError:
        print("the step is called off")
        raise

async def journey(limit):
    try:
        await asyncio.wait_for(step(), limit)
        print("the journey is over")
    except TimeoutError:
        print("the journey is too slow")

async def main():
    await journey(0.3)
    await journey(0.1)
    task = asyncio.create_task(journey(0.3))
    await asyncio.sleep(0.1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("the journey is called off")

asyncio.run(main())
