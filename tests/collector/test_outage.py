"""The collector as a process on RabbitMQ that comes, blocks and goes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.settings import IngestSettings, RabbitmqSettings, SharedSettings
from shared.stream import open_subscriber
from tests.broker import VHOSTS, Node
from tests.collector.processes import get, marks, process, spooled, track, until
from tests.ports import free_port


def rabbitmq_variables(node: Node) -> dict[str, str]:
    return {
        "EVNT_INGEST__MODE": "rabbitmq",
        "EVNT_INGEST__RABBITMQ__HOST": "127.0.0.1",
        "EVNT_INGEST__RABBITMQ__PORT": str(node.port),
        "EVNT_INGEST__RABBITMQ__VIRTUALHOST": VHOSTS[0],
        "EVNT_INGEST__RABBITMQ__RETRY_DELAY_MS": "300",
        "EVNT_COLLECTOR__RAW__PUBLISH_TIMEOUT_MS": "1000",
    }


async def broker_marks(node: Node, tmp_path: Path) -> list[str]:
    ingest = IngestSettings(mode="rabbitmq", rabbitmq=node_settings(node))
    async with open_subscriber(SharedSettings(data_dir=tmp_path, ingest=ingest), "raw", 1_000) as subscriber:
        return await marks(subscriber, 2)


def arrive(node: Node, tmp_path: Path, wanted: set[str]) -> None:
    """Until all of these are in the queue of the broker, or have been."""
    found: set[str] = set()
    for _ in range(10):
        found |= set(asyncio.run(broker_marks(node, tmp_path)))
        if wanted <= found:
            return
    assert wanted <= found


def node_settings(node: Node) -> RabbitmqSettings:
    return node.address.settings(VHOSTS[0])


@pytest.mark.rabbitmq
def test_an_outage_of_the_broker_costs_no_event_and_no_503(node: Node, tmp_path: Path) -> None:
    port = free_port()
    answered: list[str] = []
    refused: list[str] = []
    stop = [False]

    def send(sender: int) -> None:
        number = 0
        while not stop[0]:
            number += 1
            mark = f"{sender}-{number}"
            (answered if track(port, mark) == 200 else refused).append(mark)

    with process(rabbitmq_variables(node), port=port, data_dir=tmp_path) as running, ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, number) for number in range(4)]
        until(lambda: len(answered) > 50)
        node.stop()
        before = len(answered)
        until(lambda: len(answered) > before + 200)
        assert get(port, "/ready") == 200  # it can still keep events
        node.start()
        before = len(answered)
        until(lambda: len(answered) > before + 50)
        stop[0] = True
        for one in sending:
            one.result()
        until(lambda: spooled(tmp_path) == 0, 60)
        running.terminate()
        assert running.wait(30) == 0
    assert not refused
    found = asyncio.run(broker_marks(node, tmp_path))
    assert set(found) == set(answered)


@pytest.mark.rabbitmq
def test_it_starts_and_serves_without_its_broker(node: Node, tmp_path: Path) -> None:
    port = free_port()
    node.stop()
    try:
        with process(rabbitmq_variables(node), port=port, data_dir=tmp_path) as running:
            assert track(port, "early") == 200
            running.terminate()
            assert running.wait(30) == 0
    finally:
        node.start()
    with process(rabbitmq_variables(node), port=port, data_dir=tmp_path) as running:
        assert track(port, "now") == 200
        arrive(node, tmp_path, {"early", "now"})


@pytest.mark.rabbitmq
def test_a_full_spool_is_a_503_until_the_broker_is_back(node: Node, tmp_path: Path) -> None:
    port = free_port()
    variables = rabbitmq_variables(node) | {"EVNT_COLLECTOR__SPOOL__MAX_BYTES": "20000"}
    with process(variables, port=port, data_dir=tmp_path):
        assert track(port, "before") == 200
        node.stop()
        try:
            until(lambda: track(port, "x" * 2_000) == 503)
            assert get(port, "/ready") == 503
            assert get(port, "/health") == 200
        finally:
            node.start()
        until(lambda: track(port, "after") == 200)
        until(lambda: get(port, "/ready") == 200)
        arrive(node, tmp_path, {"before", "after"})
