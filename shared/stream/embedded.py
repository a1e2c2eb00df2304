"""The embedded stream: one SQLite file in WAL mode, shared by any number of processes; no server.

A message is lent for as long as the consumer's process lives (`embedded_presence`), and lent again as soon as it dies.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

from shared.identity import now_ms
from shared.process import Misconfigured
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import LogName, QueueName
from shared.stream.embedded_look import Watch
from shared.stream.embedded_presence import Presence, alone, sweep
from shared.stream.embedded_publisher import EmbeddedPublisher
from shared.stream.embedded_reader import EmbeddedDeadLetters, EmbeddedLogReader
from shared.stream.embedded_subscriber import LOCK_WAIT_S, EmbeddedSubscriber
from shared.stream.embedded_thread import CommitThread
from shared.stream.embedded_upkeep import Upkeep
from shared.stream.topology import dead_queue

#: The stream, in its folder.
FILE = "stream.sqlite"

#: With less on its disk a stream can't begin.
_LEAST_BYTES = 1 << 20


@asynccontextmanager
async def embedded_publisher(folder: Path, limits: StreamLimits) -> AsyncIterator[EmbeddedPublisher]:
    """Publish to the stream in this folder, made when absent."""
    file = await asyncio.to_thread(_ensure, folder)
    thread = CommitThread(lambda: store.connect(file, "FULL"), "stream-publisher", limits.publish_timeout_ms / 1000)
    publisher = EmbeddedPublisher(thread, file, limits, now_ms, Upkeep(file, limits, now_ms))
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
    subscriber = EmbeddedSubscriber(thread, file, presence, queue, prefetch, limits)
    try:
        yield subscriber
    finally:
        await subscriber.close()


@asynccontextmanager
async def embedded_log(folder: Path, log: LogName) -> AsyncIterator[EmbeddedLogReader]:
    """Read a log of the stream in this folder. Raises Misconfigured where there is none."""
    file = await asyncio.to_thread(_existing, folder)
    thread = CommitThread(lambda: store.connect(file, "NORMAL"), f"stream-{log}", LOCK_WAIT_S)
    reader = EmbeddedLogReader(thread, Watch(file), log)
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def embedded_dead_letters(folder: Path, queue: QueueName) -> AsyncIterator[EmbeddedDeadLetters]:
    """Look into a queue's dead queue. Raises Misconfigured where there is no stream."""
    file = await asyncio.to_thread(_existing, folder)
    thread = CommitThread(lambda: store.connect(file, "FULL"), f"stream-{dead_queue(queue)}", LOCK_WAIT_S)
    letters = EmbeddedDeadLetters(thread, queue)
    try:
        yield letters
    finally:
        await letters.close()


def _existing(folder: Path) -> Path:
    """For who only looks: a stream made by that in a wrong folder would be empty, and all seem well."""
    if not (folder / FILE).exists():
        raise Misconfigured(
            f"there is no stream in {folder.absolute()}: start the pipeline, or go to its folder (see data_dir)"
        )
    return _ensure(folder)


def _ensure(folder: Path) -> Path:
    file = folder / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds what users did
        with alone(folder):
            sweep(folder)
            version = store.create(file)
    except (OSError, sqlite3.DatabaseError) as error:
        raise Misconfigured(
            f"{file}: can't be used as an embedded stream (in data_dir): {error}{_room(folder)}"
        ) from error
    if version != store.VERSION:
        raise Misconfigured(f"{file}: has layout {version}, this version of evnt reads {store.VERSION}")
    return file


def _room(folder: Path) -> str:
    """SQLite calls it an I/O error when a full disk has no room for its shared memory."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _LEAST_BYTES:
            return f"; the disk of {folder} is full"
    return ""


def _appear(folder: Path) -> Presence:
    with alone(folder):
        return Presence(folder, uuid4().hex)
