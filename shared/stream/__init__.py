"""Opens the transport that the settings name; only here is it chosen.

Each opener is an asynchronous context manager that closes what it opened. A transport that can't work before an
operator changes something raises `shared.process.Misconfigured` on opening.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from shared.settings import SharedSettings, StreamLimits
from shared.stream.contract import DeadLetters, LogName, LogReader, Poster, Publisher, QueueName, Subscriber

#: The embedded stream's folder within the data folder.
FOLDER = "stream"


def open_publisher(settings: SharedSettings) -> AbstractAsyncContextManager[Publisher]:
    """Publish to every stream, from all tasks of a process."""
    if settings.ingest.mode == "direct":
        return open_embedded_publisher(settings.data_dir / FOLDER, settings.ingest.limits)
    from shared.stream.rabbitmq import rabbitmq_publisher

    return rabbitmq_publisher(settings.ingest)


def poster(publisher: Publisher) -> Poster | None:
    """The quicker way of a publisher that has one."""
    return publisher if isinstance(publisher, Poster) else None


def open_subscriber(
    settings: SharedSettings, queue: QueueName, prefetch: int
) -> AbstractAsyncContextManager[Subscriber]:
    """Consume a queue. prefetch: most messages that this process holds unacked; `receive` waits above it."""
    if settings.ingest.mode == "direct":
        return open_embedded_subscriber(settings.data_dir / FOLDER, settings.ingest.limits, queue, prefetch)
    from shared.stream.rabbitmq import rabbitmq_subscriber

    return rabbitmq_subscriber(settings.ingest, queue, prefetch)


def open_log(settings: SharedSettings, log: LogName) -> AbstractAsyncContextManager[LogReader]:
    """Read a log without consuming it."""
    if settings.ingest.mode == "direct":
        from shared.stream.embedded import embedded_log

        return embedded_log(settings.data_dir / FOLDER, log)
    from shared.stream.rabbitmq import rabbitmq_log

    return rabbitmq_log(settings.ingest, log)


def open_dead_letters(settings: SharedSettings, queue: QueueName) -> AbstractAsyncContextManager[DeadLetters]:
    """Look into the dead queue of a queue, for an operator."""
    if settings.ingest.mode == "direct":
        from shared.stream.embedded import embedded_dead_letters

        return embedded_dead_letters(settings.data_dir / FOLDER, queue)
    from shared.stream.rabbitmq import rabbitmq_dead_letters

    return rabbitmq_dead_letters(settings.ingest, queue)


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
