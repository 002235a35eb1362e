import asyncio

class Shop:
    def __init__(self):
        self.shelf = []
        self.baked = asyncio.Condition()

async def eat(name, shop):
    async with shop.baked:
        while not shop.shelf:
            print(f"{name} waits")
            await shop.baked.wait()
            print(f"{name} looks again")
        print(f"{name} eats {shop.shelf.pop()}")

async def bake(loaf, shop):
    async with shop.baked:
        print(f"{loaf} is baked")
        shop.shelf.append(loaf)
        shop.baked.notify()

async def main():
    shop = Shop()
    ada = asyncio.create_task(eat("ada", shop), name="ada")
    await asyncio.sleep(0)
    asyncio.create_task(bake("rye", shop), name="rye")
    bob = asyncio.create_task(eat("bob", shop), name="bob")
    await bob
    asyncio.create_task(bake("oat", shop), name="oat")
    await ada

asyncio.run(main())
