"""Consuming from the embedded stream."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import Delivery, QueueName, StreamUnavailable
from shared.stream.embedded_look import Watch, look
from shared.stream.embedded_presence import Presence, lives
from shared.stream.embedded_thread import CommitThread, begin

#: Between two looks for dead consumers, seconds.
SWEEP_S = 1.0

#: Between two attempts to record what became of deliveries, seconds.
PAUSE_S = 1.0

#: How long a consumer waits for the file while others write, seconds.
LOCK_WAIT_S = 10.0


_Step = Callable[[sqlite3.Connection], None]


class EmbeddedSubscriber:
    """Lends messages of one queue to this process."""

    def __init__(
        self,
        thread: CommitThread,
        file: Path,
        presence: Presence,
        queue: QueueName,
        prefetch: int,
        limits: StreamLimits,
    ) -> None:
        self._thread = thread
        self._folder = file.parent
        self._watch = Watch(file)
        self._presence = presence
        self._owner = presence.name
        self._queue = queue
        self._prefetch = prefetch
        self._limits = limits
        self._held: set[int] = set()
        self._unread: list[tuple[int, int]] = []
        self._taking = asyncio.Lock()
        self._steps: list[_Step] = []
        self._stepping: asyncio.Task[None] | None = None
        self._next_sweep = 0.0
        self._closing = False

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        return await look(self._watch, lambda: self._receive(limit), wait_s)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Returns at once: an ack that a crash swallows is a redelivery."""
        if ids := self._let_go(deliveries):
            self._soon(lambda c: store.settle(c, self._queue, self._owner, ids))

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        ids, limit = self._let_go(deliveries), self._limits.delivery_limit
        await self._now(lambda c: store.give_back(c, self._queue, self._owner, ids, limit))

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        ids = self._let_go(deliveries)
        await self._now(lambda c: store.bury(c, self._queue, self._owner, ids, reason))

    async def close(self) -> None:
        self._closing = True
        if self._stepping:
            await self._stepping
        limit = self._limits.delivery_limit
        with suppress(StreamUnavailable):  # then the next consumer finds this one gone and takes what it held
            await self._thread.write(lambda c: store.give_back(c, self._queue, self._owner, None, limit))
        await self._thread.close()
        self._presence.end()

    def _let_go(self, deliveries: Sequence[Delivery]) -> list[int]:
        ids = [tag for delivery in deliveries if isinstance(tag := delivery.tag, int) and tag in self._held]
        self._held.difference_update(ids)
        return ids

    async def _now(self, step: _Step) -> None:
        """Try at once, and again later if the file takes nothing now: that is not the caller's to solve."""
        try:
            await self._thread.write(step)
        except StreamUnavailable:
            self._soon(step)

    def _soon(self, step: _Step) -> None:
        self._steps.append(step)
        if self._stepping is None:
            self._stepping = asyncio.create_task(self._work_off())

    async def _work_off(self) -> None:
        """Steps that come while a commit is in flight share the next one."""
        while self._steps:
            steps, self._steps = self._steps, []
            try:
                await self._thread.write(partial(_each, steps))
            except StreamUnavailable:
                if self._closing:
                    break
                self._steps = steps + self._steps
                await asyncio.sleep(PAUSE_S)
        self._stepping = None

    async def _receive(self, limit: int) -> list[Delivery]:
        taking = asyncio.ensure_future(self._take(limit))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._forgive)
            raise

    async def _take(self, limit: int) -> list[Delivery]:
        """Lend in one commit, then read what was lent outside of it; an outage between the two loses nothing."""
        async with self._taking:
            with suppress(StreamUnavailable):
                if not self._unread:
                    await self._borrow(min(limit, self._prefetch - len(self._held)))
                if self._unread:
                    found = await self._thread.read(lambda c: store.fetch(c, self._unread))
                    self._unread = []
                    return [Delivery(one.message, one.attempts > 1, one.attempts, one.id) for one in found]
        return []

    async def _borrow(self, room: int) -> None:
        if room > 0 and await self._thread.read(self._look):
            self._unread = await self._thread.write(lambda c: store.lend(c, self._queue, self._owner, room))
            self._held.update(number for number, _ in self._unread)

    def _forgive(self, taking: "asyncio.Future[list[Delivery]]") -> None:
        """Whoever asked went away meanwhile: nobody has seen these."""
        if taking.cancelled() or taking.exception() or self._closing:
            return
        if ids := self._let_go(taking.result()):
            self._soon(lambda c: store.forgive(c, self._owner, ids))

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


def _each(steps: Sequence[_Step], connection: sqlite3.Connection) -> None:
    for step in steps:
        step(connection)
