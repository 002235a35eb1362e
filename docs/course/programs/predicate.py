import asyncio

class Shop:
    def __init__(self):
        self.shelf = []
        self.baked = asyncio.Condition()

async def eat(name, shop):
    async with shop.baked:
        await shop.baked.wait_for(lambda: shop.shelf)
        print(f"{name} eats {shop.shelf.pop()}")

async def main():
    shop = Shop()
    ada = asyncio.create_task(eat("ada", shop))
    bob = asyncio.create_task(eat("bob", shop))
    await asyncio.sleep(0)
    for loaf in "rye", "oat":
        async with shop.baked:
            print(f"{loaf} is baked")
            shop.shelf.append(loaf)
            shop.baked.notify_all()
        await asyncio.sleep(0.1)
    await ada
    await bob

asyncio.run(main())
