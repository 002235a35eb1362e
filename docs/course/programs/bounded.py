import asyncio

async def main():
    gate = asyncio.Semaphore(2)
    gate.release()  # one too many, and nobody says so
    print(gate)

    gate = asyncio.BoundedSemaphore(2)
    try:
        gate.release()
    except ValueError as error:
        print(f"ValueError: {error}")
    print(gate)

asyncio.run(main())
