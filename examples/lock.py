"""Three clerks write to one ledger; a lock keeps each entry whole."""

import asyncio


async def clerk(name, lock, ledger):
    print(f"{name} comes: {lock}")
    async with lock:
        number = len(ledger) + 1
        # Without the lock, the others would count the same lines now.
        await asyncio.sleep(0.1)
        ledger.append(f"{number}. {name}")


async def main():
    lock = asyncio.Lock()
    ledger = []

    tasks = [
        asyncio.create_task(clerk(name, lock, ledger))
        for name in ("Ada", "Bob", "Cyd")
    ]
    for task in tasks:
        await task

    print(f"all gone: {lock}")
    for line in ledger:
        print(line)


asyncio.run(main())
