import asyncio

async def boil(what):
    print(f"{what} on the fire")
    await asyncio.sleep(0.1)
    print(f"{what} done")

async def main():
    await boil("rice")
    await boil("peas")

asyncio.run(main())
