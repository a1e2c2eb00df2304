"""One thread with one connection: group commit, and no blocking call on the event loop.

What is asked while a commit is in flight goes together into the next one.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import ujson

from shared.process import Misconfigured
from shared.stream.contract import StreamUnavailable

Result = TypeVar("Result")

#: Most steps that go into one commit, so that none waits for an endless one.
GROUP = 256

#: What no next try makes better: the file itself is damaged.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

#: What may be better at the next try; anything else is a bug.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,  # a file system that was remounted so after an error
    }
)


@dataclass(slots=True)
class _Step:
    work: Callable[[sqlite3.Connection], Any]
    writes: bool
    future: asyncio.Future[Any]
    result: Any = None


class CommitThread:
    """Runs steps on a connection; each waits for the commit that holds it.

    lock_wait_s: how long other processes may keep the file locked before that counts as unavailable.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str, lock_wait_s: float) -> None:
        self._connect = connect
        self._lock_wait_s = lock_wait_s
        self._steps: SimpleQueue[_Step | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def write(self, work: Callable[[sqlite3.Connection], Result]) -> "asyncio.Future[Result]":
        """A step of a transaction; done once that is committed. Raises StreamUnavailable and Misconfigured."""
        return self._ask(work, writes=True)

    def read(self, work: Callable[[sqlite3.Connection], Result]) -> "asyncio.Future[Result]":
        """A step outside of transactions, that only looks. Raises as `write`."""
        return self._ask(work, writes=False)

    async def close(self) -> None:
        """Finish what was asked, then close the connection."""
        self._steps.put(None)
        await asyncio.to_thread(self._thread.join)

    def _ask(self, work: Callable[[sqlite3.Connection], Result], *, writes: bool) -> "asyncio.Future[Result]":
        future: asyncio.Future[Result] = self._loop.create_future()
        self._steps.put(_Step(work, writes, future))
        return future

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            more = True
            while more:
                group, more = self._next_group()
                connection = connection or self._connected(group)
                if connection is None:
                    continue
                self._finish([step for step in group if step.writes], connection, self._commit)
                for step in group:
                    if not step.writes:
                        self._finish([step], connection, self._look)
        finally:
            if connection is not None:
                connection.close()

    def _connected(self, group: Sequence[_Step]) -> sqlite3.Connection | None:
        """None where that fails, on a full disk or without descriptors: who asked is told, and may ask again."""
        try:
            return self._connect()
        except sqlite3.Error as failure:
            error = StreamUnavailable(f"embedded stream: {failure}")
            self._loop.call_soon_threadsafe(_resolve, group, error)
            return None

    def _commit(self, connection: sqlite3.Connection, group: Sequence[_Step]) -> None:
        begin(connection, self._lock_wait_s)
        with connection:
            _each(connection, group)

    def _look(self, connection: sqlite3.Connection, group: Sequence[_Step]) -> None:
        patiently(lambda: _each(connection, group), self._lock_wait_s)

    def _next_group(self) -> tuple[list[_Step], bool]:
        group: list[_Step] = []
        step = self._steps.get()
        while step is not None:
            group.append(step)
            if len(group) == GROUP or self._steps.empty():
                return group, True
            step = self._steps.get()
        return group, False

    def _finish(self, group: list[_Step], connection: sqlite3.Connection, run: "_Runner") -> None:
        if not group:
            return
        error: BaseException | None = None
        try:
            run(connection, group)
        except BaseException as failure:  # noqa: BLE001 - it goes to whoever asked
            error = _named(failure, connection)
        if error and len(group) > 1 and not isinstance(error, (StreamUnavailable, Misconfigured)):
            for step in group:  # a bug in one step must not fail the others
                self._finish([step], connection, run)
            return
        self._loop.call_soon_threadsafe(_resolve, group, error)


_Runner = Callable[[sqlite3.Connection, Sequence[_Step]], None]


def _resolve(group: Sequence[_Step], error: BaseException | None) -> None:
    for step in group:
        if step.future.done():
            continue
        if error is None:
            step.future.set_result(step.result)
        else:
            step.future.set_exception(error)


def _named(failure: BaseException, connection: sqlite3.Connection) -> BaseException:
    code = _code(failure)
    if code in _PASSING:
        return StreamUnavailable(f"embedded stream: {failure}")
    if code in _DAMAGED:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        return Misconfigured(f"{file}: {failure}; move it away to go on without what it holds")
    return failure


def _code(failure: BaseException) -> int:
    """Of SQLite, 0 for none. A column with a text that is none has been damaged, which only Python sees."""
    unreadable = isinstance(failure, sqlite3.OperationalError | ujson.JSONDecodeError)
    code: int = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT if unreadable else 0)
    return code & 0xFF


def _each(connection: sqlite3.Connection, group: Sequence[_Step]) -> None:
    for step in group:
        step.result = step.work(connection)


def begin(connection: sqlite3.Connection, lock_wait_s: float) -> None:
    """BEGIN IMMEDIATE, asking again in fractions of a millisecond: SQLite's own waiting goes up to 100 ms a time."""
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"), lock_wait_s)


def patiently(ask: Callable[[], object], lock_wait_s: float) -> None:
    """Ask again for as long as others keep the file locked."""
    deadline = time.monotonic() + lock_wait_s
    while True:
        try:
            ask()
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.0005)
        else:
            return
