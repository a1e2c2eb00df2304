"""The warehouse port: what the loader asks of the store of events, and no more.

Errors are named by the caller's duty:

WarehouseError
├── Unavailable     keep the batch, back off, send the same bytes with the same token again
│   └── OutOfMemory where that does not end, it may be this very insert: send less at once
├── ColumnMissing   the body names a column that the table lacks: ask for `columns`, add it, send again
└── RowsRefused     some row of this insert can't be stored: send halves until the guilty one stands alone
    └── HintRefused the type hint of one schema column is at fault: `drop_hint`, then send the same bytes again

shared.process.Misconfigured is the third duty (credentials, rights, missing table, full disk quota): stop, loudly.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

#: The loader's tables by their duty; what they are called in the database is a setting.
TableName = Literal["events", "events_failed", "bad_rows"]


class WarehouseError(Exception):
    """The warehouse did not do what it was asked."""


class Unavailable(WarehouseError):
    """The warehouse can't be reached, or can't take anything now: hold what you have, back off, try again."""


class OutOfMemory(Unavailable):
    """The warehouse has no memory for this insert: because others use it up, or because of what is in it."""


class ColumnMissing(WarehouseError):
    """The body of an insert names a column that the table lacks (any more): what is known of its columns is old."""


class RowsRefused(WarehouseError):
    """At least one row of the insert can't be stored, and none was.

    reason: the warehouse's own message. row: index of the row that it names, as far as it does; a hint, no proof.
    """

    def __init__(self, reason: str, row: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row = row


class HintRefused(RowsRefused):
    """A value contradicts the type hint of a schema column.

    column: the schema column, `contexts_com_acme_cart_1`. path: the hinted path inside it, `price`.
    """

    def __init__(self, reason: str, column: str, path: str) -> None:
        super().__init__(reason)
        self.column = column
        self.path = path


class Column(NamedTuple):
    """A column of a table and its type, as the warehouse writes types."""

    name: str
    type: str


class StoredEvent(NamedTuple):
    """What tells one stored event from another: a clash of ids has another fingerprint.

    enriched: etl_tstamp, as the lines have it; an event that was enriched again has another.
    """

    event_id: str
    fingerprint: str
    enriched: str


class Warehouse(Protocol):
    """One instance serves all tasks of a process, any number of calls at once. Every call may raise Unavailable
    or shared.process.Misconfigured, except where it says otherwise."""

    async def prepare(self) -> None:
        """Return once the warehouse answers and its tables exist, created or migrated where the settings allow
        it. Waits through an outage, for at most the configured start-up time, then raises Unavailable."""

    async def columns(self, table: TableName) -> Mapping[str, str]:
        """Name → type of every column that exists now."""

    async def add_columns(self, table: TableName, columns: Sequence[Column]) -> None:
        """Add those that are missing, any number; another loader may add the same at the same time."""

    async def insert(self, table: TableName, body: bytes, token: str) -> int:
        """Store rows, all or none, and return how many the warehouse says it wrote.

        body: TSVWithNames: the first line names the columns. token: names this very list of rows; the same token
        again stores nothing (and counts as written). Raises ColumnMissing, RowsRefused or HintRefused.
        """

    async def drop_hint(self, table: TableName, column: str, path: str) -> None:
        """Let `path` of a schema column take any type from now on. Values that are stored stay readable."""

    async def stored(
        self, table: TableName, event_ids: Iterable[str], oldest: str, newest: str
    ) -> frozenset[StoredEvent]:
        """Which of these events are in `events` or `events_failed`, looking only at collector times from `oldest` to
        `newest` (`yyyy-MM-dd HH:mm:ss.SSS`, both included)."""

    async def close(self) -> None:
        """Let go of connections. Never raises."""
