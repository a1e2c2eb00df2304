"""A process that uses a stream and says what it has done, for tests that kill it.

`python -m tests.shared.stream_process publish|hold|relay <count>`, with settings in the environment as any process.
"""

import asyncio
import sys

from shared.settings import SharedSettings, load
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message, Publisher, StreamUnavailable


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def numbered(number: int) -> Message:
    return Message(b"x" * 500, f"id-{number}", number, "collector-payload", "application/x-thrift")


async def publish(settings: SharedSettings, count: int) -> None:
    """Publish one by one, saying the number of each once the stream owns it; then go on living."""
    async with open_publisher(settings) as publisher:
        for number in range(count):
            await publisher.publish("raw", [numbered(number)])
            say(str(number))
        await asyncio.Event().wait()


async def hold(settings: SharedSettings, count: int) -> None:
    """Take this many messages of `raw` and never ack them."""
    async with open_subscriber(settings, "raw", count) as subscriber:
        held = 0
        while held < count:
            held += len(await subscriber.receive(count, 1))
        say("holding")
        await asyncio.Event().wait()


async def relay(settings: SharedSettings, count: int) -> None:
    """Move messages from `raw` to `enriched` as a stage does: publish, then ack."""
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", count) as subscriber:
        say("ready")
        while True:
            deliveries = await subscriber.receive(count, 1)
            if deliveries:
                await _insistently(publisher, [delivery.message for delivery in deliveries])
                await subscriber.ack(deliveries)


async def _insistently(publisher: Publisher, messages: list[Message]) -> None:
    while True:
        try:
            await publisher.publish("enriched", messages)
        except StreamUnavailable:
            await asyncio.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    job = {"publish": publish, "hold": hold, "relay": relay}[sys.argv[1]]
    asyncio.run(job(load(SharedSettings), int(sys.argv[2])))
