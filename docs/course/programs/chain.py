import asyncio

async def count(turns):
    for turn in range(2, turns + 1):
        print(f"-- turn {turn}")
        await asyncio.sleep(0)

async def nest(depth):
    if depth > 0:
        await asyncio.create_task(nest(depth - 1))

async def main():
    asyncio.create_task(count(7))
    await nest(3)
    print("main goes on")

asyncio.run(main())
