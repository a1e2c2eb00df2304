"""Consuming from the embedded stream."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import Delivery, QueueName, StreamUnavailable
from shared.stream.embedded_look import look
from shared.stream.embedded_presence import Presence, lives
from shared.stream.embedded_thread import CommitThread, begin

#: Between two looks for dead consumers, seconds.
SWEEP_S = 1.0

#: Between two attempts to record acks, seconds.
PAUSE_S = 1.0

#: How long a consumer waits for the file while others write, seconds.
LOCK_WAIT_S = 10.0


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
