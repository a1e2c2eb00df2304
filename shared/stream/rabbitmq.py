"""RabbitMQ as a transport: publishers, subscribers and log readers that close what they opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.settings import IngestSettings
from shared.stream.contract import LogName, QueueName
from shared.stream.rabbitmq_dead import RabbitmqDeadLetters
from shared.stream.rabbitmq_log import RabbitmqLogReader
from shared.stream.rabbitmq_publisher import RabbitmqPublisher
from shared.stream.rabbitmq_subscriber import RabbitmqSubscriber


@asynccontextmanager
async def rabbitmq_publisher(settings: IngestSettings) -> AsyncIterator[RabbitmqPublisher]:
    """Publish; not `ready` while the broker can't be reached."""
    publisher = RabbitmqPublisher(settings)
    try:
        await publisher.start()
        yield publisher
    finally:
        await publisher.close()


@asynccontextmanager
async def rabbitmq_subscriber(
    settings: IngestSettings, queue: QueueName, prefetch: int
) -> AsyncIterator[RabbitmqSubscriber]:
    """Consume a queue."""
    subscriber = RabbitmqSubscriber(settings, queue, prefetch)
    try:
        await subscriber.start()
        yield subscriber
    finally:
        await subscriber.close()


@asynccontextmanager
async def rabbitmq_log(settings: IngestSettings, log: LogName) -> AsyncIterator[RabbitmqLogReader]:
    """Read a log."""
    reader = RabbitmqLogReader(settings, log)
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def rabbitmq_dead_letters(settings: IngestSettings, queue: QueueName) -> AsyncIterator[RabbitmqDeadLetters]:
    """Look into a queue's dead queue."""
    letters = RabbitmqDeadLetters(settings, queue)
    try:
        yield letters
    finally:
        await letters.close()
