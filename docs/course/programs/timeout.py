import asyncio

async def upload():
    print("upload begins")
    try:
        await asyncio.sleep(1)
    finally:
        print("upload closes its connection")
        await asyncio.sleep(0.3)
        print("upload is closed")

async def clock():
    for tick in 1, 2, 3:
        await asyncio.sleep(0.1)
        print(f"-- tick {tick}")

async def main():
    asyncio.create_task(clock())
    try:
        await asyncio.wait_for(upload(), 0.15)
    except TimeoutError:
        print("too late")

asyncio.run(main())
