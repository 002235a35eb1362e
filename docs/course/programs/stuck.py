import asyncio

async def eat(name, first, second):
    async with first:
        print(f"{name} has one")
        await asyncio.sleep(0)
        async with second:
            print(f"{name} eats")

async def main():
    fork, knife = asyncio.Lock(), asyncio.Lock()
    ada = asyncio.create_task(eat("ada", fork, knife))
    bob = asyncio.create_task(eat("bob", knife, fork))
    await asyncio.sleep(0.1)
    print(fork, knife)
    ada.cancel()
    await bob

asyncio.run(main())
