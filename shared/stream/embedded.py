"""The embedded stream: one SQLite file in WAL mode, shared by any number of processes; no server.

A message is lent for as long as the consumer's process lives (`embedded_presence`), and lent again as soon as it dies.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from shared.identity import Clock, now_ms
from shared.process import Misconfigured
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import (
    Delivery,
    LogName,
    LogRecord,
    Message,
    MessageRefused,
    QueueName,
    StreamName,
    StreamUnavailable,
)
from shared.stream.embedded_presence import Presence, alone, lives, sweep
from shared.stream.embedded_thread import CommitThread, begin
from shared.stream.embedded_upkeep import Upkeep
from shared.stream.topology import QUEUE_OF, log_of

#: Pause between two looks at a quiet queue, seconds: from, to. A look costs about 50 µs.
QUICK_LOOK_S = 0.001
SLOW_LOOK_S = 0.025

#: Between two looks for dead consumers, seconds.
SWEEP_S = 1.0

#: After a failed publish it says not ready for this long; then somebody has to try again.
PAUSE_S = 1.0

#: How long a consumer waits for the file while others write.
LOCK_WAIT_S = 10.0


class EmbeddedPublisher:
    """Appends to the file. Concurrent calls share commits."""

    def __init__(self, thread: CommitThread, limits: StreamLimits, clock: Clock, upkeep: Upkeep) -> None:
        self._thread = thread
        self._limits = limits
        self._clock = clock
        self._upkeep = upkeep
        self._paused_until = 0.0

    @property
    def ready(self) -> bool:
        return asyncio.get_running_loop().time() >= self._paused_until

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        if not messages:
            return
        for message in messages:
            if len(message.body) > self._limits.message_max_bytes:
                raise MessageRefused(f"a body of {len(message.body)} bytes is above {self._limits.message_max_bytes}")
        try:
            taken = await self._thread.write(self._put(stream, store.rows(messages)))
        except StreamUnavailable:
            self._pause()
            raise
        if not taken:
            self._pause()
            raise StreamUnavailable(f"queue {QUEUE_OF[stream]} is full: {self._limits.queue_max_bytes} bytes")

    async def close(self) -> None:
        await self._thread.close()
        await asyncio.to_thread(self._upkeep.close)

    def _pause(self) -> None:
        self._paused_until = asyncio.get_running_loop().time() + PAUSE_S

    def _put(self, stream: StreamName, rows: list[store.Row]) -> Callable[[sqlite3.Connection], bool]:
        queue, log = QUEUE_OF[stream], log_of(stream, self._limits)

        def put(connection: sqlite3.Connection) -> bool:
            taken = store.put(connection, queue, rows, self._limits.queue_max_bytes)
            if taken and log:
                store.record(connection, log, rows, self._clock())
            return taken

        return put


class EmbeddedSubscriber:
    """Lends messages of one queue to this process."""

    def __init__(
        self,
        thread: CommitThread,
        folder: Path,
        presence: Presence,
        queue: QueueName,
        prefetch: int,
        limits: StreamLimits,
    ) -> None:
        self._thread = thread
        self._folder = folder
        self._presence = presence
        self._owner = presence.name
        self._queue = queue
        self._prefetch = prefetch
        self._limits = limits
        self._held: set[int] = set()
        self._settled: list[int] = []
        self._settling: asyncio.Task[None] | None = None
        self._next_sweep = 0.0
        self._closing = False

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        return await look(lambda: self._receive(limit), wait_s)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Returns at once: an ack that a crash swallows is a redelivery."""
        self._settled += self._let_go(deliveries)
        if self._settled and self._settling is None:
            self._settling = asyncio.create_task(self._settle())

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        limit = self._limits.delivery_limit
        await self._hand_over(deliveries, lambda c, ids: store.give_back(c, self._queue, self._owner, ids, limit))

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        await self._hand_over(deliveries, lambda c, ids: store.bury(c, self._queue, self._owner, ids, reason))

    async def close(self) -> None:
        self._closing = True
        try:
            if self._settling:
                await self._settling
            limit = self._limits.delivery_limit
            await self._thread.write(lambda c: store.give_back(c, self._queue, self._owner, None, limit))
        except StreamUnavailable:
            pass  # the next consumer finds this one gone and takes what it held
        finally:
            await self._thread.close()
            self._presence.end()

    def _let_go(self, deliveries: Sequence[Delivery]) -> list[int]:
        ids = [tag for delivery in deliveries if isinstance(tag := delivery.tag, int) and tag in self._held]
        self._held.difference_update(ids)
        return ids

    async def _hand_over(
        self, deliveries: Sequence[Delivery], work: Callable[[sqlite3.Connection, list[int]], None]
    ) -> None:
        ids = self._let_go(deliveries)
        try:
            await self._thread.write(lambda c: work(c, ids))
        except StreamUnavailable:
            self._held.update(ids)
            raise

    async def _settle(self) -> None:
        """Acks that come while a commit is in flight share the next; those of a failed one are tried again."""
        try:
            while self._settled:
                ids, self._settled = self._settled, []
                try:
                    await self._thread.write(partial(self._settle_step, ids))
                except StreamUnavailable:
                    self._settled = ids + self._settled
                    if self._closing:
                        raise
                    await asyncio.sleep(PAUSE_S)
        finally:
            self._settling = None

    def _settle_step(self, ids: list[int], connection: sqlite3.Connection) -> None:
        store.settle(connection, self._queue, self._owner, ids)

    async def _receive(self, limit: int) -> list[Delivery]:
        room = min(limit, self._prefetch - len(self._held))
        if room <= 0:
            return []
        taking = asyncio.ensure_future(self._take(room))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._forgive)
            raise

    async def _take(self, room: int) -> list[Delivery]:
        if not await self._thread.read(self._look):
            return []
        lent = await self._thread.write(lambda c: store.lend(c, self._queue, self._owner, room))
        self._held.update(number for number, _ in lent)
        found = await self._thread.read(lambda c: store.fetch(c, lent))
        return [Delivery(one.message, one.attempts > 1, one.attempts, one.id) for one in found]

    def _forgive(self, taking: "asyncio.Future[list[Delivery]]") -> None:
        """Whoever asked went away meanwhile: nobody has seen these."""
        if taking.cancelled() or taking.exception() or self._closing:
            return
        ids = self._let_go(taking.result())
        self._thread.write(lambda c: store.forgive(c, self._owner, ids))

    def _look(self, connection: sqlite3.Connection) -> bool:
        """Whether there is something to be lent; frees what the dead hold now and then."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_S
            self._free_the_dead(connection)
        return store.is_waiting(connection, self._queue)

    def _free_the_dead(self, connection: sqlite3.Connection) -> None:
        others = (owner for owner in store.owners(connection, self._queue) if owner != self._owner)
        for dead in [owner for owner in others if not lives(self._folder, owner)]:
            begin(connection, LOCK_WAIT_S)
            with connection:
                store.give_back(connection, self._queue, dead, None, self._limits.delivery_limit)


class EmbeddedLogReader:
    """Reads records by their row numbers."""

    def __init__(self, thread: CommitThread, log: LogName) -> None:
        self._thread = thread
        self._log = log

    async def read(self, after: int | None, limit: int, wait_s: float = 0) -> list[LogRecord]:
        start = -1 if after is None else after
        return await look(lambda: self._thread.read(lambda c: store.read(c, self._log, start, limit)), wait_s)

    async def close(self) -> None:
        await self._thread.close()


Found = TypeVar("Found")


async def look(ask: Callable[[], Awaitable[list[Found]]], wait_s: float) -> list[Found]:
    """Ask again and again, more slowly while nothing comes, for at most `wait_s` seconds."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + wait_s, QUICK_LOOK_S
    while not (found := await ask()) and (left := deadline - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, SLOW_LOOK_S)
    return found


@asynccontextmanager
async def embedded_publisher(
    folder: Path, limits: StreamLimits, clock: Clock = now_ms
) -> AsyncIterator[EmbeddedPublisher]:
    """Publish to the stream in this folder, made when absent."""
    file = await asyncio.to_thread(_ensure, folder)
    thread = CommitThread(lambda: store.connect(file, "FULL"), "stream-publisher", limits.publish_timeout_ms / 1000)
    publisher = EmbeddedPublisher(thread, limits, clock, Upkeep(file, limits, clock))
    try:
        yield publisher
    finally:
        await publisher.close()


@asynccontextmanager
async def embedded_subscriber(
    folder: Path, limits: StreamLimits, queue: QueueName, prefetch: int
) -> AsyncIterator[EmbeddedSubscriber]:
    """Consume a queue of the stream in this folder, made when absent."""
    file = await asyncio.to_thread(_ensure, folder)
    presence = await asyncio.to_thread(_appear, folder)
    thread = CommitThread(lambda: store.connect(file, "NORMAL"), f"stream-{queue}", LOCK_WAIT_S)
    subscriber = EmbeddedSubscriber(thread, folder, presence, queue, prefetch, limits)
    try:
        yield subscriber
    finally:
        await subscriber.close()


@asynccontextmanager
async def embedded_log(folder: Path, log: LogName) -> AsyncIterator[EmbeddedLogReader]:
    """Read a log of the stream in this folder."""
    file = await asyncio.to_thread(_ensure, folder)
    reader = EmbeddedLogReader(CommitThread(lambda: store.connect(file, "NORMAL"), f"stream-{log}", LOCK_WAIT_S), log)
    try:
        yield reader
    finally:
        await reader.close()


def _ensure(folder: Path) -> Path:
    file = folder / "stream.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            sweep(folder)
            version = store.create(file)
    except (OSError, sqlite3.DatabaseError) as error:
        raise Misconfigured(f"{file}: can't be used as an embedded stream: {error}") from error
    if version != store.VERSION:
        raise Misconfigured(f"{file}: has layout {version}, this version of evnt reads {store.VERSION}")
    return file


def _appear(folder: Path) -> Presence:
    with alone(folder):
        return Presence(folder, uuid4().hex)
