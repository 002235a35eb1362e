import asyncio

async def poll():
    for number in 1, 2, 3:
        try:
            await asyncio.sleep(0.1)
            print(f"poll {number}")
        except BaseException:
            print(f"poll {number} has failed")

async def main():
    task = asyncio.create_task(poll())
    await asyncio.sleep(0.15)
    task.cancel()
    await task
    end = "cancelled" if task.cancelled() else "done"
    print(f"{end}, and asked {task.cancelling()} time")

asyncio.run(main())
