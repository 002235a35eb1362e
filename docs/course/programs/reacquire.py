import asyncio

async def wait(filled):
    async with filled:
        try:
            await filled.wait()
        except asyncio.CancelledError:
            print("ada is told, and holds the lock again")
            raise

async def main():
    filled = asyncio.Condition()
    ada = asyncio.create_task(wait(filled))
    await asyncio.sleep(0)

    async with filled:
        filled.notify()
        await asyncio.sleep(0.1)
        print("ada is notified, and wants the lock back")
        ada.cancel()
        await asyncio.sleep(0.1)
        ada.cancel()
        await asyncio.sleep(0.1)
        print("main has asked her twice, and releases")
    try:
        await ada
    except asyncio.CancelledError:
        print("now ada has stopped")

asyncio.run(main())
