import asyncio

class Account:
    balance = 100

async def deposit(account, lock, amount):
    async with lock:
        seen = account.balance
        await asyncio.sleep(0)  # asks the bank
        account.balance = seen + amount
        print(f"{seen} + {amount} = {account.balance}")
        print(lock)

async def main():
    account, lock = Account(), asyncio.Lock()
    ada = asyncio.create_task(
        deposit(account, lock, 10), name="ada")
    bob = asyncio.create_task(
        deposit(account, lock, 5), name="bob")
    await ada
    await bob
    print(f"in the end: {account.balance}")

asyncio.run(main())
