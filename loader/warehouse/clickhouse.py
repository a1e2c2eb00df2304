"""The warehouse on ClickHouse's HTTP interface, through aiochclient on aiohttp; the embedded server included."""

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from ssl import SSLContext, create_default_context
from types import SimpleNamespace
from typing import Any, TypeVar

from aiochclient import ChClient, ChClientError
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, TraceConfig, TraceRequestEndParams
from yarl import URL

from loader.warehouse import ddl, failures
from loader.warehouse.columns import hints_of, without_hint
from loader.warehouse.contract import Column, StoredEvent, TableName, Unavailable
from loader.warehouse.ddl import literal
from loader.warehouse.migration import Change, Table, changes
from loader.warehouse.settings import ClickhouseSettings, ConnectionSettings
from shared.process import Misconfigured

#: Without these the JSON type rewrites texts that look like dates and keys with dots, empty cells are no NULL, and
#: columns that a table lacks are skipped in silence. One insert is one block, hence all or nothing in a partition.
INSERT_SETTINGS: Mapping[str, int | str] = {
    "input_format_try_infer_dates": 0,
    "input_format_try_infer_datetimes": 0,
    "input_format_json_try_infer_numbers_from_strings": 0,
    "input_format_json_read_bools_as_numbers": 0,
    "input_format_json_read_bools_as_strings": 0,
    "input_format_json_read_numbers_as_strings": 0,
    "input_format_json_read_arrays_as_strings": 0,
    "input_format_json_read_objects_as_strings": 0,
    "json_type_escape_dots_in_keys": 1,
    "type_json_skip_duplicated_paths": 1,
    "date_time_input_format": "best_effort",
    "input_format_tsv_empty_as_default": 1,
    "input_format_skip_unknown_fields": 0,
    "input_format_parallel_parsing": 0,
    "max_partitions_per_insert_block": 0,
    "insert_deduplicate": 1,
}

#: Event ids in one look-up; a statement must stay below the server's 256 KB.
_MOST_IDS = 2000

#: How often a statement is tried that another loader's same statement got in the way of.
_ATTEMPTS = 5

#: Headers of the answer to the request that the current task has made last.
_answered: ContextVar[dict[str, str] | None] = ContextVar("answered", default=None)

T = TypeVar("T")


class ClickHouse:
    """Made inside a running event loop; close it."""

    def __init__(self, settings: ClickhouseSettings) -> None:
        self._settings = settings
        self._configuration = settings.configuration
        connection = settings.connection
        self._session = ClientSession(
            connector=TCPConnector(limit=connection.max_connections, ssl=_trust(connection)),
            timeout=ClientTimeout(total=connection.request_timeout_seconds, sock_connect=connection.connect_timeout),
            trace_configs=[_keep_headers()],
        )
        self._client = self._connect({})
        self._insert_settings = _insert_settings(settings)

    async def prepare(self) -> None:
        await self._wait()
        needed = [change for change in await self.changes() if change.who == "loader"]
        if needed and not self._configuration.migrate_at_start:
            raise Misconfigured(f"the warehouse is not ready, run `evnt db migrate`: {needed[0].what}")
        await self.apply(needed)

    async def columns(self, table: TableName) -> Mapping[str, str]:
        place = ddl.place(self._configuration, table)
        rows = await self._rows(
            "SELECT name, type FROM system.columns "
            f"WHERE database = {literal(place.database)} AND table = {literal(place.local)} ORDER BY position"
        )
        return dict(rows)

    async def add_columns(self, table: TableName, columns: Sequence[Column]) -> None:
        await self.execute(ddl.add_columns(self._configuration, table, columns))
        await self._renew_views(table)

    async def insert(self, table: TableName, body: bytes, token: str) -> int:
        statement = f"INSERT INTO {ddl.place(self._configuration, table).target} FORMAT TSVWithNames"
        # beside the statement, not in it: a server merges asynchronous inserts of the same statement only
        client = self._connect({**self._insert_settings, "insert_deduplication_token": token})
        data = body
        if self._settings.connection.compression == "gzip":
            data = await asyncio.to_thread(gzip.compress, body, 1)
            client.headers["Content-Encoding"] = "gzip"
        headers: dict[str, str] = {}
        _answered.set(headers)
        try:
            await _reached(client.insert_file(statement, data))
        except ChClientError as error:
            raise failures.of_insert(str(error)) from error
        if self._settings.insert.mode == "async":
            return body.count(b"\n") - 1  # the server has waited for all of it, and counts it elsewhere
        return int(json.loads(headers.get("X-ClickHouse-Summary", "{}")).get("written_rows", 0))

    async def drop_hint(self, table: TableName, column: str, path: str) -> None:
        known = (await self.columns(table)).get(column, "")
        if path in hints_of(known):
            change = Column(column, without_hint(column, known, path))
            await self.execute(ddl.modify_columns(self._configuration, table, [change]))
            await self._renew_views(table)

    async def stored(
        self, table: TableName, event_ids: Iterable[str], oldest: str, newest: str
    ) -> frozenset[StoredEvent]:
        wanted = sorted(set(event_ids))
        target = ddl.place(self._configuration, table).target
        found: set[StoredEvent] = set()
        for first in range(0, len(wanted), _MOST_IDS):
            # one text and not a list: aiochclient parses every statement, and would take ten times as long
            ids = literal(" ".join(wanted[first : first + _MOST_IDS]))
            rows = await self._rows(
                "SELECT toString(event_id), toValidUTF8(ifNull(event_fingerprint, '')), "
                f"ifNull(toString(etl_tstamp), '') FROM {target} "
                f"WHERE event_id IN arrayMap(id -> toUUID(id), splitByChar(' ', {ids})) AND collector_tstamp "
                f"BETWEEN toDateTime64({literal(oldest)}, 3, 'UTC') AND toDateTime64({literal(newest)}, 3, 'UTC')"
            )
            found.update(StoredEvent(*row) for row in rows)
        return frozenset(found)

    async def close(self) -> None:
        await self._session.close()

    async def changes(self) -> list[Change]:
        """What must change for the tables to be as the settings say."""
        return changes(self._configuration, await self._describe())

    async def apply(self, needed: Iterable[Change]) -> None:
        """Make these changes."""
        for change in needed:
            await self.execute(change.statements)

    async def run(self, statement: str) -> list[tuple[Any, ...]]:
        """One statement of an operator's tool, and its rows."""
        return await self._rows(statement)

    async def _wait(self) -> None:
        deadline = time.monotonic() + self._settings.startup_timeout_seconds
        while True:
            try:
                await self._rows("SELECT 1")
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(self._settings.startup_retry_interval_ms / 1000)
            else:
                return

    async def _renew_views(self, table: TableName) -> None:
        if table == "events":
            tables = await self._rows(
                f"SELECT name FROM system.tables WHERE database = {literal(self._configuration.database)} "
                "AND engine != 'View'"
            )
            columns, shown = await self.columns(table), None
            while columns != shown:  # another loader may add a column meanwhile, and make its views before these
                await self.execute(ddl.create_views(self._configuration, columns, {name for (name,) in tables}))
                columns, shown = await self.columns(table), columns

    async def _describe(self) -> dict[str, Table]:
        database = literal(self._configuration.database)
        columns: dict[str, dict[str, str]] = {}
        for table, name, kind in await self._rows(
            f"SELECT table, name, type FROM system.columns WHERE database = {database} ORDER BY table, position"
        ):
            columns.setdefault(table, {})[name] = kind
        rows = await self._rows(
            "SELECT name, sorting_key, partition_key, engine_full, engine FROM system.tables "
            f"WHERE database = {database}"
        )
        return {name: Table(columns.get(name, {}), *keys) for name, *keys in rows}

    async def execute(self, statements: Iterable[str]) -> None:
        """Run statements without rows, each of which any number of loaders may run at the same time."""
        for statement in statements:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    await _reached(self._client.execute(statement))
                    break
                except ChClientError as error:
                    if attempt == _ATTEMPTS or not failures.raced(str(error)):
                        raise failures.of_statement(str(error)) from error
                    await asyncio.sleep(0.1 * attempt)

    async def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            records = await _reached(self._client.fetch(statement))
        except ChClientError as error:
            raise failures.of_statement(str(error)) from error
        return [tuple(record.values()) for record in records]

    def _connect(self, settings: Mapping[str, Any]) -> Any:
        connection = self._settings.connection
        url = URL.build(scheme=connection.interface, host=connection.host, port=connection.port, path="/")
        return ChClient(
            self._session,
            url=str(url),
            user=connection.username,
            password=connection.password.get_secret_value(),
            database=connection.database,
            **settings,
        )


async def _reached(call: Awaitable[T]) -> T:
    """The answer, whatever it is. Raises Unavailable where there is none."""
    try:
        return await call
    except (ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f"ClickHouse can't be reached: {error or type(error).__name__}") from error


def _insert_settings(settings: ClickhouseSettings) -> dict[str, int | str]:
    asynchronous = settings.insert.mode == "async"
    chosen = {**INSERT_SETTINGS, "async_insert": int(asynchronous), "wait_for_async_insert": 1}
    if asynchronous:
        chosen["async_insert_deduplicate"] = 1
    if settings.insert.quorum:
        chosen["insert_quorum"] = settings.insert.quorum
    if settings.configuration.cluster_name:
        chosen["distributed_foreground_insert"] = 1
    return chosen


def _trust(connection: ConnectionSettings) -> SSLContext | bool:
    """Whose certificates to believe; the system's authorities unless others are named."""
    if connection.tls_ca_file is None:
        return True
    try:
        return create_default_context(cafile=str(connection.tls_ca_file))
    except OSError as error:
        raise Misconfigured(f"clickhouse.connection.tls_ca_file can't be used: {error}") from error


def _keep_headers() -> TraceConfig:
    """aiochclient keeps the headers of an answer to itself; this puts them where the caller finds them."""

    async def keep(_session: ClientSession, _context: SimpleNamespace, ended: TraceRequestEndParams) -> None:
        headers = _answered.get()
        if headers is not None:
            headers.update(ended.response.headers)

    trace = TraceConfig()
    trace.on_request_end.append(keep)
    return trace
