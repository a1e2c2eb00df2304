"""kill -9 at random, of every process and of the broker, under load: nothing is lost, and nothing doubled.

`EVNT_TEST_CRASH_SECONDS` sets how long each transport is shaken (minutes for a real trial), `EVNT_TEST_SEED` repeats a
run's choices. Run with `-s` to see what was killed, and how many physical duplicates remained below `events_unique`.
"""

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from shared.settings import environment
from tests.broker import BrokerAbsent, Node, private_node, variables
from tests.conftest import absent
from tests.e2e.pipeline import Pipeline

SECONDS = float(environment().get("EVNT_TEST_CRASH_SECONDS", "5"))

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SECONDS * 4 + 300)]

#: What runs, and is killed: two of what competes for a queue.
PROCESSES = ("clickhouse", "collector", "enricher", "enricher.2", "loader", "loader.2")

#: Trackers that send at the same time, and the pause of each between two requests, seconds.
TRACKERS, PAUSE_S = 4, 0.01

#: Seconds until all that was sent must be in the warehouse, once nothing is killed any more.
SETTLE_S = 120

#: One event in so many is invalid, and must end as a failed event.
INVALID = 20


@dataclass
class Sent:
    """What the collector has answered for with 200."""

    good: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)


class Tracker(threading.Thread):
    """Sends events as trackers do: again and again, the same ones, until a 200."""

    def __init__(self, port: int, seed: int, sent: Sent, ending: threading.Event) -> None:
        super().__init__()
        self._port = port
        self._choices = random.Random(seed)
        self._sent = sent
        self._ending = ending
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self._ending.is_set():
            good: set[str] = set()
            invalid: set[str] = set()
            events = []
            for _ in range(self._choices.randint(1, 12)):
                identifier = str(UUID(int=self._choices.getrandbits(128), version=4))
                broken = self._choices.randrange(INVALID) == 0
                (invalid if broken else good).add(identifier)
                events.append(self._event(identifier, broken))
            while not self._posted(events):
                time.sleep(0.05)
            self._sent.good |= good
            self._sent.invalid |= invalid
            time.sleep(PAUSE_S)
        self._hang_up()

    def _event(self, identifier: str, broken: bool) -> dict[str, str]:
        page = {"id": 7 if broken else str(UUID(int=self._choices.getrandbits(128), version=4))}
        entity = {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": page}
        wrapper = {"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": [entity]}
        return {
            "e": "pv",
            "eid": identifier,
            "aid": "crash",
            "p": "web",
            "tv": "test-1.0.0",
            "url": f"https://example.com/{identifier}",
            "co": json.dumps(wrapper),
        }

    def _posted(self, events: list[dict[str, str]]) -> bool:
        body = json.dumps(
            {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": events}
        )
        try:
            self._connection = self._connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", "/com.snowplowanalytics.snowplow/tp2", body, headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._hang_up()
            return False
        return answer.status == 200

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


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
    sent, ending = Sent(), threading.Event()
    trackers = [Tracker(pipeline.collector_port, seed + number, sent, ending) for number in range(TRACKERS)]
    for tracker in trackers:
        tracker.start()
    try:
        shake(pipeline, node, random.Random(seed))
    finally:
        ending.set()
        for tracker in trackers:
            tracker.join()
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


def settle(pipeline: Pipeline, sent: Sent) -> None:
    """Wait until all that was sent has arrived, or for as long as is allowed."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        with suppress(OSError):
            arrived = numbers(pipeline, "events")[1] >= len(sent.good)
            if arrived and numbers(pipeline, "events_failed")[1] >= len(sent.invalid):
                time.sleep(2)  # for what comes a second time
                return
        time.sleep(0.2)


def numbers(pipeline: Pipeline, table: str) -> tuple[int, int]:
    """Rows of a table, and distinct event ids in it."""
    (row,) = pipeline.query(f"SELECT toString(count()) AS n, toString(uniqExact(event_id)) AS ids FROM {table}")
    return int(row["n"]), int(row["ids"])


def tell(what: str) -> None:
    sys.stdout.write(f"crash: {what}\n")
