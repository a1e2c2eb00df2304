"""The warehouse port on a real engine: tables, inserts, and errors by duty."""

import asyncio
from collections.abc import Iterable

import pytest

from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.columns import MOST_HINTS, SchemaColumn, column_type
from loader.warehouse.contract import Column, ColumnMissing, HintRefused, RowsRefused, StoredEvent, Unavailable
from shared.process import Misconfigured
from tests.clickhouse import Server
from tests.loader.warehouse.conftest import Open
from tests.ports import free_port

IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(10)]
CART = SchemaColumn("contexts", "com_acme_cart_1")
CART_TYPE = column_type("contexts", {"price": "Nullable(Float64)"})


def body(*rows: str, columns: str = "event_id\tcollector_tstamp\tevent_fingerprint") -> bytes:
    return "".join(f"{row}\n" for row in (columns, *rows)).encode()


def event(number: int, rest: str = "", fingerprint: str = "f") -> str:
    return f"{IDS[number]}\t2026-01-02 03:04:05.678\t{fingerprint}{rest}"


async def count(warehouse: ClickHouse, table: str) -> int:
    return int((await warehouse.run(f"SELECT count() AS rows FROM {table}"))[0][0])


async def test_preparing_creates_everything_and_again_changes_nothing(
    warehouse: ClickHouse, clickhouse: Server, database: str
) -> None:
    tables = clickhouse.query(f"SHOW TABLES FROM {database}").split()
    assert tables == ["bad_rows", "events", "events_failed", "events_unique", "local"]
    assert await warehouse.changes() == []
    await warehouse.prepare()
    assert {"event_id", "load_tstamp", "page_view_id"} <= set(await warehouse.columns("events"))
    assert (await warehouse.columns("events"))["app_id"] == "LowCardinality(String)"


async def test_the_table_of_an_old_evnt_keeps_its_data(open_warehouse: Open, clickhouse: Server, database: str) -> None:
    clickhouse.query(f"CREATE DATABASE {database}")
    clickhouse.query(f"CREATE TABLE {database}.local ENGINE = MergeTree ORDER BY () AS SELECT 'old' AS app_id")
    warehouse = open_warehouse()
    await warehouse.prepare()
    await warehouse.add_columns("events", [Column(CART.name, CART_TYPE)])
    assert clickhouse.query(f"SELECT app_id FROM {database}.local") == "old\n"
    assert [change.who for change in await warehouse.changes()] == ["hand"]


async def test_loaders_that_start_together_all_succeed(open_warehouse: Open) -> None:
    loaders = [open_warehouse() for _ in range(4)]
    await asyncio.gather(*(loader.prepare() for loader in loaders))
    assert await loaders[0].changes() == []


async def test_a_loader_that_may_not_migrate_says_what_is_due(open_warehouse: Open) -> None:
    with pytest.raises(Misconfigured, match="evnt db migrate"):
        await open_warehouse(configuration={"migrate_at_start": False}).prepare()


async def test_rows_are_stored_and_counted(warehouse: ClickHouse, database: str) -> None:
    assert await warehouse.insert("events", body(event(0), event(1)), "one") == 2
    assert await count(warehouse, f"{database}.events") == 2


async def test_the_same_token_stores_once_and_counts_as_written(warehouse: ClickHouse, database: str) -> None:
    for _ in range(3):
        assert await warehouse.insert("events", body(event(0), event(1)), "one") == 2
    assert await warehouse.insert("events", body(event(0), event(1)), "two") == 2
    assert await count(warehouse, f"{database}.events") == 4
    assert await count(warehouse, f"{database}.events_unique") == 2


async def test_other_fingerprints_of_an_id_are_kept(warehouse: ClickHouse, database: str) -> None:
    await warehouse.insert("events", body(event(0), event(0, fingerprint="g")), "one")
    assert await count(warehouse, f"{database}.events_unique") == 2


async def test_stored_events_are_found_within_their_time(warehouse: ClickHouse) -> None:
    await warehouse.insert("events", body(event(0), event(1)), "one")
    columns = "event_id\tcollector_tstamp\tevent_fingerprint\tetl_tstamp"
    await warehouse.insert("events", body(event(2, "\t2026-01-02 03:04:06.789"), columns=columns), "two")
    moment = "2026-01-02 03:04:05.678"
    enriched = StoredEvent(IDS[2], "f", "2026-01-02 03:04:06.789")
    assert await warehouse.stored("events", [IDS[2]], moment, moment) == {enriched}
    assert await warehouse.stored("events", [IDS[0], IDS[5]], moment, moment) == {StoredEvent(IDS[0], "f", "")}
    assert await warehouse.stored("events", IDS, "2026-01-02 03:04:05.679", "2026-02-01 00:00:00.000") == set()
    assert await warehouse.stored("events_failed", IDS, moment, moment) == set()
    assert await warehouse.stored("events", [], moment, moment) == set()


async def test_thousands_of_ids_are_asked_for_in_parts(warehouse: ClickHouse) -> None:
    ids = [f"10000000-0000-4000-8000-{number:012}" for number in range(5000)]
    rows = [f"{identifier}\t2026-01-02 03:04:05.678\tf" for identifier in ids]
    assert await warehouse.insert("events", body(*rows), "one") == 5000
    found = await warehouse.stored("events", ids, "2026-01-01 00:00:00.000", "2026-02-01 00:00:00.000")
    assert {event.event_id for event in found} == set(ids)


async def test_columns_are_added_by_loaders_that_race(open_warehouse: Open, database: str) -> None:
    loaders = [open_warehouse() for _ in range(4)]
    await loaders[0].prepare()
    columns = [Column(CART.name, CART_TYPE), Column("unstruct_event_com_acme_x_1", column_type("unstruct_event", {}))]
    await asyncio.gather(*(loader.add_columns("events", columns) for loader in loaders))
    assert {column.name for column in columns} <= set(await loaders[0].columns("events"))
    for column in columns:
        assert await loaders[0].run(f"SELECT count({column.name}) AS n FROM {database}.events_unique") == [(0,)]
    assert await loaders[0].changes() == []


async def test_a_column_that_the_table_lacks_is_named_by_duty(warehouse: ClickHouse) -> None:
    with pytest.raises(ColumnMissing):
        await warehouse.insert(
            "events",
            body(event(0, "\t[]"), columns=f"event_id\tcollector_tstamp\tevent_fingerprint\t{CART.name}"),
            "one",
        )


async def test_a_value_against_its_hint_names_column_and_path_and_the_hint_can_go(
    warehouse: ClickHouse, database: str
) -> None:
    await warehouse.add_columns("events", [Column(CART.name, CART_TYPE)])
    columns = f"event_id\tcollector_tstamp\tevent_fingerprint\t{CART.name}\tapp_id"
    rows = body(event(0, "\t['{\"price\":1.5}']\tshop"), event(1, '\t[\'{"price":"high"}\']\tshop'), columns=columns)
    with pytest.raises(HintRefused) as refused:
        await warehouse.insert("events", rows, "one")
    assert (refused.value.column, refused.value.path) == (CART.name, "price")
    assert await count(warehouse, f"{database}.events") == 0
    for _ in range(2):
        await warehouse.drop_hint("events", CART.name, "price")
    assert await warehouse.insert("events", rows, "one") == 2
    prices = await warehouse.run(f"SELECT toString({CART.name}[1].price) AS p FROM {database}.events_unique ORDER BY p")
    assert prices == [("1.5",), ("high",)]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ("txn_id", "x"),
        ("dvce_created_tstamp", "2026-13-01 00:00:00.000"),
        ("tr_total", "1" + "0" * 60),
        ("br_cookies", "2"),
        ("txn_id", "1\t2"),
        (CART.name, "['{\"price\":1e400}']"),
        (CART.name, "['5']"),
    ],
)
async def test_a_row_that_can_not_be_stored_is_refused_with_its_neighbours(
    warehouse: ClickHouse, database: str, columns: str, row: str
) -> None:
    await warehouse.add_columns("events", [Column(CART.name, CART_TYPE)])
    lines = body(
        event(0, "\t"), event(1, f"\t{row}"), columns=f"event_id\tcollector_tstamp\tevent_fingerprint\t{columns}"
    )
    with pytest.raises(RowsRefused):
        await warehouse.insert("events", lines, "one")
    assert await count(warehouse, f"{database}.events") == 0
    assert await warehouse.insert("events", body(event(0)), "two") == 1


async def test_wrong_credentials_and_missing_tables_are_misconfigured(open_warehouse: Open) -> None:
    with pytest.raises(Misconfigured, match=r"REQUIRED_PASSWORD|AUTHENTICATION_FAILED"):
        await open_warehouse(connection={"password": "wrong"}).prepare()
    with pytest.raises(Misconfigured, match=r"UNKNOWN_DATABASE|UNKNOWN_TABLE"):
        await open_warehouse().insert("events", body(event(0)), "one")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_server_that_is_away_is_unavailable(open_warehouse: Open, host: str) -> None:
    connection = {"host": host, "port": free_port()}
    away = open_warehouse(connection=connection, startup_timeout_seconds=0.2, startup_retry_interval_ms=50)
    for call in [away.prepare(), away.columns("events"), away.insert("events", body(event(0)), "one")]:
        with pytest.raises(Unavailable, match=rf"Connect call failed \('{host}'"):
            await call


async def test_an_insert_that_fails_when_it_is_written_is_never_counted_as_stored(
    open_warehouse: Open, clickhouse: Server, database: str
) -> None:
    warehouse = open_warehouse()
    await warehouse.prepare()
    full = "min_free_disk_bytes_to_perform_insert = 1000000000000000000"
    clickhouse.query(f"ALTER TABLE {database}.events MODIFY SETTING {full}")
    with pytest.raises(Unavailable, match="NOT_ENOUGH_SPACE"):
        await warehouse.insert("events", body(event(0)), "one")
    clickhouse.query(f"ALTER TABLE {database}.events RESET SETTING min_free_disk_bytes_to_perform_insert")
    assert await warehouse.insert("events", body(event(0)), "one") == 1
    assert await count(warehouse, f"{database}.events") == 1


@pytest.mark.parametrize("sections", [{"insert": {"mode": "async"}}, {"connection": {"compression": "gzip"}}])
async def test_other_ways_to_insert(
    open_warehouse: Open, database: str, sections: dict[str, dict[str, object]]
) -> None:
    warehouse = open_warehouse(**sections)
    await warehouse.prepare()
    for _ in range(2):
        assert await warehouse.insert("events", body(event(0), event(1)), "one") == 2
    assert await count(warehouse, f"{database}.events") == 2


async def test_bad_rows_and_failed_events_have_their_tables(warehouse: ClickHouse, database: str) -> None:
    rows = body("m1\t2026-01-02 03:04:05.678\tschema_violations\tsaid \\t so", columns="id\treceived\ttype\terror")
    assert await warehouse.insert("bad_rows", rows, "one") == 1
    assert await warehouse.run(f"SELECT error, status FROM {database}.bad_rows") == [("said \t so", "new")]
    failed = body("\t2026-01-02 03:04:05.678\t", columns="event_id\tcollector_tstamp\tapp_id")
    assert await warehouse.insert("events_failed", failed, "one") == 1
    assert await count(warehouse, f"{database}.events_failed") == 1


async def test_many_wide_columns_are_added_at_once(warehouse: ClickHouse) -> None:
    hints = {f"property_number_{number}": "Nullable(String)" for number in range(MOST_HINTS)}
    columns = [Column(f"contexts_com_acme_{number}_1", column_type("contexts", hints)) for number in range(14)]
    await warehouse.add_columns("events", columns)
    assert {column.name for column in columns} <= set(await warehouse.columns("events"))


async def test_a_view_of_the_operators_that_fails_stores_rows_once(
    warehouse: ClickHouse, clickhouse: Server, database: str
) -> None:
    clickhouse.query(f"CREATE TABLE {database}.mine (x Int32) ENGINE = MergeTree ORDER BY x")
    select = f"SELECT toInt32(event_fingerprint) AS x FROM {database}.events"
    clickhouse.query(f"CREATE MATERIALIZED VIEW {database}.filling TO {database}.mine AS {select}")
    with pytest.raises(Misconfigured, match="filling"):
        await warehouse.insert("events", body(event(0)), "one")
    assert await count(warehouse, f"{database}.events") == 1


async def test_a_fingerprint_that_is_no_text_is_asked_for_like_any_other(warehouse: ClickHouse) -> None:
    await warehouse.insert("events", body(event(0, fingerprint="?")).replace(b"?", b"\xff"), "one")
    moment = "2026-01-02 03:04:05.678"
    assert await warehouse.stored("events", [IDS[0]], moment, moment) == {StoredEvent(IDS[0], "\ufffd", "")}


async def test_views_show_a_column_that_another_loader_adds_meanwhile(
    open_warehouse: Open, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    one, other = open_warehouse(), open_warehouse()
    await one.prepare()
    execute = one.execute
    columns = [Column(f"contexts_com_acme_{name}_1", column_type("contexts", {})) for name in ("mine", "theirs")]

    async def slow(statements: Iterable[str]) -> None:
        statements = list(statements)
        if statements[0].startswith("CREATE OR REPLACE"):
            monkeypatch.undo()
            await other.add_columns("events", columns[1:])
        await execute(statements)

    monkeypatch.setattr(one, "execute", slow)
    await one.add_columns("events", columns[:1])
    ((view,),) = await one.run(f"SELECT as_select FROM system.tables WHERE database = '{database}' AND name = 'local'")
    assert all(column.name in view for column in columns)
