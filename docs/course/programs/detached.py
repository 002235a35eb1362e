import asyncio

async def work():
    await asyncio.sleep(0.1)
    print("the work is done")

async def main():
    task = asyncio.create_task(work())
    del task
    print("nobody refers to the task")
    await asyncio.sleep(0.2)
    print("main ends")

asyncio.run(main())
