"""Messages for tests of the stream, and the patience that taking them needs."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from shared.settings import IngestSettings, RabbitmqSettings, SharedSettings, StreamLimits
from shared.stream.contract import Delivery, Message, Publisher, StreamUnavailable, Subscriber

#: Seconds after which something that must come has not come.
PATIENCE_S = 20


def a_message(number: int = 0, size: int = 10) -> Message:
    body = b"%d " % number + b"\x00\xff" * (size // 2)
    return Message(body, f"id-{number}", 1_700_000_000_123 + number, "collector-payload", "application/x-thrift")


def some(count: int, first: int = 0, size: int = 10) -> list[Message]:
    return [a_message(number, size) for number in range(first, first + count)]


async def take(subscriber: Subscriber, count: int) -> list[Delivery]:
    """Exactly this many deliveries, in as many steps as they need."""
    found: list[Delivery] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            found += await subscriber.receive(count - len(found), 1)
    return found


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.message.message_id for delivery in deliveries]


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def holds(value: bool) -> bool:
    return value


async def insist(publisher: Publisher, first: int, count: int) -> None:
    """Publish as a stage does: the same call again while the stream is unavailable."""
    while True:
        try:
            await publisher.publish("raw", some(count, first))
        except StreamUnavailable:
            await asyncio.sleep(0.05)
        else:
            return


def quick(rabbitmq: RabbitmqSettings, **changes: object) -> SharedSettings:
    """Settings of a test that does not want to wait."""
    short: dict[str, object] = {"retry_delay_ms": 200, "connect_timeout_ms": 2000, "heartbeat_seconds": 1, **changes}
    limits = StreamLimits(publish_timeout_ms=5000)
    return SharedSettings(
        ingest=IngestSettings(mode="rabbitmq", limits=limits, rabbitmq=rabbitmq.model_copy(update=short))
    )
