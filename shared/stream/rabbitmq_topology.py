"""Exchanges and queues as docs/streams.md lists them, declared by whoever comes first."""

from typing import Any

from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from shared.process import Misconfigured
from shared.settings import IngestSettings
from shared.stream.contract import LogName, StreamName
from shared.stream.topology import QUEUE_OF, dead_queue, log_of, retention

#: A dead queue is looked at by taking and giving back, which counts as a delivery: practically no limit.
DEAD_DELIVERY_LIMIT = 1_000_000

#: Retention works on whole segments, so they are small beside what a log keeps.
_SEGMENTS_PER_LOG = 20
_SEGMENT_BYTES = (1_000_000, 500_000_000)


def queues(settings: IngestSettings) -> dict[str, dict[str, Any]]:
    """Every queue that is declared, and its arguments."""
    found: dict[str, dict[str, Any]] = {}
    for stream, queue in QUEUE_OF.items():
        found[dead_queue(queue)] = {"x-queue-type": "quorum", "x-delivery-limit": DEAD_DELIVERY_LIMIT}
        found[queue] = _work_arguments(settings, dead_queue(queue))
        if log := log_of(stream, settings.limits):
            found[log] = _log_arguments(settings, log)
    return found


def bindings(settings: IngestSettings) -> list[tuple[StreamName, str]]:
    """Exchange and queue of every binding; each takes every routing key."""
    logs = [(stream, log) for stream in QUEUE_OF if (log := log_of(stream, settings.limits))]
    return [*QUEUE_OF.items(), *logs]


async def declare(connection: AbstractConnection, settings: IngestSettings) -> None:
    """Make what is missing.

    Raises Misconfigured when something of that name is there with other arguments, or when something is missing and
    the user may not make it.
    """
    try:
        await _declare(await connection.channel(), settings)
    except ChannelPreconditionFailed as error:
        raise Misconfigured(
            f"RabbitMQ has a queue or exchange of ours with other arguments: {error}. Restore the setting it was "
            "made with, or let it run empty, delete it and start again"
        ) from error
    except ChannelAccessRefused:
        await _check(connection, settings)


async def _declare(channel: AbstractChannel, settings: IngestSettings) -> None:
    for stream in QUEUE_OF:
        await channel.exchange_declare(stream, exchange_type="topic", durable=True)
    for queue, arguments in queues(settings).items():
        await channel.queue_declare(queue, durable=True, arguments=arguments)
    for stream, queue in bindings(settings):
        await channel.queue_bind(queue, stream, "#")
    await channel.close()


async def _check(connection: AbstractConnection, settings: IngestSettings) -> None:
    """For a user that may publish or consume but not declare: everything must be there."""
    channel = await connection.channel()
    try:
        for stream in QUEUE_OF:
            await channel.exchange_declare(stream, exchange_type="topic", passive=True)
        for queue in queues(settings):
            await channel.queue_declare(queue, passive=True)
    except (ChannelNotFoundEntity, ChannelAccessRefused) as error:
        raise Misconfigured(
            f"RabbitMQ lacks a queue or exchange, and user {settings.rabbitmq.username!r} may not make it: {error}. "
            "Start a process whose user may configure first, or grant that right"
        ) from error
    await channel.close()


def _work_arguments(settings: IngestSettings, dead: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": settings.limits.delivery_limit,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": settings.limits.queue_max_bytes,
        "x-consumer-timeout": settings.rabbitmq.consumer_timeout_ms,
    }


def _log_arguments(settings: IngestSettings, log: LogName) -> dict[str, Any]:
    max_bytes, max_age_ms = retention(log, settings.limits)
    low, high = _SEGMENT_BYTES
    return {
        "x-queue-type": "stream",
        "x-max-age": f"{max_age_ms // 3_600_000}h",
        "x-max-length-bytes": max_bytes,
        "x-stream-max-segment-size-bytes": min(max(max_bytes // _SEGMENTS_PER_LOG, low), high),
    }
