import asyncio

async def run(name, shot):
    print(f"{name} waits")
    await shot.wait()
    print(f"{name} runs")

async def main():
    shot = asyncio.Event()
    ada = asyncio.create_task(run("ada", shot))
    await asyncio.sleep(0)

    eve = asyncio.create_task(run("eve", shot))
    shot.set()
    shot.clear()
    await ada

    print("a second shot")
    shot.set()
    await eve

asyncio.run(main())
