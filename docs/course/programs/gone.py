import asyncio

async def walk(name, summit):
    try:
        await summit.wait()
        print(f"{name} is at the top")
    except asyncio.BrokenBarrierError as error:
        print(f"{name} turns back: {error}")

async def main():
    summit = asyncio.Barrier(3)
    ada = asyncio.create_task(walk("ada", summit))
    bob = asyncio.create_task(walk("bob", summit))
    await asyncio.sleep(0)
    print(f"{summit.n_waiting} wait, and eve is ill")
    await summit.abort()
    await ada
    await bob
    print(summit)

asyncio.run(main())
