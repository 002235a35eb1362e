"""The rare situations that the recorded programs must go through, and how each is recognised.

Nothing is asked of the programs: a situation is a line of CPython's own source that runs (found by
its text) while something holds of the variables there. To that end asyncio's tasks and futures are
those written in Python; they print what the accelerated ones do.
"""

import asyncio
import inspect
import sys
from asyncio import base_events, futures, locks, runners, tasks, timeouts

TOOL = sys.monitoring.PROFILER_ID
LINE = sys.monitoring.events.LINE


def woken(future):
    return future.done() and not future.cancelled()


def pending(waiters):
    return sum(not waiter.done() for waiter in waiters or ())


def state(barrier):
    """A barrier's state, and whether anybody is in it."""
    return f"{barrier._state.value}, {'some' if barrier._count else 'nobody'} inside"


def queued(task):
    """How a task stands that cannot be told of a cancel at once."""
    if task is tasks.current_task(task._loop):
        return "the running task itself"
    if task._fut_waiter is None:
        return "a task that was to run anyway"
    return "a task that was woken in the same turn"


def waits(task):
    """The chain of tasks that a cancel goes down."""
    length = 0
    while isinstance(task._fut_waiter, tasks._PyTask):
        task = task._fut_waiter
        length += 1
    return length


# function: (text of the line, which of several, name or function of the variables that gives it)
LINES = {
    locks.Lock.acquire: [
        ("self._locked = True", 0, lambda v: v.self._waiters and "lock: taken past cancelled waiters"),
        (
            "fut = self._get_loop",
            0,
            lambda v: not v.self._locked and "lock: free, but a woken waiter comes first",
        ),
        ("self._wake_up_first()", 0, lambda v: "lock: a cancelled waiter finds it free, " + head(v)),
        ("self._locked = True", 1, lambda v: v.self._locked and "lock: taken twice"),
    ],
    locks.Lock.release: [
        ("self._wake_up_first()", 0, lambda v: "lock: released, " + head(v)),
        (
            "raise RuntimeError",
            0,
            lambda v: "guard: nothing left to release" if v.caller == "step" else "lock: released while free",
        ),
    ],
    locks.Event.set: [
        ("if not fut.done()", 0, lambda v: v.fut.cancelled() and "event: set passes a cancelled waiter"),
        (
            "if not fut.done()",
            0,
            lambda v: woken(v.fut) and "event: set passes one that an earlier set has woken",
        ),
    ],
    locks.Event.wait: [
        ("return True", 1, lambda v: not v.self._value and "event: cleared before the woken one ran"),
        ("return True", 0, "event: waited for while set"),
    ],
    locks.Condition.wait: [
        ("raise RuntimeError", 0, "condition: waited for without its lock"),
        (
            "self.release()",
            0,
            lambda v: pending(v.self._lock._waiters) and "condition: a wait hands the lock to a waiter",
        ),
        ("err = e", 0, lambda v: f"condition: cancelled {'again ' * bool(v.err)}while it re-acquires"),
        (
            "self._notify(1)",
            0,
            lambda v: f"condition: a failed wait notifies {'another' if pending(v.self._waiters) else 'nobody'}",
        ),
        ("return True", 0, lambda v: not v.self.locked() and "condition: notified, and its lock is free"),
        ("return True", 0, lambda v: v.self.locked() and "condition: notified, and its lock is taken"),
    ],
    locks.Condition.notify: [
        ("raise RuntimeError", 0, "condition: notified without its lock"),
        (
            "self._notify(n)",
            0,
            lambda v: 0 < pending(v.self._waiters) < v.n and "condition: more notified than wait",
        ),
    ],
    locks.Condition._notify: [
        (
            "if not fut.done()",
            0,
            lambda v: v.fut.cancelled() and "condition: notify passes a cancelled waiter",
        ),
        ("if not fut.done()", 0, lambda v: woken(v.fut) and "condition: notify passes a notified waiter"),
    ],
    locks.Condition.wait_for: [
        ("return result", 0, lambda v: v.result is not True and "condition: a predicate returns a value"),
    ],
    locks.Semaphore.acquire: [
        ("self._value -= 1", 0, lambda v: v.self._waiters and "semaphore: taken past cancelled waiters"),
        (
            "fut = self._get_loop",
            0,
            lambda v: v.self._value > 0 and "semaphore: free, but others come first",
        ),
        ("self._value += 1", 0, "semaphore: a woken and cancelled waiter gives its permit back"),
        (
            "if not self._wake_up_next",
            0,
            lambda v: pending(v.self._waiters) and "semaphore: a waiter that leaves wakes the next",
        ),
        (
            "if not self._wake_up_next",
            0,
            lambda v: min(v.self._value, pending(v.self._waiters)) > 1
            and "semaphore: a waiter that leaves wakes several",
        ),
    ],
    locks.Semaphore._wake_up_next: [
        (
            "if not fut.done()",
            0,
            lambda v: v.fut.cancelled() and "semaphore: a wake passes a cancelled waiter",
        ),
        ("if not fut.done()", 0, lambda v: woken(v.fut) and "semaphore: a wake passes a woken waiter"),
    ],
    locks.BoundedSemaphore.release: [
        (
            "raise ValueError",
            0,
            lambda v: "guard: a bounded semaphore is full"
            if v.caller == "step"
            else "bounded semaphore: released too often",
        ),
    ],
    locks.Barrier.wait: [
        ("await self._block()", 0, lambda v: f"barrier: wait while {state(v.self)}"),
    ],
    locks.Barrier.reset: [
        ("if self._count > 0", 0, lambda v: f"barrier: reset while {state(v.self)}"),
    ],
    locks.Barrier.abort: [
        ("self._state = ", 0, lambda v: f"barrier: abort while {state(v.self)}"),
    ],
    locks.Barrier._block: [
        ("raise exceptions", 0, "barrier: found broken by one that came"),
    ],
    locks.Barrier._wait: [
        ("raise exceptions", 0, lambda v: f"barrier: a waiter leaves it {v.self._state.value}"),
    ],
    locks.Barrier._exit: [
        ("self._state = ", 0, lambda v: f"barrier: the last one out ends the {v.self._state.value}"),
    ],
    tasks._PyTask.cancel: [
        ("return False", 0, "cancel: of a done task"),
        ("self._must_cancel = True", 0, lambda v: f"cancel: kept by {queued(v.self)}"),
        ("return True", 0, lambda v: waits(v.self) and f"cancel: goes down {min(waits(v.self), 2)} awaits"),
        (
            "self._num_cancels_requested += 1",
            0,
            lambda v: v.self._num_cancels_requested and "cancel: of a task that was cancelled before",
        ),
        ("if self.done()", 0, lambda v: error_of(v.self) and "cancel: of a task that failed"),
    ],
    tasks._PyTask.__init__: [
        (
            "self._coro = coro",
            0,
            lambda v: v.coro.__name__ in ("function", "block")
            and v.observer.shutdown
            and "shutdown: a task is spawned in it",
        ),
    ],
    tasks._PyTask.uncancel: [
        ("self._must_cancel = False", 0, lambda v: v.self._must_cancel and "uncancel: forgets a kept cancel"),
        (
            "if self._num_cancels_requested == 0",
            0,
            lambda v: v.self._num_cancels_requested
            and v.self._must_cancel
            and "uncancel: leaves a kept cancel, since others asked too",
        ),
        (
            "return self",
            0,
            lambda v: v.self.done() and "uncancel: of a done task",
        ),
    ],
    tasks._PyTask._Task__step: [
        (
            "if not isinstance",
            0,
            lambda v: isinstance(v.exc, asyncio.CancelledError)
            and "step: a kept cancel meets the cancel of what was awaited",
        ),
        (
            "exc = self._make",
            0,
            lambda v: v.exc is not None and "step: a kept cancel takes the place of an error",
        ),
        (
            "exc = self._make",
            0,
            lambda v: v.exc is None
            and v.self._coro.cr_frame.f_lasti < 5
            and "step: cancelled before the first",
        ),
    ],
    tasks._PyTask._Task__step_run_and_handle_result: [
        ("super().cancel(msg", 0, "step: returns a value with a cancel kept"),
        (
            "super().cancel()",
            0,
            lambda v: not v.self._num_cancels_requested and "step: ends cancelled, and nobody asked for it",
        ),
        (
            "super().set_exception(exc)",
            1,
            lambda v: v.self._must_cancel and "step: fails with a cancel kept",
        ),
        ("f'Task cannot await", 0, "step: awaits itself"),
        ("self._must_cancel = False", 1, "step: a kept cancel strikes the next await"),
        (
            "self._loop.call_soon(self.__step",
            0,
            lambda v: v.self._must_cancel and "step: a bare yield with a cancel kept",
        ),
    ],
    tasks.wait_for: [
        ("return fut.result()", 0, "wait_for: zero, and the task is done"),
        ("raise TimeoutError", 0, "wait_for: zero"),
        ("return await fut", 0, lambda v: v.timeout is None and "wait_for: no timeout"),
        (
            "return await fut",
            0,
            lambda v: isinstance(v.fut, tasks._PyTask) and "wait_for: over a task",
        ),
    ],
    timeouts.Timeout._on_timeout: [
        (
            "self._task.cancel()",
            0,
            lambda v: v.observer.strikes_again(v.self._task)
            and "timeout: two of one task strike at the same time",
        ),
        (
            "self._task.cancel()",
            0,
            lambda v: v.self._task.cancelling() and "timeout: strikes a task that is being cancelled",
        ),
        (
            "self._task.cancel()",
            0,
            lambda v: v.self._task._fut_waiter is None
            and "timeout: strikes a task that is about to run anyway",
        ),
        (
            "self._task.cancel()",
            0,
            lambda v: v.self._task._fut_waiter is not None
            and v.self._task._fut_waiter.done()
            and "timeout: strikes a task that was woken in the same turn",
        ),
        ("self._task.cancel()", 0, lambda v: waits(v.self._task) and "timeout: strikes an awaited task"),
    ],
    timeouts.Timeout.__aexit__: [
        (
            "if self._task.uncancel()",
            0,
            lambda v: v.exc_type is None and "timeout: struck, and a value came out all the same",
        ),
        ("raise TimeoutError", 0, "timeout: a cancel becomes a timeout"),
        (
            "if self._task.uncancel()",
            0,
            lambda v: v.self._task.cancelling() - 1 > v.self._cancelling
            and "timeout: struck, and somebody else cancelled too",
        ),
        (
            "if self._task.uncancel()",
            0,
            lambda v: v.self._task.cancelling() == 1
            and v.self._task._must_cancel
            and "timeout: its uncancel forgets a kept cancel",
        ),
        (
            "if self._task.uncancel()",
            0,
            lambda v: v.exc_type
            and v.exc_type is not asyncio.CancelledError
            and "timeout: struck, and another error came out",
        ),
        (
            "elif self._state",
            0,
            lambda v: v.exc_type is asyncio.CancelledError and "timeout: left by a cancel before it struck",
        ),
    ],
    base_events.BaseEventLoop._run_once: [
        ("continue", 0, "loop: a due timer is cancelled by one that ran before it"),
        (
            "handle._scheduled = False",
            2,
            lambda v: v.self._scheduled
            and v.self._scheduled[0]._when == v.handle._when
            and "loop: equal deadlines",
        ),
    ],
    runners._cancel_all_tasks: [
        ("if not to_cancel", 0, lambda v: v.observer.begin_shutdown()),
        ("for task in to_cancel", 0, "shutdown: tasks are left"),
        ("for task in to_cancel", 0, lambda v: len(v.to_cancel) > 3 and "shutdown: many tasks are left"),
        ("loop.call_exception_handler", 0, "shutdown: a task fails in it"),
        (
            "if task.exception()",
            0,
            lambda v: v.task.exception() is None and "shutdown: a task ends with a value all the same",
        ),
    ],
}


def head(v):
    waiters = v.self._waiters
    if not waiters:
        return "nobody waits"
    first = waiters[0]
    if not first.done():
        return "the next one is woken"
    return f"the next one is {'cancelled' if first.cancelled() else 'woken'} already"


def error_of(task):
    return task.done() and not task.cancelled() and task._exception is not None


# A cancel that arrives in the midst of these.
THROWN = {
    locks.Lock.acquire: lambda v: woken(v.fut) and "lock: a woken waiter is cancelled",
    locks.Event.wait: lambda v: woken(v.fut) and "event: a woken waiter is cancelled",
    locks.Condition.wait: lambda v: "fut" in v.all
    and woken(v.fut)
    and v.fut in v.self._waiters
    and "condition: a notified waiter is cancelled",
    locks.Semaphore.acquire: lambda v: v.fut.cancelled()
    and v.self._value > 0
    and "semaphore: a cancelled waiter finds permits",
    locks.Barrier._wait: lambda v: f"barrier: a waiter is cancelled while {v.self._state.value}",
    locks.Barrier._block: lambda v: f"barrier: cancelled at the entrance while {v.self._state.value}",
    locks.Barrier.wait: lambda v: "index" not in v.all
    and v.self._cond._lock._waiters
    and f"barrier: cancelled at its lock while {v.self._state.value}",
    tasks._cancel_and_wait: lambda v: "wait_for: zero, and cancelled meanwhile",
}


class Variables:
    """The variables of a frame, by name, and who called it."""

    def __init__(self, frame, observer):
        self.all = frame.f_locals
        self.caller = frame.f_back.f_code.co_name
        self.observer = observer

    def __getattr__(self, name):
        return self.all[name]


def lines_of(code, text):
    lines, first = inspect.getsourcelines(code)
    found = [first + at for at, line in enumerate(lines) if line.strip().startswith(text)]
    if not found:
        found = [first + at for at, line in enumerate(lines) if text in line]
    return found


class Observer:
    def __init__(self):
        tasks.Task = tasks._PyTask
        futures.Future = futures._PyFuture
        self.seen = set()
        self.table = {}
        monitoring = sys.monitoring
        monitoring.use_tool_id(TOOL, "situations")
        for function, rows in LINES.items():
            code = function.__code__
            for text, which, name in rows:
                line = lines_of(code, text)[which]
                name = (lambda name: lambda v: name)(name) if isinstance(name, str) else name
                self.table.setdefault((code, line), []).append(name)
            monitoring.set_local_events(TOOL, code, LINE)
        self.thrown = {function.__code__: name for function, name in THROWN.items()}
        monitoring.register_callback(TOOL, LINE, self.on_line)
        monitoring.register_callback(TOOL, monitoring.events.PY_THROW, self.on_throw)
        monitoring.set_events(TOOL, monitoring.events.PY_THROW)

    def on_line(self, code, line):
        rows = self.table.get((code, line))
        if rows is None:
            return sys.monitoring.DISABLE
        variables = Variables(sys._getframe(1), self)
        for row in rows:
            name = row(variables)
            if name:
                self.seen.add(name)

    def on_throw(self, code, offset, error):
        row = self.thrown.get(code)
        if row is not None and isinstance(error, asyncio.CancelledError):
            name = row(Variables(sys._getframe(1), self))
            if name:
                self.seen.add(name)

    def begin(self, world):
        self.world = world
        self.shutdown = False
        self.strikes = set()
        self.seen.clear()

    def begin_shutdown(self):
        self.shutdown = True
        for line in reversed(self.world.lines):
            if " left " not in line:
                return " Task-1" not in line and "shutdown: the turn goes on after the end of main"

    def strikes_again(self, task):
        strike = (id(task), task._loop.now)
        before = strike in self.strikes
        self.strikes.add(strike)
        return before

    def end(self, lines):
        """The situations of the program just run, and those that show in its trace."""
        deadlock = False
        for line in lines:
            if line.startswith("Task exception was never"):
                self.seen.add("report: an error that nobody retrieved")
            elif line.startswith("deadlock") and not deadlock:
                deadlock = True
                main = line.startswith("deadlock Task-1 ")
                self.seen.add(f"deadlock: {'main is stuck' if main else 'of the shutdown'}")
            elif " run " in line and " run value" not in line:
                how = "cancelled" if "Cancelled" in line else "by an error"
                self.seen.add(f"shutdown: main ends {how}")
        if self.world.dropped and not deadlock:
            self.seen.add("shutdown: tasks are dropped at the end of it")
        return sorted(self.seen)
