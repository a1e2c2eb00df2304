"""The streams: what a message and a payload in it cost to publish and to consume, on both transports.

`python -m benchmarks.stream [megabytes]`. Cost is CPU time of this process, all its threads; the broker's own is not
in it. Beside it the bare limit: appending the same bytes to a file with fdatasync, and the client library alone.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from benchmarks.result import Result, unit_s
from shared.settings import IngestSettings, SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message
from shared.stream.rabbitmq_line import connect, open_channel
from shared.stream.rabbitmq_wire import MILLISECONDS_HEADER
from tests.broker import BrokerAbsent, private_node

#: Publishes that wait at a time, as a collector's groups and an enricher's chunks do.
OUTSTANDING = 20

#: Unacked messages of a consumer.
PREFETCH = 100


@dataclass(frozen=True)
class Case:
    """Messages of `payloads` payloads of `size` bytes each."""

    name: str
    payloads: int
    size: int

    def messages(self, megabytes: int) -> list[Message]:
        body = os.urandom(self.size) * self.payloads
        count = max(40, min(20_000, megabytes * 1_000_000 // len(body)))
        return [_message(number, body) for number in range(count)]


CASES = (
    Case("1 payload of 2 KB a message", 1, 2_000),
    Case("100 payloads of 2 KB a message", 100, 2_000),
    Case("chunk of 500 lines of 2 KB", 500, 2_000),
)


def _message(number: int, body: bytes) -> Message:
    identifier = f"0190a3c4-0000-7000-8000-{number:012d}"
    return Message(body, identifier, 1_735_000_000_000, "collector-payload", "application/x-thrift", {"payloads": 1})


@dataclass(frozen=True)
class Cost:
    """Seconds for some messages: CPU of this process, and on the clock."""

    messages: int
    cpu_s: float
    wall_s: float


async def measured(messages: int, work: Awaitable[None]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    await work
    return Cost(messages, time.process_time() - cpu, time.perf_counter() - wall)


async def publish(settings: SharedSettings, messages: list[Message]) -> Cost:
    async with open_publisher(settings) as publisher:
        return await measured(len(messages), in_turns(messages, lambda m: publisher.publish("raw", [m])))


async def consume(settings: SharedSettings, count: int) -> Cost:
    async with open_subscriber(settings, "raw", PREFETCH) as subscriber:

        async def drain() -> None:
            left = count
            while left > 0:
                deliveries = await subscriber.receive(PREFETCH // 2, 5)
                await subscriber.ack(deliveries)
                left -= len(deliveries)

        return await measured(count, drain())


async def in_turns(messages: list[Message], send: Callable[[Message], Awaitable[object]]) -> None:
    """Every message, OUTSTANDING at a time."""
    waiting = iter(messages)

    async def sender() -> None:
        for message in waiting:
            await send(message)

    await asyncio.gather(*(sender() for _ in range(OUTSTANDING)))


def append(folder: Path, messages: list[Message]) -> Cost:
    """The bare limit of a durable file: OUTSTANDING bodies, then fdatasync."""
    cpu, wall = time.process_time(), time.perf_counter()
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for first in range(0, len(messages), OUTSTANDING):
        os.writev(descriptor, [message.body for message in messages[first : first + OUTSTANDING]])
        os.fdatasync(descriptor)
    os.close(descriptor)
    return Cost(len(messages), time.process_time() - cpu, time.perf_counter() - wall)


def read_back(folder: Path, messages: list[Message]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    with (folder / "bare").open("rb", buffering=0) as file:
        while file.read(len(messages[0].body)):
            pass
    return Cost(len(messages), time.process_time() - cpu, time.perf_counter() - wall)


async def library_publish(ingest: IngestSettings, messages: list[Message]) -> Cost:
    connection = connect(ingest.rabbitmq, "bare")
    await connection.connect()
    channel = await open_channel(connection, confirms=True)

    async def send(message: Message) -> None:
        await channel.basic_publish(
            message.body, exchange="raw", routing_key="", properties=_properties(message), wait=False, timeout=10
        )

    cost = await measured(len(messages), in_turns(messages, send))
    await connection.close()
    return cost


def _properties(message: Message) -> Basic.Properties:
    return Basic.Properties(
        delivery_mode=2,
        content_type=message.content_type,
        message_id=message.message_id,
        message_type=message.type,
        timestamp=datetime.fromtimestamp(message.timestamp_ms // 1000, UTC),
        headers={**message.headers, MILLISECONDS_HEADER: message.timestamp_ms},
    )


async def library_consume(ingest: IngestSettings, count: int) -> Cost:
    connection = connect(ingest.rabbitmq, "bare")
    await connection.connect()
    channel = await open_channel(connection, confirms=False)
    await channel.basic_qos(prefetch_count=PREFETCH)
    done = asyncio.Event()
    seen = 0

    async def take(delivered: DeliveredMessage) -> None:
        nonlocal seen
        seen += 1
        if seen % (PREFETCH // 2) == 0 or seen == count:
            await channel.basic_ack(delivered.delivery.delivery_tag or 0, multiple=True, wait=False)  # type: ignore[union-attr]
        if seen == count:
            done.set()

    async def drain() -> None:
        await channel.basic_consume("raw", take)
        await done.wait()

    cost = await measured(count, drain())
    await connection.close()
    return cost


def report(step: str, case: Case, cost: Cost, limit: Cost, limit_name: str) -> None:
    """Print it for people and for the runner; payloads are what counts."""
    each = cost.cpu_s / cost.messages
    print(
        f"  {step:18} {each * 1e6:8.1f} µs a message  {each / case.payloads * 1e6:7.2f} µs a payload"
        f"  {cost.messages * case.payloads / cost.wall_s:10,.0f} payloads/s on the clock"
        f"  {limit.cpu_s / cost.cpu_s:5.2f} of {limit_name}"
    )
    per_second, bare = (one.messages * case.payloads / one.cpu_s for one in (cost, limit))
    print(Result("stream", f"{step}, {case.name}", per_second, bare, limit_name).line())


async def embedded(case: Case, megabytes: int) -> None:
    messages = case.messages(megabytes)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = SharedSettings(data_dir=folder)
        report(
            "embedded publish", case, await publish(settings, messages), append(folder, messages), "file + fdatasync"
        )
        report("embedded consume", case, await consume(settings, len(messages)), read_back(folder, messages), "read")


async def together(folder: Path, seconds: float) -> None:
    """How long a publish takes while a consumer works on the same file: 100 groups a second of 200 KB."""
    settings = SharedSettings(data_dir=folder)
    taken: list[float] = []
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", PREFETCH) as subscriber:

        async def drain() -> None:
            while True:
                await subscriber.ack(await subscriber.receive(PREFETCH, 1))

        draining = asyncio.create_task(drain())
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            await publisher.publish("raw", [_message(len(taken), b"x" * 200_000)])
            taken.append(time.perf_counter() - start)
            await asyncio.sleep(0.01)
        draining.cancel()
    taken.sort()
    p50, p99, most = (taken[int(len(taken) * share)] * 1000 for share in (0.5, 0.99, 0.9999))
    print(f"  publish of 200 KB while a consumer works: p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {most:.1f} ms")


async def rabbitmq(case: Case, ingest: IngestSettings, megabytes: int) -> None:
    messages = case.messages(megabytes)
    settings = SharedSettings(ingest=ingest)
    count = len(messages)
    published = await publish(settings, messages)
    consumed = await consume(settings, count)
    report("rabbitmq publish", case, published, await library_publish(ingest, messages), "aiormq alone")
    report("rabbitmq consume", case, consumed, await library_consume(ingest, count), "aiormq alone")


async def run(megabytes: int) -> None:
    print(f"one json.loads of the 1-event body: {unit_s() * 1e6:.2f} µs; {OUTSTANDING} publishes outstanding")
    for case in CASES:
        print(f"embedded, {case.name}")
        await embedded(case, megabytes)
    with tempfile.TemporaryDirectory() as folder:
        await together(Path(folder), 5)
    try:
        with tempfile.TemporaryDirectory() as folder, private_node(Path(folder)) as node:
            for case in CASES:
                print(f"RabbitMQ, {case.name}")
                ingest = IngestSettings(mode="rabbitmq", rabbitmq=node.address.settings("master"))
                await rabbitmq(case, ingest, megabytes)
    except BrokerAbsent as error:
        print(f"not measured on RabbitMQ: {error}")


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
