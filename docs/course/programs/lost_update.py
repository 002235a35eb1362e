import asyncio

class Account:
    def __init__(self):
        self.balance = 100

async def deposit(account, amount):
    seen = account.balance
    await asyncio.sleep(0)  # asks the bank
    account.balance = seen + amount
    print(f"{seen} + {amount} = {account.balance}")

async def main():
    account = Account()
    ada = asyncio.create_task(deposit(account, 10))
    bob = asyncio.create_task(deposit(account, 5))
    await ada
    await bob
    print(f"in the end: {account.balance}")

asyncio.run(main())
