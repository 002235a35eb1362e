import asyncio

async def walk(name, ticks, summit):
    await asyncio.sleep(ticks / 10)
    print(f"{name} arrives")
    place = await summit.wait()
    print(f"{name} was number {place}")
    if place == 0:
        print(f"{name} takes the photo")

async def main():
    summit = asyncio.Barrier(3)
    tasks = []
    for name, ticks in ("ada", 3), ("bob", 1), ("eve", 2):
        task = asyncio.create_task(walk(name, ticks, summit))
        tasks.append(task)
    for task in tasks:
        await task
    print(summit)

asyncio.run(main())
