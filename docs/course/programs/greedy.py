import asyncio

async def work(name, lock):
    for part in 1, 2, 3:
        async with lock:
            print(f"{name} does part {part}")

async def main():
    lock = asyncio.Lock()
    ada = asyncio.create_task(work("ada", lock))
    bob = asyncio.create_task(work("bob", lock))
    await ada
    await bob

asyncio.run(main())
