import asyncio

async def work(name, lock):
    async with lock:
        print(f"{name} has the lock")

async def main():
    lock = asyncio.Lock()
    await lock.acquire()
    bob = asyncio.create_task(work("bob", lock))
    eve = asyncio.create_task(work("eve", lock))
    await asyncio.sleep(0)

    lock.release()  # wakes bob
    bob.cancel()
    try:
        await bob
    except asyncio.CancelledError:
        print("bob never got it")
    await eve

asyncio.run(main())
