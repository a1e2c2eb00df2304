"""Opens the transport that the settings name; only here is it chosen.

Each opener is an asynchronous context manager that closes what it opened. A transport that can't work before an
operator changes something raises `shared.process.Misconfigured` on opening.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from shared.settings import SharedSettings, StreamLimits
from shared.stream.contract import DeadLetters, LogName, LogReader, Publisher, QueueName, Subscriber

#: The embedded stream's folder within the data folder.
FOLDER = "stream"


@asynccontextmanager
async def open_publisher(settings: SharedSettings) -> AsyncIterator[Publisher]:
    """Publish to every stream, from all tasks of a process."""
    if settings.ingest.mode == "direct":
        async with open_embedded_publisher(settings.data_dir / FOLDER, settings.ingest.limits) as publisher:
            yield publisher
    else:
        from shared.stream.rabbitmq import rabbitmq_publisher

        async with rabbitmq_publisher(settings.ingest) as publisher:
            yield publisher


@asynccontextmanager
async def open_subscriber(settings: SharedSettings, queue: QueueName, prefetch: int) -> AsyncIterator[Subscriber]:
    """Consume a queue. prefetch: most messages that this process holds unacked; `receive` waits above it."""
    if settings.ingest.mode == "direct":
        folder = settings.data_dir / FOLDER
        async with open_embedded_subscriber(folder, settings.ingest.limits, queue, prefetch) as subscriber:
            yield subscriber
    else:
        from shared.stream.rabbitmq import rabbitmq_subscriber

        async with rabbitmq_subscriber(settings.ingest, queue, prefetch) as subscriber:
            yield subscriber


@asynccontextmanager
async def open_log(settings: SharedSettings, log: LogName) -> AsyncIterator[LogReader]:
    """Read a log without consuming it."""
    if settings.ingest.mode == "direct":
        from shared.stream.embedded import embedded_log

        async with embedded_log(settings.data_dir / FOLDER, log) as reader:
            yield reader
    else:
        from shared.stream.rabbitmq import rabbitmq_log

        async with rabbitmq_log(settings.ingest, log) as reader:
            yield reader


@asynccontextmanager
async def open_dead_letters(settings: SharedSettings, queue: QueueName) -> AsyncIterator[DeadLetters]:
    """Look into the dead queue of a queue, for an operator."""
    if settings.ingest.mode == "direct":
        from shared.stream.embedded import embedded_dead_letters

        async with embedded_dead_letters(settings.data_dir / FOLDER, queue) as letters:
            yield letters
    else:
        from shared.stream.rabbitmq import rabbitmq_dead_letters

        async with rabbitmq_dead_letters(settings.ingest, queue) as letters:
            yield letters


def open_embedded_publisher(folder: Path, limits: StreamLimits) -> AbstractAsyncContextManager[Publisher]:
    """Publish to an embedded stream in a folder of the caller's, such as the collector's spool."""
    from shared.stream.embedded import embedded_publisher

    return embedded_publisher(folder, limits)


def open_embedded_subscriber(
    folder: Path, limits: StreamLimits, queue: QueueName, prefetch: int
) -> AbstractAsyncContextManager[Subscriber]:
    """Consume a queue of an embedded stream in a folder of the caller's."""
    from shared.stream.embedded import embedded_subscriber

    return embedded_subscriber(folder, limits, queue, prefetch)
