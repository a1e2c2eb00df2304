"""The broker is away for half a minute under load: trackers notice nothing, and every event arrives once.

`EVNT_TEST_OUTAGE_SECONDS` sets how long it is away.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import environment
from tests.broker import BrokerAbsent, Node, private_node, variables
from tests.conftest import absent
from tests.e2e.load import numbers, settle, trackers
from tests.e2e.pipeline import Pipeline

SECONDS = float(environment().get("EVNT_TEST_OUTAGE_SECONDS", "30"))

pytestmark = [pytest.mark.e2e, pytest.mark.rabbitmq, pytest.mark.timeout(SECONDS + 300)]


@pytest.fixture
def broker_below(tmp_path: Path) -> Iterator[tuple[Pipeline, Node]]:
    (tmp_path / "node").mkdir()
    try:
        with private_node(tmp_path / "node") as node:
            compressed = {"EVNT_COLLECTOR__RAW__COMPRESSION": "zstd"}  # what waits in the spool, too
            pipeline = Pipeline(tmp_path, {**variables(node.address.settings("master")), **compressed})
            try:
                pipeline.start()
                yield pipeline, node
            finally:
                pipeline.stop()
    except BrokerAbsent as error:
        absent(str(error))


def test_half_a_minute_without_a_broker(broker_below: tuple[Pipeline, Node]) -> None:
    pipeline, node = broker_below
    with trackers(pipeline.collector_port, random.randrange(10**9), count=2) as sent:
        time.sleep(2)
        node.stop()
        before = len(sent.good)
        time.sleep(SECONDS)
        assert len(sent.good) > before + 100, "the collector kept answering while the broker was away"
        node.start()
        time.sleep(2)
    settle(pipeline, sent)
    assert sent.refused == 0
    assert numbers(pipeline, "events_unique") == (len(sent.good), len(sent.good))
    assert numbers(pipeline, "events_failed")[1] == len(sent.invalid)
