import asyncio

async def count(turns):
    for turn in range(2, turns + 1):
        print(f"-- turn {turn}")
        await asyncio.sleep(0)

async def nothing():
    pass

async def main():
    asyncio.create_task(count(4))
    lock = asyncio.Lock()
    await lock.acquire()
    print("a free lock: at once")
    await nothing()
    print("a coroutine: at once")
    await asyncio.sleep(0)
    print("a bare yield: the next turn")
    await asyncio.create_task(nothing())
    print("a new task: two turns")

asyncio.run(main())
