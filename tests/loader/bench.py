"""All parts of one lane of the loader, against a warehouse that does what a test scripts."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from loader.batch import Batcher
from loader.chunk import Chunk, read
from loader.columns import TableColumns
from loader.loading import EventLoading
from loader.memory import Lookback
from loader.metrics import LoaderMetrics
from loader.outlet import BadRowOutlet
from loader.patience import Patience
from loader.settings import BatchSettings, DedupeSettings, RetrySettings
from loader.store import EventStore
from loader.warehouse.contract import RowsRefused
from loader.worker import Lane
from shared.schema import SchemaKey
from tests.loader.fakes import FakePublisher, FakeSubscriber, FakeWarehouse
from tests.loader.lines import event_id

NOW_MS = 1_795_514_400_000  # 2026-11-24 10:00:00


async def no_documents(_key: SchemaKey) -> Sequence[Mapping[str, Any]]:
    return []


class Bench:
    """All parts of one lane, and what came out of them."""

    def __init__(self, dedupe: DedupeSettings | None = None, retry_ms: int = 1) -> None:
        self.warehouse, self.publisher, self.subscriber = FakeWarehouse(), FakePublisher(), FakeSubscriber()
        self.registry = CollectorRegistry()
        self.metrics = LoaderMetrics(self.registry)
        self.stopping = asyncio.Event()
        self.taken_apart = 0
        self.now_ms = NOW_MS
        settings = RetrySettings(first_delay_ms=retry_ms, longest_delay_ms=retry_ms)
        self.patience = Patience(settings, self.stopping, self.metrics.retries.inc)
        self.columns = TableColumns(self.warehouse, "events", no_documents, 300)
        self.store = EventStore(self.warehouse, "events", self.columns, self.patience, self.metrics, inserts=2)
        outlet = BadRowOutlet(self.publisher, self.patience, self.clock, self.metrics, 10_000)
        lookback = Lookback(dedupe or DedupeSettings())
        parts = (self.subscriber, self.store, outlet, lookback, self.clock, self.metrics)
        self.loading = EventLoading("events", *parts, take_apart=self.take_apart)

    def take_apart(self, body: bytes) -> Chunk:
        self.taken_apart += 1
        if body == b"brings a bug to light":
            raise IndexError("bug")
        return read(body)

    def clock(self) -> int:
        return self.now_ms

    def lane(self, limits: BatchSettings, most: int = 2) -> Lane:
        return Lane(self.subscriber, Batcher(limits, 100), self.loading, most, self.clock, lambda: None)

    def loaded(self) -> list[str]:
        return [row["event_id"] for row in self.warehouse.rows["events"]]

    def bad(self) -> list[dict[str, Any]]:
        return [json.loads(message.body) for _, message in self.publisher.published]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"evnt_loader_{name}", labels) or 0.0


async def eventually(condition: Callable[[], object]) -> None:
    """Poll until it holds; a minute is too long."""
    for _ in range(30_000):
        if condition():
            return
        await asyncio.sleep(0.002)
    pytest.fail("it never happened")


def ids(*numbers: int) -> list[str]:
    return [event_id(number) for number in numbers]


def refuse_app(*apps: str) -> Any:
    def refuse(rows: list[Mapping[str, str]]) -> None:
        if guilty := [row["app_id"] for row in rows if row["app_id"] in apps]:
            raise RowsRefused(f"can't store {guilty[0]}")

    return refuse
