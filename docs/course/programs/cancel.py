import asyncio

async def download(name):
    print(f"{name} begins")
    try:
        await asyncio.sleep(1)
        print(f"{name} ends")
    except asyncio.CancelledError:
        print(f"{name} is told")
        await asyncio.sleep(0.1)  # removes its file
        print(f"{name} has cleaned up")
        raise

async def main():
    task = asyncio.create_task(download("film"))
    await asyncio.sleep(0.1)
    print("main asks it to stop")
    task.cancel()
    print("main waits for that")
    try:
        await task
    except asyncio.CancelledError:
        print("it has stopped")

asyncio.run(main())
