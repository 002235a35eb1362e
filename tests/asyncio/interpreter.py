"""Runs the suite's programs on CPython's asyncio, under a virtual clock.

Reads one program a line from standard input. Answers with its trace and an empty line. An empty
line asks for the answers to be flushed. With `--situations`, each trace ends in one more line: the
names of the rare situations the program went through, see `situations.py`.

What is patched, since CPython leaves it to a heap, a set or a counter of the whole process: timers
of equal deadlines run in the order they were made, the tasks left at the end are cancelled in the
order of creation, and tasks are numbered per loop.
"""

import asyncio
import gc
import heapq
import re
import sys
import warnings
import weakref
from asyncio import CancelledError

TICKS = 512  # a second, so that times are exact in a float and in nanoseconds
MAIN = 9  # the slot in which main stands, though nobody owns it
MEMBERS = 40  # tasks that one program may create
ASKS = 100  # from here on predicates hold, since two that notify each other would never end


class Boom(Exception):
    pass


class Deadlock(BaseException):
    pass


class Timer(asyncio.TimerHandle):
    __slots__ = ("sequence",)

    def __lt__(self, other):
        return (self._when, self.sequence) < (other._when, other.sequence)


class Loop(asyncio.BaseEventLoop):
    """Time stands still while anything can run, then jumps to the next deadline."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.timers = 0
        self.tasks = []  # weak references, in the order of creation
        self._selector = self

    def time(self):
        return self.now

    def select(self, timeout):
        if timeout is None:
            raise Deadlock
        self.now += timeout
        return ()

    def _process_events(self, event_list):
        pass

    def call_at(self, when, callback, *args, context=None):
        timer = Timer(when, callback, args, self, context)
        self.timers += 1
        timer.sequence = self.timers
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.tasks.Task(
            coro,
            loop=self,
            name=name or f"Task-{len(self.tasks) + 1}",
            context=context,
        )
        self.tasks.append(weakref.ref(task))
        return task


def all_tasks(loop):
    tasks = (reference() for reference in loop.tasks)
    return [task for task in tasks if task is not None and not task.done()]


asyncio.tasks.all_tasks = all_tasks


def short(text):
    """asyncio's repr without module, address, coroutine and callbacks."""
    return re.sub(r"<Task (\w+) name='([^']*)' .*>", r"<Task \1 name='\2'>", text)


def look(primitive):
    text = repr(primitive)
    return f"<{type(primitive).__name__}{text[text.rindex(' ['):]}"


def answers(primitive):
    """What the primitive says of itself."""
    if isinstance(primitive, asyncio.Barrier):
        return f"{primitive.parties} {primitive.n_waiting} {primitive.broken}"
    return primitive.is_set() if isinstance(primitive, asyncio.Event) else primitive.locked()


def awaited(task):
    """What a task waits for: a primitive, the innermost but for a barrier's own, or another task."""
    found, coro = None, task.get_coro()
    while hasattr(coro, "cr_frame"):
        if coro.cr_code.co_filename == asyncio.locks.__file__:
            if not isinstance(found, asyncio.Barrier):
                found = coro.cr_frame.f_locals["self"]
        coro = coro.cr_await
    return short(repr(task._fut_waiter)) if found is None else look(found)


def told(error):
    """The last line of a traceback."""
    text = str(error)
    if "<Task" in text:
        text = short(text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Member:
    """A task of the program. The world owns it while it stands in a slot, as a variable would."""

    __slots__ = ("world", "number", "reference", "owner", "awaits")

    def __init__(self, world):
        self.world = world
        self.number = len(world.members)
        self.reference = None
        self.owner = None
        self.awaits = None
        world.members.append(self)

    def task(self):
        """None when nobody can ask any more: it is done, and its owner is gone."""
        task = self.reference()
        return task if self.owner or task and not task.done() else None

    def line(self, word, outcome, touched=None):
        world = self.world
        if world.lines is None or world.loop._closed:
            return  # a coroutine that is closed at the end
        task = self.reference()
        now = int(world.loop.now * TICKS)
        text = f"{now} {task.get_name()}/{task.cancelling()} {word} {outcome}"
        if touched is not None:
            text = f"{text} {world.look(touched)}"
        world.lines.append(text)

    def failed(self, word, error, touched=None):
        # Frames would keep alive what the program has given up.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        self.line(word, told(error), touched)

    def leave(self):
        """Main shows how it leaves the primitives."""
        if self.number == 0:
            for number in range(len(self.world.primitives)):
                self.line("left", answers(self.world.primitives[number]), number)


class World:
    def __init__(self, program):
        kinds, self.functions = program
        self.lines = []
        self.reports = self.lines
        self.loop = None
        self.members = []
        self.slots = {MAIN: 0}
        self.variables = [0] * 10
        self.asks = 0
        self.dropped = 0
        self.primitives = []
        for kind in kinds:
            self.primitives.append(self.make(kind))

    def make(self, kind):
        letter, number = kind[0], kind[1:]
        if letter == "L":
            return asyncio.Lock()
        if letter == "E":
            return asyncio.Event()
        if letter == "C":
            return asyncio.Condition(self.primitives[int(number)] if number else None)
        if letter == "S":
            return asyncio.Semaphore(int(number))
        if letter == "B":
            return asyncio.BoundedSemaphore(int(number))
        return asyncio.Barrier(int(number))

    def look(self, number):
        return look(self.primitives[number])

    def report(self, loop, context):
        if self.reports is not None and "exception" in context:
            name = context["task" if "task" in context else "future"].get_name()
            self.reports.append(f"{context['message']}: {name} raised {told(context['exception'])}")

    def stuck(self):
        for task in all_tasks(self.loop):
            self.lines.append(f"deadlock {task.get_name()} waits for {awaited(task)}")

    def run(self):
        self.loop = loop = Loop()
        loop.set_exception_handler(self.report)
        runner = asyncio.Runner(loop_factory=lambda: loop)
        main = Member(self)
        coro = function(main, 0)
        try:
            try:
                ended = f"value {runner.run(coro)}"
            except Deadlock:
                raise
            except (Exception, CancelledError) as error:
                error.__traceback__ = error.__context__ = error.__cause__ = None
                ended = told(error)
            runner.close()
        except Deadlock:
            self.stuck()
        else:
            self.lines.append(f"{int(loop.now * TICKS)} run {ended}")
        # From here on only errors that nobody retrieved are news.
        lines, self.lines = self.lines, None
        for slot in sorted(self.slots):
            self.members[self.slots[slot]].owner = None
        self.reports = None
        self.clear()
        return lines

    def clear(self):
        """Ends what is left now, lest it be collected in the midst of a later program."""
        loop = self.loop
        for reference in loop.tasks:
            task = reference()
            if task is not None and not task.done():
                self.dropped += 1
                task._log_destroy_pending = False
                coro = task.get_coro()
                for _ in range(20):
                    try:
                        coro.close()
                        break
                    except (Exception, CancelledError):
                        pass
        loop.close()


async def function(me, number):
    me.reference = weakref.ref(asyncio.current_task())
    me.line("begin", number)
    try:
        value = await block(me, me.world.functions[number], None)
    except FAILURES as error:
        me.failed("end", error)
        me.leave()
        raise
    me.line("end", value)
    me.leave()
    return value


async def block(me, steps, guard):
    for suspends, step in steps:
        value = await step(me, guard) if suspends else step(me, guard)
        if value is not None:
            return value


FAILURES = (Exception, CancelledError)
CATCHES = {"?": FAILURES, "~": Exception, "^": CancelledError}


def plain(word, caught, act, touched=None):
    """A step that cannot suspend: act(me, guard) gives the outcome to print."""

    def step(me, guard):
        try:
            outcome = act(me, guard)
        except FAILURES as error:
            me.failed(word, error, touched)
            if isinstance(error, caught):
                return
            raise
        me.line(word, outcome, touched)

    return False, step


def suspending(word, caught, start, touched=None):
    """A step that awaits what start(me) gives."""

    async def step(me, guard):
        try:
            result = await start(me)
        except FAILURES as error:
            me.failed(word, error, touched)
            if isinstance(error, caught):
                return
            raise
        me.line(word, "ok" if result is True or result is None else result, touched)

    return True, step


def on_guard(word, make, suspends):
    """A step on the condition whose guard is in scope: make(number) is the step for it."""
    made = {}

    def of(me, guard):
        if guard not in made:
            made[guard] = make(guard)[1]
        return made[guard](me, guard)

    def step(me, guard):
        if guard is None:
            return me.line(word, "no guard")
        return of(me, guard)

    async def awaited(me, guard):
        if guard is None:
            return me.line(word, "no guard")
        return await of(me, guard)

    return suspends, awaited if suspends else step


def on(target, word, make, suspends):
    return on_guard(word, make, suspends) if target == "@" else make(int(target))


STEP = re.compile(r"([a-z]+)([^?~^]*)([?~^]?)")


class Parser:
    def __init__(self, text):
        self.words = text.split()
        self.at = 0

    def program(self):
        start = self.words.index("{")
        kinds = self.words[:start]
        self.at = start
        functions = []
        while self.at < len(self.words):
            functions.append(self.block())
        return kinds, functions

    def block(self):
        words = self.words
        self.at += 1
        steps = []
        while True:
            word = words[self.at]
            if word == "}":
                self.at += 1
                return steps
            self.at += 1
            verb, rest, mark = STEP.fullmatch(word).groups()
            caught = CATCHES[mark] if mark else ()
            steps.append(getattr(self, "step_" + verb)(verb + rest, rest, caught))

    # Primitives

    def step_acq(self, word, rest, caught):
        p = int(rest)
        return suspending(word, caught, lambda me: me.world.primitives[p].acquire(), p)

    def step_rel(self, word, rest, caught):
        p = int(rest)

        def act(me, guard):
            me.world.primitives[p].release()
            return "ok"

        return plain(word, caught, act, p)

    def step_wait(self, word, rest, caught):
        return on(
            rest,
            word,
            lambda p: suspending(word, caught, lambda me: me.world.primitives[p].wait(), p),
            True,
        )

    def step_set(self, word, rest, caught):
        p = int(rest)

        def act(me, guard):
            me.world.primitives[p].set()
            return "ok"

        return plain(word, caught, act, p)

    def step_clr(self, word, rest, caught):
        p = int(rest)

        def act(me, guard):
            me.world.primitives[p].clear()
            return "ok"

        return plain(word, caught, act, p)

    def step_ntf(self, word, rest, caught):
        target, n = rest.split("*")
        n = int(n)

        def make(p):
            def act(me, guard):
                me.world.primitives[p].notify(n)
                return "ok"

            return plain(word, caught, act, p)

        return on(target, word, make, False)

    def step_all(self, word, rest, caught):
        def make(p):
            def act(me, guard):
                me.world.primitives[p].notify_all()
                return "ok"

            return plain(word, caught, act, p)

        return on(rest, word, make, False)

    def step_until(self, word, rest, caught):
        target, variable, least = rest.split(":")
        variable, least = int(variable), int(least)
        found = word.startswith("find")
        inside = self.block() if self.words[self.at] == "{" else []

        def make(p):
            def start(me):
                def predicate():
                    for suspends, step in inside:
                        if not suspends:
                            try:
                                step(me, None)
                            except FAILURES:
                                pass
                    value = me.world.variables[variable]
                    me.world.asks += 1
                    holds = value >= least or me.world.asks > ASKS
                    me.line("ask", holds)
                    return holds if not found else value + 1 if holds else None

                return me.world.primitives[p].wait_for(predicate)

            return suspending(word, caught, start, p)

        return on(target, word, make, True)

    step_find = step_until

    def step_reset(self, word, rest, caught):
        p = int(rest)
        return suspending(word, caught, lambda me: me.world.primitives[p].reset(), p)

    def step_abort(self, word, rest, caught):
        p = int(rest)
        return suspending(word, caught, lambda me: me.world.primitives[p].abort(), p)

    def step_peek(self, word, rest, caught):
        p = int(rest)
        return plain(word, caught, lambda me, guard: answers(me.world.primitives[p]), p)

    # Blocks

    def step_with(self, word, rest, caught):
        p = int(rest)
        steps = self.block()

        async def step(me, guard):
            try:
                primitive = me.world.primitives[p]
                try:
                    await primitive.__aenter__()
                except FAILURES as error:
                    me.failed(word, error, p)
                    raise
                me.line(word, "ok", p)
                condition = p if isinstance(primitive, asyncio.Condition) else guard
                try:
                    return await block(me, steps, condition)
                finally:
                    # A guard's drop is silent where __aexit__ would raise.
                    try:
                        primitive.release()
                    except (RuntimeError, ValueError):
                        pass
                    me.line("exit" + rest, "ok", p)
            except caught:
                return

        return True, step

    def step_within(self, word, rest, caught):
        limit = None if rest == "-" else int(rest) / TICKS
        steps = self.block()

        async def step(me, guard):
            try:
                value = await asyncio.wait_for(block(me, steps, guard), limit)
            except FAILURES as error:
                me.failed(word, error)
                if isinstance(error, caught):
                    return
                raise
            me.line(word, "ok" if value is None else value)
            return value

        return True, step

    def step_fin(self, word, rest, caught):
        steps, last = self.block(), self.block()

        async def step(me, guard):
            try:
                try:
                    value = await block(me, steps, guard)
                except FAILURES:
                    over = await block(me, last, guard)
                    if over is not None:
                        return over
                    raise
                over = await block(me, last, guard)
                return value if over is None else over
            except caught:
                return

        return True, step

    def step_rep(self, word, rest, caught):
        times = int(rest)
        steps = self.block()

        async def step(me, guard):
            try:
                for _ in range(times):
                    value = await block(me, steps, guard)
                    if value is not None:
                        return value
            except caught:
                return

        return True, step

    def step_try(self, word, rest, caught):
        steps = self.block()

        async def step(me, guard):
            try:
                return await block(me, steps, guard)
            except caught:
                return

        return True, step

    # Tasks and time

    def step_sleep(self, word, rest, caught):
        delay = int(rest) / TICKS
        return suspending(word, caught, lambda me: asyncio.sleep(delay))

    def step_spawn(self, word, rest, caught):
        slot, number = map(int, rest.split("="))

        def act(me, guard):
            world = me.world
            if len(world.members) == MEMBERS or number >= len(world.functions):
                return "no more"
            member = Member(world)
            member.owner = asyncio.create_task(function(member, number))
            member.reference = weakref.ref(member.owner)
            before = world.slots.get(slot)
            world.slots[slot] = member.number
            if before is not None:
                world.members[before].owner = None
            return member.owner.get_name()

        return plain(word, caught, act)

    def on_task(self, word, rest, caught, ask):
        """A step on a task's handle: ask(task) gives the outcome to print."""
        if not rest:
            return plain(word, caught, lambda me, guard: ask(me.reference()))
        slot = int(rest)

        def act(me, guard):
            number = me.world.slots.get(slot)
            task = None if number is None else me.world.members[number].task()
            return "nobody" if task is None else ask(task)

        return plain(word, caught, act)

    def step_cancel(self, word, rest, caught):
        return self.on_task(word, rest, caught, lambda task: task.cancel())

    def step_uncancel(self, word, rest, caught):
        return self.on_task(word, rest, caught, lambda task: task.uncancel())

    def step_look(self, word, rest, caught):
        def ask(task):
            text = short(repr(task))
            return f"{task.done()} {task.cancelled()} {task.cancelling()} {text}"

        return self.on_task(word, rest, caught, ask)

    def step_name(self, word, rest, caught):
        def ask(task):
            task.set_name(f"{task.get_name()}+")
            return task.get_name()

        return self.on_task(word, rest, caught, ask)

    def step_await(self, word, rest, caught):
        slot, limited, limit = rest.partition("<")
        slot = int(slot)
        limit = None if limit in ("", "-") else int(limit) / TICKS

        async def step(me, guard):
            world = me.world
            number = world.slots.get(slot)
            member = None if number is None else world.members[number]
            if member is None or member.owner is None:
                return me.line(word, "nobody")
            other = member.awaits
            while other is not None and other is not me:
                other = other.awaits
            if other is me:
                return me.line(word, "circle")
            me.awaits = None if member is me else member
            try:
                task, member.owner = member.owner, None
                try:
                    result = await (asyncio.wait_for(task, limit) if limited else task)
                finally:
                    task = me.awaits = None
            except FAILURES as error:
                me.failed(word, error)
                if isinstance(error, caught):
                    return
                raise
            me.line(word, result)

        return True, step

    def step_drop(self, word, rest, caught):
        slot = int(rest)

        def act(me, guard):
            number = me.world.slots.get(slot)
            if number is None or me.world.members[number].owner is None:
                return "nobody"
            me.world.members[number].owner = None
            return "ok"

        return plain(word, caught, act)

    def step_raise(self, word, rest, caught):
        errors = [CancelledError, TimeoutError, lambda: RuntimeError("by hand")]
        number = int(rest)

        def act(me, guard):
            raise errors[number]() if number < len(errors) else Boom(number)

        return plain(word, caught, act)

    def step_ret(self, word, rest, caught):
        value = int(rest)
        return False, lambda me, guard: value

    def step_var(self, word, rest, caught):
        if rest.endswith("+"):
            variable = int(rest[:-1])

            def act(me, guard):
                me.world.variables[variable] += 1
                return me.world.variables[variable]

        else:
            variable, value = map(int, rest.split("="))

            def act(me, guard):
                me.world.variables[variable] = value
                return value

        return plain(word, caught, act)


def main():
    # Coroutines closed before they began, or in the midst of their cleaning up.
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    observe = None
    if "--situations" in sys.argv:
        import situations

        observe = situations.Observer()
    gc.disable()
    gc.freeze()
    answers = []
    for number, text in enumerate(sys.stdin):
        if text == "\n":
            sys.stdout.write("".join(answers))
            sys.stdout.flush()
            answers.clear()
            continue
        world = World(Parser(text).program())
        if observe:
            observe.begin(world)
        lines = world.run()
        if observe:
            lines.append("\t".join(observe.end(lines)) or "-")
        answers.append("\n".join(lines) + "\n\n")
        if number % 64 == 0:
            gc.collect()


if __name__ == "__main__":
    main()
