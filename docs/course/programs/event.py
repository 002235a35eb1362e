import asyncio

async def run(name, shot):
    print(f"{name} waits")
    await shot.wait()
    print(f"{name} runs, {shot}")

async def main():
    shot = asyncio.Event()
    ada = asyncio.create_task(run("ada", shot))
    bob = asyncio.create_task(run("bob", shot))
    await asyncio.sleep(0)

    shot.set()
    shot.clear()
    eve = asyncio.create_task(run("eve", shot))
    await ada
    await bob

    print("a second shot")
    shot.set()
    await eve

asyncio.run(main())
