"""What the stream port promises when the broker stops, dies or takes nothing."""

import asyncio

import pytest

from shared.settings import SharedSettings
from shared.stream import open_log, open_publisher, open_subscriber
from shared.stream.contract import StreamUnavailable
from tests.broker import Node
from tests.conftest import clear
from tests.shared.messages import PATIENCE_S, eventually, holds, ids, insist, quick, some, take

#: The private node exists once, in one worker of pytest-xdist.
pytestmark = [pytest.mark.rabbitmq, pytest.mark.xdist_group("rabbitmq-node")]

#: RabbitMQ writes the register of its queues with a delay: killed earlier, it does not find a new queue again.
SETTLED_S = 2


@pytest.fixture
def failing(node: Node) -> SharedSettings:
    """Settings for the private node."""
    settings = quick(node.address.settings("master"))
    asyncio.run(clear(settings.ingest.rabbitmq))
    return settings


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_broker_that_restarts_in_mid_traffic_loses_nothing(
    node: Node, failing: SharedSettings, end: str
) -> None:
    sent, arrived = 0, set[str]()
    back, done = asyncio.Event(), asyncio.Event()

    async def consume() -> None:
        async with open_subscriber(failing, "raw", 200) as subscriber:
            while not done.is_set() or len(arrived) < sent:
                deliveries = await subscriber.receive(200, 1)
                arrived.update(ids(deliveries))
                await subscriber.ack(deliveries)

    async def produce() -> None:
        nonlocal sent
        async with open_publisher(failing) as publisher:
            while not back.is_set():
                await asyncio.gather(*(insist(publisher, sent + part, 20) for part in range(0, 100, 20)))
                sent += 100
                await asyncio.sleep(0.1)
        done.set()

    async def interrupt() -> None:
        await eventually(lambda: holds(bool(arrived)))
        await asyncio.sleep(SETTLED_S)
        await asyncio.to_thread(getattr(node, end))
        await asyncio.to_thread(node.start)
        back.set()

    async with asyncio.timeout(100):
        await asyncio.gather(produce(), consume(), interrupt())
    assert arrived == {f"id-{n}" for n in range(sent)}


async def test_processes_start_without_a_broker_and_work_when_it_comes(node: Node, failing: SharedSettings) -> None:
    node.stop()
    settings = quick(failing.ingest.rabbitmq, startup_timeout_seconds=1)
    try:
        async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
            assert not publisher.ready
            with pytest.raises(StreamUnavailable):
                await publisher.publish("raw", some(1))
            assert await subscriber.receive(10, 0.1) == []
            with pytest.raises(StreamUnavailable):
                async with open_log(settings, "bad-rows") as log:
                    await log.read(None, 10)
            await asyncio.to_thread(node.start)
            await insist(publisher, 0, 5)
            assert ids(await take(subscriber, 5)) == [f"id-{n}" for n in range(5)]
    finally:
        if not node.pids():
            node.start()


async def test_a_broker_that_blocks_publishers_gets_nothing_and_then_everything(
    node: Node, failing: SharedSettings
) -> None:
    publishing: list[asyncio.Task[None]] = []

    async def blocked() -> bool:
        """The broker tells only who publishes; what it takes of that, and when, is its own affair."""
        publishing.append(asyncio.create_task(publisher.publish("raw", some(1, 1000 + len(publishing)))))
        await asyncio.sleep(0.1)
        return not publisher.ready

    async with open_publisher(failing) as publisher, open_subscriber(failing, "raw", 1000) as subscriber:
        await publisher.publish("raw", some(1))
        node.block_publishers()
        try:
            await eventually(blocked)
            with pytest.raises(StreamUnavailable):
                await publisher.publish("raw", some(1, 2))
            assert ids(await take(subscriber, 1)) == ["id-0"]  # consuming goes on
        finally:
            node.unblock_publishers()
        await eventually(lambda: holds(publisher.ready))
        outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        await insist(publisher, 3, 1)
        owned = {f"id-{1000 + number}" for number, outcome in enumerate(outcomes) if outcome is None} | {"id-3"}
        arrived: set[str] = set()
        async with asyncio.timeout(PATIENCE_S):
            while not owned <= arrived:
                arrived.update(ids(await subscriber.receive(1000, 1)))
        assert "id-2" not in arrived
