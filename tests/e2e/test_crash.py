"""kill -9 at random, of every process and of the broker, under load: nothing is lost, and nothing doubled.

`EVNT_TEST_CRASH_SECONDS` sets how long each transport is shaken (minutes for a real trial), `EVNT_TEST_SEED` repeats a
run's choices. Run with `-s` to see what was killed, and how many physical duplicates remained below `events_unique`.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import environment
from tests.broker import BrokerAbsent, Node, private_node, variables
from tests.conftest import absent
from tests.e2e.load import numbers, settle, trackers
from tests.e2e.pipeline import Pipeline

SECONDS = float(environment().get("EVNT_TEST_CRASH_SECONDS", "5"))

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SECONDS * 4 + 300)]

#: What runs, and is killed: two of what competes for a queue.
PROCESSES = ("clickhouse", "collector", "enricher", "enricher.2", "loader", "loader.2")

#: Trackers that send at the same time.
TRACKERS = 4


@pytest.fixture
def seed() -> int:
    return int(environment().get("EVNT_TEST_SEED") or random.randrange(10**9))


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def shaken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Pipeline, Node | None]]:
    """A running pipeline, and the broker below it, all to be killed at will."""
    if request.param == "embedded":
        yield from _running(tmp_path, None)
        return
    (tmp_path / "node").mkdir()
    try:
        with private_node(tmp_path / "node") as node:
            yield from _running(tmp_path, node)
    except BrokerAbsent as error:
        absent(str(error))


def _running(folder: Path, node: Node | None) -> Iterator[tuple[Pipeline, Node | None]]:
    options = {"EVNT_INGEST__RABBITMQ__RETRY_DELAY_MS": "500", "EVNT_LOADER__RETRY__LONGEST_DELAY_MS": "500"}
    pipeline = Pipeline(folder, {**options, **(variables(node.address.settings("master")) if node else {})})
    try:
        pipeline.start(*PROCESSES)
        yield pipeline, node
    finally:
        pipeline.stop()


def test_nothing_is_lost_and_nothing_doubled(shaken: tuple[Pipeline, Node | None], seed: int) -> None:
    pipeline, node = shaken
    tell(f"seed {seed}")
    with trackers(pipeline.collector_port, seed, TRACKERS) as sent:
        shake(pipeline, node, random.Random(seed))
    settle(pipeline, sent)
    rows, distinct = numbers(pipeline, "events")
    tell(f"sent {len(sent.good):,}; {rows - distinct} physical duplicates; {len(sent.invalid)} failed events")
    assert distinct == len(sent.good), f"seed {seed}"
    assert numbers(pipeline, "events_unique") == (len(sent.good), len(sent.good)), f"seed {seed}"
    assert numbers(pipeline, "events_failed")[1] == len(sent.invalid), f"seed {seed}"


def shake(pipeline: Pipeline, node: Node | None, choices: random.Random) -> None:
    """Kill some of the processes, start them again, and let them work a little, again and again."""
    names = [*PROCESSES, *(["broker"] if node else [])]
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(choices.uniform(0.2, 1.5))
        victims = choices.sample(names, choices.choice([1, 1, 1, 2, 3]))
        tell(f"kill -9 {', '.join(victims)}")
        for victim in victims:
            if victim == "broker" and node:
                node.kill()
            else:
                pipeline.kill(victim)
        time.sleep(choices.uniform(0, 0.7))
        if "broker" in victims and node:
            node.start()
        if processes := [name for name in PROCESSES if name in victims]:
            pipeline.start(*processes)


def tell(what: str) -> None:
    sys.stdout.write(f"crash: {what}\n")
