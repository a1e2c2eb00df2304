"""The loader: streams in, ClickHouse tables out. Composition root: everything is made here and handed down."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from loader.batch import Batcher
from loader.columns import Documents, TableColumns
from loader.documents import open_documents
from loader.liveness import Liveness, touch
from loader.loading import BadRowLoading, EventLoading, Loading
from loader.memory import Lookback
from loader.metrics import LoaderMetrics
from loader.outlet import BadRowOutlet
from loader.patience import GivenUp, Patience
from loader.settings import LoaderSection, LoaderSettings
from loader.store import EventStore
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import TableName, Warehouse
from loader.worker import Lane
from shared.compiled import compiled
from shared.identity import now_ms
from shared.process import Misconfigured, admin, run
from shared.settings import load, process_number
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Publisher, QueueName, Subscriber
from shared.telemetry import configure, logger

#: Batches that are made ready while others are inserted; bad rows need next to no preparation.
AHEAD: dict[TableName, int] = {"events": 1, "events_failed": 1, "bad_rows": 0}

T = TypeVar("T")

#: Which queue feeds which table.
QUEUES: dict[TableName, QueueName] = {"events": "enriched", "events_failed": "failed", "bad_rows": "bad-rows.load"}


async def main(stopping: asyncio.Event) -> None:
    """One loader process, with the settings of the machine."""
    settings = load(LoaderSettings)
    configure(settings.logging, "loader")
    await serve(settings, stopping)


async def serve(settings: LoaderSettings, stopping: asyncio.Event) -> None:
    """Load until told to stop. Raises SettingsError or Misconfigured."""
    registry = CollectorRegistry()
    metrics = LoaderMetrics(registry)
    liveness = Liveness(time.monotonic)
    patience = Patience(settings.loader.retry, stopping, metrics.retries.inc)
    ready: dict[str, Callable[[], str | None]] = {
        "start": lambda: "ClickHouse and the broker have not answered yet",
        "outage": lambda: patience.trouble,
    }
    log = logger("loader")
    async with AsyncExitStack() as stack:
        alive = {"lanes": liveness.trouble}
        await stack.enter_async_context(admin("loader", settings.loader.admin, registry, ready=ready, alive=alive))
        with suppress(GivenUp):
            start = _lanes(stack, settings, patience, metrics, liveness)
            publisher, lanes = await until_stopped(start, stopping)
            ready["stream"] = lambda: None if publisher.ready else "the transport takes nothing"
            del ready["start"]
            log.info("loader.started", mode=settings.ingest.mode, compiled=len(compiled()))
            await run_lanes(settings, lanes, liveness, stopping)
    log.info("loader.stopped")


async def _lanes(
    stack: AsyncExitStack, settings: LoaderSettings, patience: Patience, metrics: LoaderMetrics, liveness: Liveness
) -> tuple[Publisher, Mapping[TableName, Lane]]:
    """Reach everything, for as long as it takes, and make a lane for each table."""
    documents = open_documents(settings.loader.iglu, time.time)
    stack.push_async_callback(documents.close)
    warehouse = ClickHouse(settings.clickhouse)
    stack.push_async_callback(warehouse.close)
    await patience(warehouse.prepare)
    publisher = await stack.enter_async_context(open_publisher(settings))
    outlet = BadRowOutlet(publisher, patience, now_ms, metrics, settings.ingest.limits.message_max_bytes)
    lanes = Lanes(settings.loader, warehouse, outlet, documents, patience, metrics, liveness)
    for table, queue in QUEUES.items():
        lanes.add(table, await stack.enter_async_context(open_subscriber(settings, queue, settings.loader.prefetch)))
    return publisher, lanes.made


async def until_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Event) -> T:
    """What the work results in. Raises GivenUp, having cancelled it, when the process is to stop before that."""
    task, stop = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise GivenUp
        return task.result()
    finally:
        for one in (task, stop):
            one.cancel()
        await asyncio.wait({task, stop})


class Lanes:
    """Makes the lane of each table out of parts that all share."""

    def __init__(
        self,
        settings: LoaderSection,
        warehouse: Warehouse,
        outlet: BadRowOutlet,
        documents: Documents,
        patience: Patience,
        metrics: LoaderMetrics,
        liveness: Liveness,
    ) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._outlet = outlet
        self._documents = documents
        self._patience = patience
        self._metrics = metrics
        self._liveness = liveness
        self.made: dict[TableName, Lane] = {}

    def add(self, table: TableName, subscriber: Subscriber) -> None:
        settings = self._settings
        under_way = settings.inserts_in_flight + AHEAD[table]
        batcher = Batcher(settings.batch, max(1, settings.prefetch // (under_way + 1)))
        beat = partial(self._liveness.beat, table)
        loading = self._loading(table, subscriber)
        lane = Lane(subscriber, batcher, loading, under_way, now_ms, beat)
        self._metrics.lag.labels(table).set_function(lane.lag_s)
        self.made[table] = lane

    def _loading(self, table: TableName, subscriber: Subscriber) -> Loading:
        if table == "bad_rows":
            return BadRowLoading(self._warehouse, subscriber, self._patience, self._metrics)
        settings = self._settings
        columns = TableColumns(self._warehouse, table, self._documents, settings.max_schema_columns)
        parts = (self._patience, self._metrics, settings.inserts_in_flight)
        store = EventStore(self._warehouse, table, columns, *parts)
        lookback = Lookback(settings.dedupe)
        return EventLoading(table, subscriber, store, self._outlet, lookback, now_ms, self._metrics)


async def run_lanes(
    settings: LoaderSettings, lanes: Mapping[TableName, Lane], liveness: Liveness, stopping: asyncio.Event
) -> None:
    """Run all lanes; when one fails, the others stop as well. Raises what it failed with."""
    keeping = asyncio.create_task(liveness.keep(liveness_file(settings)))
    try:
        async with asyncio.TaskGroup() as tasks:
            for lane in lanes.values():
                tasks.create_task(lane.run(stopping))
    except ExceptionGroup as group:
        if stop := group.subgroup(Misconfigured):
            raise first(stop) from group
        raise
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


def liveness_file(settings: LoaderSettings) -> Path:
    """Where it can be touched. Raises Misconfigured for a named one that can't; without the default a loader does."""
    named = settings.loader.liveness_file
    file = named or settings.data_dir / f"loader-{process_number()}.alive"
    try:
        touch(file)
    except OSError as error:
        if named:
            raise Misconfigured(f"loader.liveness_file: {file} can't be written: {error.strerror}") from error
        logger("loader").warning("liveness.unwritable", file=str(file), reason=error.strerror)
    return file


def first(group: BaseException) -> BaseException:
    """The first exception inside nested groups."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


if __name__ == "__main__":
    run(main)
