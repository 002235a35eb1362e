import asyncio

class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything can run, and then jumps."""

    now = 0.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready:
            timers = [timer.when() for timer in self._scheduled
                      if not timer.cancelled()]
            self.now = min(timers, default=self.now)
        super()._run_once()

def run(main):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
