"""Publishing to the embedded stream."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.identity import Clock
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import Message, MessageRefused, StreamName, StreamUnavailable
from shared.stream.embedded_room import check_room
from shared.stream.embedded_thread import CommitThread
from shared.stream.embedded_upkeep import Upkeep
from shared.stream.topology import QUEUE_OF, log_of

#: After a failed publish it says not ready for this long; then somebody has to try again.
PAUSE_S = 1.0


class EmbeddedPublisher:
    """Appends to the file. Concurrent calls share commits."""

    def __init__(self, thread: CommitThread, file: Path, limits: StreamLimits, clock: Clock, upkeep: Upkeep) -> None:
        self._thread = thread
        self._file = file
        self._limits = limits
        self._clock = clock
        self._upkeep = upkeep
        self._paused_until = 0.0
        #: What no caller waits for any more: on a disk that hangs it must not become more and more.
        self._given_up: set[asyncio.Future[bool]] = set()

    @property
    def ready(self) -> bool:
        return not self._given_up and asyncio.get_running_loop().time() >= self._paused_until

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        if not messages:
            return
        most = self._limits.message_max_bytes
        for message in messages:
            if len(message.body) > most:
                raise MessageRefused(f"a body of {len(message.body)} bytes is above {most}", most)
        writing = self._thread.write(self._put(stream, store.rows(messages)))
        try:
            taken = await asyncio.shield(writing)
        except asyncio.CancelledError:
            self._given_up.add(writing)
            writing.add_done_callback(self._written)
            raise
        except StreamUnavailable:
            self._pause()
            raise
        if not taken:
            self._pause()
            raise StreamUnavailable(f"queue {QUEUE_OF[stream]} is full: {self._limits.queue_max_bytes} bytes")

    async def close(self) -> None:
        await self._thread.close()
        await asyncio.to_thread(self._upkeep.close)

    def _written(self, given_up: "asyncio.Future[bool]") -> None:
        self._given_up.discard(given_up)
        given_up.exception()  # nobody else asks for it

    def _pause(self) -> None:
        self._paused_until = asyncio.get_running_loop().time() + PAUSE_S

    def _put(self, stream: StreamName, rows: list[store.Row]) -> Callable[[sqlite3.Connection], bool]:
        queue, log = QUEUE_OF[stream], log_of(stream, self._limits)
        size = sum(len(row[5]) + store.OVERHEAD for row in rows) * (2 if log else 1)

        def put(connection: sqlite3.Connection) -> bool:
            check_room(self._file, stream, size)
            taken = store.put(connection, queue, rows, self._limits.queue_max_bytes)
            if taken and log:
                store.record(connection, log, rows, self._clock())
            return taken

        return put
