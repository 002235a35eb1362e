import asyncio

async def load(name, ticks, gate):
    async with gate:
        print(f"{name} begins")
        await asyncio.sleep(ticks / 10)
        print(f"{name} ends")

async def main():
    gate = asyncio.Semaphore(2)
    tasks = []
    jobs = {"ada": 3, "bob": 1, "eve": 4, "dan": 1}
    for name, ticks in jobs.items():
        task = asyncio.create_task(load(name, ticks, gate))
        tasks.append(task)
    await asyncio.sleep(0)
    print(gate)
    for task in tasks:
        await task
    print(gate)

asyncio.run(main())
