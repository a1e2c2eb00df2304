"""Group commit: whatever arrives within a moment goes together in one publish.

Where publishes can be posted, what waits goes as soon as nothing is in flight: a broker that is quick works so at its
own pace, and nobody waits for a clock. Else an idle collector publishes at once, a busy one every few milliseconds,
whether or not the one before was confirmed: waiting for a slow confirm first would make most clients wait for two.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, Protocol

from collector.messages import Messages, refused_message, shortened
from collector.metrics import Metrics
from collector.settings import RawSettings
from shared.badrow import Processor
from shared.identity import Clock, NewId
from shared.stream.contract import Message, MessageRefused, Posted, StreamError, StreamName, StreamUnavailable

#: Shortest and longest time between two publishes, seconds, unless one can be posted while nothing is in flight: each
#: costs as much as several requests. Between them it is half of what the last confirm took, so that a slow stream gets
#: fewer messages and nobody waits much longer for it.
PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.1

#: Most publishes that wait for their confirm at a time; what comes then waits for the first of them.
MOST_IN_FLIGHT: Final = 4


class Durable(Protocol):
    """Where messages are safe: the stream, or the spool while the stream is away."""

    @property
    def posts(self) -> bool:
        """Whether `post` may begin anything, ever."""

    def post(self, stream: StreamName, messages: Sequence[Message], ended: Callable[[Posted], None]) -> bool:
        """Begin to publish; False where that can't begin at once. `ended` is called when it has, in whichever way."""

    async def publish(self, stream: StreamName, messages: Sequence[Message], posted: Posted | None = None) -> None:
        """Return once they are durable. Raises StreamUnavailable or MessageRefused.

        posted: what became of them so far.
        """


class TooLate(Exception):
    """Not durable yet after the time that a client may be kept waiting; it may become so later."""


#: Called once, with None when all is durable, else with why nothing is known to be kept.
Settled = Callable[[StreamError | TooLate | None], None]


class _Group:
    """owners: who is told of each bad row. messages: of its records, once they were made."""

    __slots__ = ("bad", "good", "messages", "owners", "size", "timer", "waiting")

    def __init__(self) -> None:
        self.good: list[bytes] = []
        self.bad: list[bytes] = []
        self.messages: list[Message] = []
        self.owners: list[Settled] = []
        self.size = 0
        self.waiting: list[Settled] = []
        self.timer: asyncio.TimerHandle | None = None

    def settle(self, error: StreamError | TooLate | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None  # who comes while it still waits for its publish gets a time of its own
        waiting, self.waiting = self.waiting, []
        for settled in waiting:
            settled(error)

    def settle_one(self, settled: Settled, error: StreamError) -> None:
        """Tell one of them beforehand, if that was not done."""
        if settled in self.waiting:
            self.waiting.remove(settled)
            settled(error)


class GroupCommit:
    """Makes records and bad rows durable.

    ended: told of each task at its end, for one that met a bug or a transport that can't work.
    """

    def __init__(
        self,
        durable: Durable,
        settings: RawSettings,
        response_seconds: float,
        processor: Processor,
        clock: Clock,
        new_id: NewId,
        metrics: Metrics,
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._durable = durable
        self._settings = settings
        self._response_seconds = response_seconds
        self._processor = processor
        self._clock = clock
        self._messages = Messages(settings, new_id)
        self._metrics = metrics
        self._posts = durable.posts
        self._posted = 0
        self._ended = ended
        self._open = _Group()
        self._waiting_bytes = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Handle | None = None
        self._earliest = 0.0
        self._pause_s = PAUSE_S

    def add(self, good: Sequence[bytes], bad: Sequence[bytes]) -> "asyncio.Future[None]":
        """Done once all of it is durable. Awaiting it raises StreamError: nothing is known to be kept; or TooLate."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(error: StreamError | TooLate | None) -> None:
            if waiter.done():
                return  # whoever waited has gone
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

        self.submit(good, bad, settled)
        return waiter

    def submit(self, good: Sequence[bytes], bad: Sequence[bytes], settled: Settled) -> None:
        """As `add`, for who is called instead of waiting; that may happen before this returns."""
        # asking for the loop each time costs a system call on some Pythons
        loop = self._loop = self._loop or asyncio.get_running_loop()
        size = sum(map(len, good)) + sum(map(len, bad))
        if self._waiting_bytes + size > self._settings.in_flight_max_bytes:
            settled(StreamUnavailable(f"{self._waiting_bytes} bytes wait to be confirmed"))
            return
        group = self._open
        group.good += good
        group.bad += bad
        group.owners += [settled] * len(bad)
        group.size += size
        self._waiting_bytes += size
        group.waiting.append(settled)
        if group.timer is None:
            group.timer = loop.call_later(self._response_seconds, group.settle, TooLate())
        if self._starting is None:
            self._start_soon(loop)

    async def close(self) -> None:
        """Return when nothing is in flight any more."""
        while self._starting is not None or self._in_flight:
            await asyncio.wait(self._running) if self._running else await asyncio.sleep(PAUSE_S)

    @property
    def _in_flight(self) -> int:
        return self._posted + len(self._running)

    def _start_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._posts and not self._in_flight:
            self._starting = loop.call_soon(self._start, loop)  # with what else is read in this turn of the loop
        elif self._in_flight < MOST_IN_FLIGHT:
            self._starting = loop.call_at(max(self._earliest, loop.time()), self._start, loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        group = self._taken(loop)
        if not group.bad and self._posts and self._post(group, loop):
            return
        self._run(self._commit(group, loop), loop)

    def _run(self, work: Coroutine[None, None, None], loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _post(self, group: _Group, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the group is on its way without a task."""
        try:
            group.messages = self._messages.raw(group.good, self._clock())
        except Exception:  # noqa: BLE001 - a bug, which a task meets too, and there it ends the process
            return False
        begin = loop.time()

        def ended(posted: Posted) -> None:
            self._posted -= 1
            if not posted.owned:
                self._run(self._commit(group, loop, posted), loop)
                return
            self._pace(loop.time() - begin)
            self._metrics.published += len(group.good)
            self._waiting_bytes -= group.size
            self._go_on(loop)  # before those who waited are answered: the stream works meanwhile
            group.settle(None)

        if not self._durable.post("raw", group.messages, ended):
            return False
        self._posted += 1
        return True

    def _taken(self, loop: asyncio.AbstractEventLoop) -> _Group:
        """What waits, which goes now; what comes from now on goes with the next."""
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        self._earliest = loop.time() + self._pause_s
        group, self._open = self._open, _Group()
        return group

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """With what waits, as one publish has ended."""
        if not (self._open.good or self._open.bad):
            return
        if self._posts and not self._in_flight:
            self._start(loop)
        elif self._starting is None:
            self._start_soon(loop)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._ended(task)
        self._go_on(task.get_loop())

    async def _commit(self, group: _Group, loop: asyncio.AbstractEventLoop, posted: Posted | None = None) -> None:
        """posted: what became of its messages so far."""
        now, begin = self._clock(), loop.time()
        try:
            if group.good:
                refused = await self._publish_raw(group.messages or self._messages.raw(group.good, now), posted)
                self._metrics.published += len(group.good) - refused
            if group.bad:
                refused = await self._publish_bad(group, [self._messages.bad(row, now) for row in group.bad])
                self._metrics.bad += len(group.bad) - refused
        except StreamError as error:
            group.settle(error)
        except BaseException:
            group.settle(StreamError("the collector stopped before it was kept"))
            raise
        else:
            self._pace(loop.time() - begin)
            group.settle(None)
        finally:
            self._waiting_bytes -= group.size

    def _pace(self, taken_s: float) -> None:
        self._pause_s = min(max(PAUSE_S, taken_s / 2), LONGEST_PAUSE_S)

    async def _publish_raw(self, messages: list[Message], posted: Posted | None) -> int:
        """How many payloads became bad rows, since the transport will never take them."""
        try:
            await self._durable.publish("raw", messages, posted)
        except MessageRefused:
            return sum([await self._publish_one(message) for message in messages])
        return 0

    async def _publish_one(self, message: Message) -> int:
        try:
            await self._durable.publish("raw", [message])
        except MessageRefused as refusal:
            await self._publish_told(refused_message(message, str(refusal), self._processor))
            self._metrics.bad += 1
            return int(message.headers["payloads"])
        return 0

    async def _publish_bad(self, group: _Group, rows: list[Message]) -> int:
        """How many rows the transport takes in no form: they are kept nowhere, and only their requests are told so."""
        try:
            await self._durable.publish("bad", rows)
        except MessageRefused:
            return sum([await self._publish_row(group, *one) for one in zip(rows, group.owners, strict=True)])
        return 0

    async def _publish_row(self, group: _Group, row: Message, owner: Settled) -> int:
        try:
            await self._publish_told(row)
        except MessageRefused as refusal:
            group.settle_one(owner, refusal)
            return 1
        return 0

    async def _publish_told(self, row: Message) -> None:
        """A bad row, or where that is too large, one that says so: clients would send what is in it without end."""
        try:
            await self._durable.publish("bad", [row])
        except MessageRefused as refusal:
            if refusal.most is None:
                raise
            await self._durable.publish("bad", [shortened(row, refusal.most, self._processor)])
