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
    ada = asyncio.create_task(eat("ada", shop))
    await asyncio.sleep(0)
    asyncio.create_task(bake("rye", shop))
    bob = asyncio.create_task(eat("bob", shop))
    await bob
    asyncio.create_task(bake("oat", shop))
    await ada

asyncio.run(main())
