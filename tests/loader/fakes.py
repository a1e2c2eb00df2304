"""A stream and a warehouse in memory that do what a test scripts; every call is written down."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loader.warehouse.contract import Column, StoredEvent, TableName
from shared.stream.contract import Delivery, Message, StreamName
from tests.loader.lines import table

#: Looks at an insert and raises what the warehouse should answer, or lets it pass.
Refuse = Callable[[list[Mapping[str, str]]], None]


def accept(_rows: list[Mapping[str, str]]) -> None:
    """The warehouse takes everything."""


@dataclass
class FakeWarehouse:
    """Implements Warehouse. outages: raised, one a call of `insert`, before anything else happens. short_by: rows that
    the next insert leaves out, keeps_short: those that every later one does."""

    refuse: Refuse = accept
    outages: deque[Exception] = field(default_factory=deque)
    existing: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[Mapping[str, str]]] = field(default_factory=lambda: {"events": [], "bad_rows": []})
    inserts: list[tuple[str, int, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    asked: list[frozenset[str]] = field(default_factory=list)
    added: list[Sequence[Column]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    short_by: int = 0
    keeps_short: int = 0
    hold: asyncio.Event | None = None
    held: int = 0

    async def prepare(self) -> None:
        return

    async def columns(self, table: TableName) -> Mapping[str, str]:
        return self.existing

    async def add_columns(self, table: TableName, columns: Sequence[Column]) -> None:
        self.added.append(columns)
        self.existing = {**self.existing, **dict(columns)}

    async def insert(self, table_name: TableName, body: bytes, token: str) -> int:
        if self.hold:
            self.held += 1
            await self.hold.wait()
        if self.outages:
            raise self.outages.popleft()
        rows = table(body)
        self.inserts.append((table_name, len(rows), token))
        self.refuse(rows)
        if token not in self.tokens:
            self.tokens.add(token)
            kept = rows[: len(rows) - self.short_by]
            self.short_by = self.keeps_short
            self.rows.setdefault(table_name, []).extend(kept)
            return len(kept)
        return len(rows)

    async def drop_hint(self, table: TableName, column: str, path: str) -> None:
        self.dropped.append((column, path))

    async def stored(
        self, table: TableName, event_ids: Iterable[str], oldest: str, newest: str
    ) -> frozenset[StoredEvent]:
        wanted = frozenset(event_ids)
        self.asked.append(wanted)
        return frozenset(
            StoredEvent(row["event_id"], row["event_fingerprint"], row.get("etl_tstamp", ""))
            for row in self.rows.get(table, [])
            if row["event_id"] in wanted and oldest <= row["collector_tstamp"] <= newest
        )

    async def close(self) -> None:
        return


@dataclass
class FakePublisher:
    """Implements Publisher. outages: raised, one a call."""

    outages: deque[Exception] = field(default_factory=deque)
    published: list[tuple[StreamName, Message]] = field(default_factory=list)
    ready: bool = True

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        if self.outages:
            raise self.outages.popleft()
        self.published += [(stream, message) for message in messages]

    async def close(self) -> None:
        return


@dataclass
class FakeSubscriber:
    """Implements Subscriber: gives what is waiting, remembers what became of it."""

    waiting: deque[Delivery] = field(default_factory=deque)
    acked: list[Delivery] = field(default_factory=list)
    buried: list[tuple[Delivery, str]] = field(default_factory=list)
    received: int = 0

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        if not self.waiting:
            await asyncio.sleep(min(wait_s, 0.002))
        taken = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        self.received += len(taken)
        return taken

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self.acked += deliveries

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        self.waiting.extend(deliveries)

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        self.buried += [(delivery, reason) for delivery in deliveries]

    async def close(self) -> None:
        return
