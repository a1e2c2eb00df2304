"""Trackers under load that keep what was not answered for, and the count of what arrived in the end."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from tests.e2e.pipeline import Pipeline

#: The pause of a tracker between two requests, seconds.
PAUSE_S = 0.01

#: Seconds until all that was sent must be in the warehouse, once nothing is killed any more.
SETTLE_S = 120

#: One event in so many is invalid, and must end as a failed event.
INVALID = 20


@dataclass
class Sent:
    """What the collector has answered for with 200; refused: answers of another kind, after which it was sent again."""

    good: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)
    refused: int = 0


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
        self._sent.refused += answer.status != 200
        return answer.status == 200

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


@contextmanager
def trackers(port: int, seed: int, count: int) -> Iterator[Sent]:
    """So many trackers send until the block ends; then what they were answered for is complete."""
    sent, ending = Sent(), threading.Event()
    threads = [Tracker(port, seed + number, sent, ending) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        ending.set()
        for thread in threads:
            thread.join()


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
