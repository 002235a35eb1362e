import asyncio

async def eat(name, baked, shelf):
    async with baked:
        while not shelf:
            print(f"{name} waits")
            await baked.wait()
            print(f"{name} looks again")
        print(f"{name} eats {shelf.pop()}")

async def bake(loaf, baked, shelf):
    async with baked:
        print(f"{loaf} is baked")
        shelf.append(loaf)
        baked.notify()

async def main():
    baked, shelf = asyncio.Condition(), []
    ada = asyncio.create_task(eat("ada", baked, shelf), name="ada")
    await asyncio.sleep(0)
    asyncio.create_task(bake("rye", baked, shelf), name="rye")
    bob = asyncio.create_task(eat("bob", baked, shelf), name="bob")
    await bob
    asyncio.create_task(bake("oat", baked, shelf), name="oat")
    await ada

asyncio.run(main())
