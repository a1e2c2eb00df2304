"""What is done with a batch of each queue before it may be acked."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from loader import badrows, dedupe
from loader.chunk import Chunk, read
from loader.memory import Lookback
from loader.metrics import LoaderMetrics
from loader.outlet import BadRow, BadRowOutlet
from loader.patience import Patience
from loader.store import EventStore
from loader.warehouse.contract import RowsRefused, TableName, Warehouse
from shared.identity import Clock
from shared.process import Misconfigured
from shared.stream.contract import Delivery, Subscriber
from shared.stream.topology import REPLAY_HEADER
from shared.telemetry import logger

#: Characters of a reason that goes with a buried message.
LONGEST_REASON = 1_000


class Loading(Protocol):
    """Brings a batch to where it is safe."""

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """The deliveries, once they may be acked. Raises GivenUp or Misconfigured: then none may."""


class EventLoading:
    """Chunks of enriched lines into a table of events."""

    def __init__(
        self,
        table: TableName,
        subscriber: Subscriber,
        store: EventStore,
        outlet: BadRowOutlet,
        lookback: Lookback,
        clock: Clock,
        metrics: LoaderMetrics,
        take_apart: Callable[[bytes], Chunk] = read,
    ) -> None:
        self._log = logger("loader")
        self._table = table
        self._subscriber = subscriber
        self._take_apart = take_apart
        self._store = store
        self._outlet = outlet
        self._lookback = lookback
        self._clock = clock
        self._metrics = metrics
        self._under_way: dict[str, asyncio.Event] = {}

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        distinct = once(deliveries)
        done = asyncio.Event()
        await self._wait_for_earlier(distinct)
        self._under_way |= {delivery.message.message_id: done for delivery in distinct}
        try:
            poison = await self._load(distinct)
        finally:
            done.set()
            for message_id in [key for key, event in self._under_way.items() if event is done]:
                del self._under_way[message_id]
        return [delivery for delivery in deliveries if delivery not in poison]

    async def _wait_for_earlier(self, deliveries: Sequence[Delivery]) -> None:
        """A chunk may come again, its connection having broken, while its first insert is still under way here."""
        for delivery in deliveries:
            earlier = self._under_way.get(delivery.message.message_id)
            if delivery.redelivered and earlier:
                await earlier.wait()

    async def _load(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Load what can be read; gives what was buried."""
        chunks: list[Chunk] = []
        bad: list[BadRow] = []
        poison: list[Delivery] = []
        question = dedupe.Question()
        for delivery in deliveries:
            chunk = await self._read(delivery)
            if chunk is None:
                poison.append(delivery)
                continue
            chunks.append(chunk)
            bad += _bad_lines(delivery, chunk)
            if delivery.redelivered:
                question.ask(chunk)
            self._lookback.ask(chunk, question)
            await asyncio.sleep(0)
        bad += [BadRow(body, "") for body in await self._store.put(await self._fresh(chunks, question))]
        await self._outlet.put(bad)
        self._note(chunks)
        return poison

    async def _read(self, delivery: Delivery) -> Chunk | None:
        """A chunk that brings a bug to light must not bring down the loader, and with it all its neighbours, again
        and again: it goes where operators look for poison."""
        try:
            chunk = self._take_apart(delivery.message.body)
            chunk.replay = str(delivery.message.headers.get(REPLAY_HEADER, ""))
            return chunk
        except Exception as bug:  # noqa: BLE001 - whatever it is, it is this chunk's
            self._log.exception("chunk.buried", table=self._table, message_id=delivery.message.message_id)
            await self._subscriber.bury([delivery], repr(bug)[:LONGEST_REASON])
            return None

    async def _fresh(self, chunks: Sequence[Chunk], question: dedupe.Question) -> list[Chunk]:
        """The chunks without the rows that the table holds already."""
        stored = await self._store.stored(question)
        fresh = [dedupe.without(chunk, stored) for chunk in chunks]
        copies = sum(map(len, chunks)) - sum(map(len, fresh))
        self._metrics.duplicates.labels("stored").inc(copies)
        self._metrics.duplicates.labels("synthetic").inc(sum(dedupe.clashes(chunk, stored) for chunk in fresh))
        return fresh

    def _note(self, chunks: Sequence[Chunk]) -> None:
        now = self._clock()
        self._lookback.remember(chunks, now)
        for chunk in chunks:
            if len(chunk):
                self._metrics.end_to_end.labels(self._table).observe(
                    max(0.0, now / 1000 - seconds(min(chunk.collected)))
                )


def _bad_lines(delivery: Delivery, chunk: Chunk) -> list[BadRow]:
    message_id = delivery.message.message_id
    return [BadRow(badrows.parsing_error(*line), f"{message_id}/{number}") for number, line in enumerate(chunk.bad)]


class BadRowLoading:
    """Bad rows into their table."""

    def __init__(
        self, warehouse: Warehouse, subscriber: Subscriber, patience: Patience, metrics: LoaderMetrics
    ) -> None:
        self._warehouse = warehouse
        self._subscriber = subscriber
        self._patience = patience
        self._metrics = metrics
        self._log = logger("loader")

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Those that can't be stored are buried, and not among what may be acked."""
        rows = b"".join(badrows.table_row(delivery.message) for delivery in deliveries)
        try:
            await self._store(rows, len(deliveries))
        except RowsRefused as refused:
            return await self._divide(deliveries, refused)
        self._metrics.inserts.labels("bad_rows").inc()
        self._metrics.batch_rows.labels("bad_rows").observe(len(deliveries))
        self._metrics.rows.labels("bad_rows").inc(len(deliveries))
        return deliveries

    async def _store(self, rows: bytes, count: int) -> None:
        """Insert all rows. When ClickHouse counts fewer, and no error, they are sent once more under another name,
        since the table merges rows of the same id. Raises RowsRefused or Misconfigured."""
        for token in (dedupe.body_token(rows), dedupe.body_token(rows + b"again")):
            written = await self._insert(badrows.header() + rows, token)
            if written >= count:
                return
            self._metrics.missing.labels("bad_rows").inc(count - written)
            self._log.warning("insert.short", table="bad_rows", sent=count, written=written)
        raise Misconfigured(f"table bad_rows took an insert of {count} rows without an error and stored {written}")

    async def _insert(self, body: bytes, token: str) -> int:
        return await self._patience(lambda: self._warehouse.insert("bad_rows", body, token))

    async def _divide(self, deliveries: Sequence[Delivery], refused: RowsRefused) -> Sequence[Delivery]:
        """A bad row that can't be stored must not make another: it goes where operators look for poison."""
        self._metrics.refused.labels("bad_rows").inc()
        if len(deliveries) == 1:
            self._log.error("bad_row.buried", message_id=deliveries[0].message.message_id, reason=refused.reason)
            await self._subscriber.bury(deliveries, refused.reason[:LONGEST_REASON])
            return []
        half = len(deliveries) // 2
        return [*await self(deliveries[:half]), *await self(deliveries[half:])]


def once(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Without chunks that came a second time while the first copy was still waiting in the batch."""
    first: dict[str, Delivery] = {}
    for delivery in deliveries:
        first.setdefault(delivery.message.message_id, delivery)
    return [
        delivery
        for delivery in deliveries
        if not delivery.redelivered
        or first[delivery.message.message_id] is delivery
        or first[delivery.message.message_id].message.body != delivery.message.body
    ]


def seconds(timestamp: bytes) -> float:
    """Unix seconds of `yyyy-MM-dd HH:mm:ss.SSS`."""
    return datetime.fromisoformat(timestamp.decode()).replace(tzinfo=UTC).timestamp()
