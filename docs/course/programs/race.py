import asyncio

async def customer(name, ticks, desk):
    waiting = asyncio.create_task(desk.acquire())
    await asyncio.wait({waiting}, timeout=ticks / 10)
    if not waiting.done():
        waiting.cancel()
        print(f"{name} leaves")
        return
    print(f"{name} is served")
    await asyncio.sleep(0.3)
    desk.release()

async def main():
    desk = asyncio.Lock()
    tasks = []
    for name, ticks in ("ada", 1), ("bob", 2), ("eve", 5):
        task = asyncio.create_task(customer(name, ticks, desk))
        tasks.append(task)
    for task in tasks:
        await task
    print(desk)

asyncio.run(main())
