import asyncio

async def work(name):
    print(f"{name} begins")
    await asyncio.sleep(0)
    print(f"{name} ends")

async def main():
    asyncio.create_task(work("ada"))
    asyncio.create_task(work("bob"))
    print("two tasks are made")

asyncio.run(main())
