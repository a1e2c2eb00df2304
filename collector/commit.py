"""Group commit: whatever arrives within a moment goes together in one publish.

An idle collector publishes at once, a busy one every few milliseconds, whether or not the one before was confirmed:
waiting for a slow confirm first would make most clients wait for two.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from collector.metrics import Metrics
from collector.settings import RawSettings
from shared.badrow import Processor, bad_row, instant
from shared.identity import Clock, NewId
from shared.rawmessage import pack
from shared.stream.contract import Message, MessageRefused, StreamError, StreamName, StreamUnavailable

#: Shortest and longest time between two publishes, seconds, unless an eager one finds nothing in flight: each costs as
#: much as several requests. Between them it is half of what the last confirm took, so that a slow stream gets fewer
#: messages and nobody waits much longer for it.
PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.1

#: Most publishes that wait for their confirm at a time; what comes then waits for the first of them.
MOST_IN_FLIGHT: Final = 4


class Durable(Protocol):
    """Where messages are safe: the stream, or the spool while the stream is away."""

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        """Return once they are durable. Raises StreamUnavailable or MessageRefused."""


class TooLate(Exception):
    """Not durable yet after the time that a client may be kept waiting; it may become so later."""


#: Called once, with None when all is durable, else with why nothing is known to be kept.
Settled = Callable[[StreamError | TooLate | None], None]


class _Group:
    """owners: who is told of each bad row."""

    __slots__ = ("bad", "good", "owners", "size", "timer", "waiting")

    def __init__(self) -> None:
        self.good: list[bytes] = []
        self.bad: list[bytes] = []
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

    eager: whether what waits goes as soon as nothing is in flight, pause or not. A broker that is quick works so at its
    own pace, and nobody waits for a clock; a stream in this process would only have more to do at once.
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
        eager: bool,
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._durable = durable
        self._settings = settings
        self._response_seconds = response_seconds
        self._processor = processor
        self._clock = clock
        self._new_id = new_id
        self._metrics = metrics
        self._eager = eager
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
        while self._starting is not None or self._running:
            await asyncio.wait(self._running) if self._running else await asyncio.sleep(PAUSE_S)

    def _start_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._eager and not self._running:
            self._starting = loop.call_soon(self._start, loop)  # with what else is read in this turn of the loop
        elif len(self._running) < MOST_IN_FLIGHT:
            self._starting = loop.call_at(max(self._earliest, loop.time()), self._start, loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(self._commit_all(self._taken(loop), loop))
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _taken(self, loop: asyncio.AbstractEventLoop) -> _Group:
        """What waits, which goes now; what comes from now on goes with the next."""
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        self._earliest = loop.time() + self._pause_s
        group, self._open = self._open, _Group()
        return group

    @property
    def _waits(self) -> bool:
        return bool(self._open.good or self._open.bad)

    async def _commit_all(self, group: _Group, loop: asyncio.AbstractEventLoop) -> None:
        """A group, and eagerly those that came meanwhile, in the turn of the loop in which the confirm was read."""
        await self._commit(group, loop)
        while self._eager and self._waits and len(self._running) == 1:
            await self._commit(self._taken(loop), loop)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._ended(task)
        if not self._waits:
            return
        if self._eager and not self._running:
            self._start(task.get_loop())
        elif self._starting is None:
            self._start_soon(task.get_loop())

    async def _commit(self, group: _Group, loop: asyncio.AbstractEventLoop) -> None:
        now, begin = self._clock(), loop.time()
        try:
            if group.good:
                refused = await self._publish_raw(list(self._raw_messages(group.good, now)))
                self._metrics.published += len(group.good) - refused
            if group.bad:
                refused = await self._publish_bad(group, [self._bad_message(row, now) for row in group.bad])
                self._metrics.bad += len(group.bad) - refused
        except StreamError as error:
            group.settle(error)
        except BaseException:
            group.settle(StreamError("the collector stopped before it was kept"))
            raise
        else:
            self._pause_s = min(max(PAUSE_S, (loop.time() - begin) / 2), LONGEST_PAUSE_S)
            group.settle(None)
        finally:
            self._waiting_bytes -= group.size

    async def _publish_raw(self, messages: list[Message]) -> int:
        """How many payloads became bad rows, since the transport will never take them."""
        try:
            await self._durable.publish("raw", messages)
        except MessageRefused:
            return sum([await self._publish_one(message) for message in messages])
        return 0

    async def _publish_one(self, message: Message) -> int:
        try:
            await self._durable.publish("raw", [message])
        except MessageRefused as refusal:
            await self._durable.publish("bad", [refused_message(message, str(refusal), self._processor)])
            self._metrics.bad += 1
            return int(message.headers["payloads"])
        return 0

    async def _publish_bad(self, group: _Group, rows: list[Message]) -> int:
        """How many rows the transport will never take: they are kept nowhere, and only their requests are told so."""
        try:
            await self._durable.publish("bad", rows)
        except MessageRefused:
            return sum([await self._publish_row(group, *one) for one in zip(rows, group.owners, strict=True)])
        return 0

    async def _publish_row(self, group: _Group, row: Message, owner: Settled) -> int:
        try:
            await self._durable.publish("bad", [row])
        except MessageRefused as refusal:
            group.settle_one(owner, refusal)
            return 1
        return 0

    def _raw_messages(self, records: list[bytes], now: int) -> Iterator[Message]:
        chunk: list[bytes] = []
        size = 0
        for record in records:
            too_large = size + len(record) > self._settings.bytes_per_message
            if chunk and (too_large or len(chunk) >= self._settings.payloads_per_message):
                yield self._raw_message(chunk, now)
                chunk, size = [], 0
            chunk.append(record)
            size += len(record)
        yield self._raw_message(chunk, now)

    def _raw_message(self, records: list[bytes], now: int) -> Message:
        method = self._settings.compression
        body = b"".join(records) if method == "none" else pack(records, method)
        content_type = "application/x-thrift" if method == "none" else f"application/{method}"
        headers = {"payloads": len(records)}
        return Message(body, self._new_id(), now, "collector-payload", content_type, headers)

    def _bad_message(self, row: bytes, now: int) -> Message:
        return _bad_message(row, self._new_id(), now)


def refused_message(message: Message, reason: str, processor: Processor) -> Message:
    """The bad row of a message that a transport will never take, with all of it, under the same id."""
    failure = {"timestamp": instant(message.timestamp_ms), "errors": [reason]}
    row = bad_row("generic_error", processor, failure, b64encode(message.body).decode())
    return _bad_message(row, message.message_id, message.timestamp_ms)


def _bad_message(row: bytes, message_id: str, now: int) -> Message:
    # the type stands at a fixed place in the row: "…badrows/<type>/jsonschema/…"
    kind = row.partition(b".badrows/")[2].partition(b"/")[0].decode()
    return Message(row, message_id, now, "bad-row", "application/json", {"type": kind})
