"""Looking into the embedded stream without consuming: its logs and its dead queues."""

from shared.stream import embedded_store as store
from shared.stream.contract import LogName, LogRecord, Message, QueueName
from shared.stream.embedded_look import Watch, look
from shared.stream.embedded_thread import CommitThread
from shared.stream.topology import dead_queue


class EmbeddedLogReader:
    """Reads records by their row numbers."""

    def __init__(self, thread: CommitThread, watch: Watch, log: LogName) -> None:
        self._thread = thread
        self._watch = watch
        self._log = log

    async def read(self, after: int | None, limit: int, wait_s: float = 0) -> list[LogRecord]:
        start = -1 if after is None else after
        return await look(self._watch, lambda: self._read(start, limit), wait_s)

    async def _read(self, after: int, limit: int) -> list[LogRecord]:
        return await self._thread.read(lambda c: store.read(c, self._log, after, limit))

    async def newest(self) -> int | None:
        return await self._thread.read(lambda c: store.newest(c, self._log))

    async def close(self) -> None:
        await self._thread.close()


class EmbeddedDeadLetters:
    """The dead queue is a queue that nobody consumes."""

    def __init__(self, thread: CommitThread, queue: QueueName) -> None:
        self._thread = thread
        self._queue = queue

    async def peek(self, limit: int) -> list[Message]:
        return await self._thread.read(lambda c: store.peek(c, dead_queue(self._queue), limit))

    async def replay(self, limit: int) -> int:
        return await self._thread.write(lambda c: store.move(c, dead_queue(self._queue), self._queue, limit))

    async def purge(self) -> int:
        return await self._thread.write(lambda c: store.purge(c, dead_queue(self._queue)))

    async def close(self) -> None:
        await self._thread.close()
