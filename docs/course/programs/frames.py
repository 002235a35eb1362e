import asyncio

async def blink():
    for light in "on", "off", "on":
        print(f"  light {light}")
        await asyncio.sleep(0)

def turn(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()

loop = asyncio.new_event_loop()
task = loop.create_task(blink())
frame = 0
while not task.done():
    frame += 1
    print(f"frame {frame}")
    turn(loop)
loop.close()
