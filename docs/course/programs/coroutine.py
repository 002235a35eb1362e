import asyncio

async def greet(name):
    print(f"hello, {name}")
    return len(name)

async def main():
    greeting = greet("ada")
    print("nothing has run yet")
    letters = await greeting
    print(f"{letters} letters")

asyncio.run(main())
