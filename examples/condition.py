"""A baker fills a shelf that holds two loaves; two customers empty it."""

import asyncio

ROOM = 2


async def baker(shelf, loaves):
    for number in range(1, 7):
        if number % 3 == 1:
            print("the baker heats the oven")
            await asyncio.sleep(0.1)
        async with shelf:
            await shelf.wait_for(lambda: len(loaves) < ROOM)
            loaves.append(number)
            print(f"baked {number}, on the shelf: {loaves}")
            shelf.notify_all()


async def customer(name, shelf, loaves):
    for _ in range(3):
        async with shelf:
            await shelf.wait_for(lambda: loaves)
            print(f"{name} takes {loaves.pop(0)}: {shelf}")
            shelf.notify_all()


async def main():
    shelf = asyncio.Condition()
    loaves = []
    tasks = [
        asyncio.create_task(customer("Ada", shelf, loaves)),
        asyncio.create_task(customer("Bob", shelf, loaves)),
        asyncio.create_task(baker(shelf, loaves)),
    ]
    for task in tasks:
        await task
    print(f"left over: {loaves}")


asyncio.run(main())
