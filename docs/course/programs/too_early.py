import asyncio

async def work(name):
    print(f"{name} begins")
    await asyncio.sleep(0)
    print(f"{name} ends")

async def main():
    early = asyncio.create_task(work("early"))
    early.set_name("early")
    early.cancel()

    ready = asyncio.create_task(work("ready"))
    ready.set_name("ready")
    await asyncio.sleep(0)  # and it is queued again
    ready.cancel()

    late = asyncio.create_task(work("late"))
    late.set_name("late")
    await late
    late.cancel()

    for task in early, ready, late:
        end = "cancelled" if task.cancelled() else "done"
        print(f"{task.get_name()}: {end}")

asyncio.run(main())
