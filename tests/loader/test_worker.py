"""The loader on a real ClickHouse and on both transports."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loader.__main__ import serve
from loader.settings import LoaderSettings
from shared.identity import now_ms, uuid7
from shared.process import Misconfigured
from shared.settings import SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message, StreamName
from tests.clickhouse import PASSWORD, Server, start
from tests.loader.lines import chunk, contexts, event_id, line, unstruct
from tests.ports import free_port

#: Seconds for rows to come through on a busy machine.
PATIENCE_S = 60


def loader_settings(shared: SharedSettings, port: int, database: str, **loader: Any) -> LoaderSettings:
    return LoaderSettings.model_validate(
        {
            **shared.model_dump(),
            "loader": {"admin": {"port": 0}, "batch": {"age_ms": 50}, **loader},
            "clickhouse": {
                "connection": {"port": port, "password": PASSWORD},
                "configuration": {"database": database},
                "startup_retry_interval_ms": 50,
            },
        }
    )


@asynccontextmanager
async def loading(settings: LoaderSettings) -> AsyncIterator[asyncio.Task[None]]:
    """A loader that runs while the context lasts; what it raises comes out at the end."""
    stopping = asyncio.Event()
    task = asyncio.create_task(serve(settings, stopping))
    try:
        yield task
    finally:
        stopping.set()
        await task


def chunk_message(body: bytes) -> Message:
    headers: dict[str, int | str] = {"events": body.count(b"\n") + 1}
    return Message(body, uuid7(), now_ms(), "enriched-tsv", "text/tab-separated-values", headers)


async def publish(settings: SharedSettings, stream: StreamName, *bodies: bytes) -> None:
    async with open_publisher(settings) as publisher, asyncio.timeout(PATIENCE_S):
        while not publisher.ready:  # noqa: ASYNC110 - a broker on a busy machine takes its time
            await asyncio.sleep(0.05)
        await publisher.publish(stream, [chunk_message(body) for body in bodies])


class Table:
    """What a test asks of the database."""

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self.database = database

    async def rows(self, statement: str, database: str | None = None) -> list[dict[str, Any]]:
        query = f"{statement} FORMAT JSONEachRow"
        answer = await asyncio.to_thread(self._server.query, query, database=database or self.database)
        return [json.loads(row) for row in answer.splitlines()]

    async def count(self, table: str = "events") -> int:
        """Rows of a table; none while it is not there."""
        there = f"SELECT name FROM system.tables WHERE database = '{self.database}' AND name = '{table}'"
        if not await self.rows(there, "default"):
            return 0
        return int((await self.rows(f"SELECT toUInt32(count()) AS n FROM {table}"))[0]["n"])

    async def until(self, count: int, table: str = "events") -> None:
        """Wait for at least so many rows."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.count(table) < count:  # noqa: ASYNC110 - the other side is a server
                await asyncio.sleep(0.05)


@pytest.fixture
def table(clickhouse: Server, database: str) -> Table:
    return Table(clickhouse, database)


async def test_each_queue_fills_its_table(settings: SharedSettings, clickhouse: Server, table: Table) -> None:
    own = loader_settings(settings, clickhouse.port, table.database)
    cart = contexts(("com.acme/cart/jsonschema/1-0-2", {"itemName": "é'\\", "price": 1.5}))
    event = unstruct("com.acme/buy/jsonschema/1-0-0", {"when": "2026-01-01T10:00:00.123Z"})
    await publish(settings, "enriched", chunk(1, 2), line(3, contexts=cart, unstruct_event=event))
    await publish(settings, "failed", line(4, derived_contexts=cart))
    await publish(settings, "enriched", b"broken")
    async with loading(own):
        await table.until(3)
        await table.until(1, "events_failed")
        await table.until(1, "bad_rows")
    found = await table.rows(
        "SELECT contexts_com_acme_cart_1[1].itemName AS name, unstruct_event_com_acme_buy_1 AS buy, domain_userid "
        f"FROM events WHERE event_id = '{event_id(3)}'"
    )
    assert found[0]["name"] == "é'\\"
    assert found[0]["buy"] == {"_schema_version": "1-0-0", "when": "2026-01-01T10:00:00.123Z"}
    assert [row["type"] for row in await table.rows("SELECT type FROM bad_rows")] == ["loader_parsing_error"]
    assert [row["id"] for row in await table.rows("SELECT toString(event_id) AS id FROM events_failed")] == [
        event_id(4)
    ]


def nested(levels: int) -> dict[str, Any]:
    """Arrays in arrays, more of them than ClickHouse reads."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return {"deep": value}


async def test_one_refused_row_of_500_becomes_one_bad_row(
    settings: SharedSettings, clickhouse: Server, table: Table
) -> None:
    deep = contexts(("com.acme/deep/jsonschema/1-0-0", nested(400)))
    lines = [line(number, contexts=deep if number == 77 else "") for number in range(500)]
    await publish(settings, "enriched", b"\n".join(lines))
    async with loading(loader_settings(settings, clickhouse.port, table.database)):
        await table.until(499)
        await table.until(1, "bad_rows")
    bad = await table.rows("SELECT type, payload FROM bad_rows")
    assert [row["type"] for row in bad] == ["loader_runtime_error"]
    assert json.loads(bad[0]["payload"])["data"]["payload"]["event_id"] == event_id(77)
    assert await table.count() == 499


async def test_a_value_that_contradicts_the_type_of_its_schema_is_stored_all_the_same(
    settings: SharedSettings, clickhouse: Server, table: Table
) -> None:
    """The column has hints from the schema that comes with evnt; a value that got past it costs the hint, no row."""
    schema = "org.w3/PerformanceTiming/jsonschema/1-0-0"
    column = "contexts_org_w3_performance_timing_1"
    first, second = ({"domLoading": time, "loadEventEnd": 9} for time in (7, "soon"))
    async with loading(loader_settings(settings, clickhouse.port, table.database)):
        await publish(settings, "enriched", line(1, contexts=contexts((schema, first))))
        await table.until(1)
        assert "domLoading Nullable(Int64)" in (await kind(table, column)).replace("`", "")
        await publish(settings, "enriched", chunk(2, 3), line(4, contexts=contexts((schema, second))))
        await table.until(4)
    assert "domLoading" not in await kind(table, column)
    assert "loadEventEnd" in await kind(table, column)
    found = await table.rows(
        f"SELECT toString({column}[1].domLoading) AS time FROM events WHERE notEmpty({column}) ORDER BY time"
    )
    assert [row["time"] for row in found] == ["7", "soon"]
    assert await table.count("bad_rows") == 0


async def kind(table: Table, column: str) -> str:
    """The type of a column of `events`."""
    there = f"database = '{table.database}' AND table = 'events' AND name = '{column}'"
    return str((await table.rows(f"SELECT type FROM system.columns WHERE {there}"))[0]["type"])


async def test_a_chunk_of_a_loader_that_died_before_its_ack_is_not_doubled(
    settings: SharedSettings, clickhouse: Server, table: Table
) -> None:
    own = loader_settings(settings, clickhouse.port, table.database)
    await publish(settings, "enriched", chunk(*range(50)))
    async with loading(own):
        await table.until(50)
    await publish(settings, "enriched", chunk(*range(50)), chunk(*range(50, 60)))
    async with open_subscriber(settings, "enriched", 10) as dying:
        lent = await dying.receive(10, 5)
        await dying.release(lent)
    async with loading(own):
        await table.until(60)
    assert await table.count() == 60
    assert await table.count("events_unique") == 60


async def test_several_loaders_share_a_queue(settings: SharedSettings, clickhouse: Server, table: Table) -> None:
    own = loader_settings(settings, clickhouse.port, table.database)
    cells = [
        {"contexts": contexts((f"com.acme/kind{number % 7}/jsonschema/1-0-0", {"n": number}))} for number in range(60)
    ]
    bodies = [b"\n".join(line(100 * n + row, **cells[n]) for row in range(10)) for n in range(60)]
    async with loading(own), loading(own):
        await publish(settings, "enriched", *bodies)
        await table.until(600)
    assert await table.count() == 600
    assert (await table.rows("SELECT toUInt32(uniqExact(event_id)) AS n FROM events")) == [{"n": 600}]


async def test_clickhouse_may_come_late_and_go(tmp_path: Path) -> None:
    """Down at the start, then up, then killed while chunks arrive, then up again."""
    shared, port = SharedSettings(data_dir=tmp_path / "stream"), free_port()
    own = loader_settings(shared, port, "late", retry={"first_delay_ms": 20, "longest_delay_ms": 100})
    await publish(shared, "enriched", chunk(1, 2))
    async with loading(own):
        await asyncio.sleep(0.3)
        server = await asyncio.to_thread(start, tmp_path / "clickhouse", port)
        await Table(server, "late").until(2)
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        await publish(shared, "enriched", chunk(3, 4))
        await asyncio.sleep(0.3)
        server = await asyncio.to_thread(start, tmp_path / "clickhouse", port)
        await Table(server, "late").until(4)
    assert await Table(server, "late").count("events_unique") == 4
    await asyncio.to_thread(server.stop)


async def test_wrong_credentials_stop_the_loader(settings: SharedSettings, clickhouse: Server, database: str) -> None:
    own = loader_settings(settings, clickhouse.port, database)
    wrong = own.model_copy(
        update={
            "clickhouse": own.clickhouse.model_copy(
                update={"connection": own.clickhouse.connection.model_copy(update={"username": "nobody"})}
            )
        }
    )
    with pytest.raises(Misconfigured, match="nobody"):
        await asyncio.wait_for(serve(wrong, asyncio.Event()), PATIENCE_S)


async def test_a_loader_that_still_waits_for_clickhouse_stops_at_once(settings: SharedSettings) -> None:
    stopping = asyncio.Event()
    waiting = asyncio.create_task(serve(loader_settings(settings, free_port(), "absent"), stopping))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    stopping.set()
    await asyncio.wait_for(waiting, PATIENCE_S)
