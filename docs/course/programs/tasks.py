import asyncio

async def work(name):
    print(f"{name} begins")
    await asyncio.sleep(0)
    print(f"{name} ends")

async def main():
    ada = asyncio.create_task(work("ada"))
    bob = asyncio.create_task(work("bob"))
    print("two tasks are made")
    await bob
    print("bob is awaited")
    await ada
    print("ada is awaited")

asyncio.run(main())
