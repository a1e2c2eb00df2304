"""Rows that the store refuses, has no memory or no column for: every failure answered by its duty."""

import json
from collections.abc import Mapping

import pytest

from loader.chunk import read
from loader.store import EventStore, divisions
from loader.warehouse.contract import ColumnMissing, HintRefused, OutOfMemory, RowsRefused
from shared.process import Misconfigured
from tests.loader.bench import Bench, ids, refuse_app
from tests.loader.lines import chunk, contexts, delivery, event_id, line


async def test_one_refused_row_of_500_becomes_one_bad_row() -> None:
    bench = Bench()
    bench.warehouse.refuse = refuse_app("guilty")
    lines = [line(number, app_id="guilty" if number == 321 else "shop") for number in range(500)]
    await bench.loading([delivery(b"\n".join(lines))])
    assert sorted(bench.loaded()) == sorted(ids(*(number for number in range(500) if number != 321)))
    (row,) = bench.bad()
    assert row["schema"] == "iglu:com.snowplowanalytics.snowplow.badrows/loader_runtime_error/jsonschema/1-0-1"
    assert row["data"]["failure"] == "can't store guilty"
    assert row["data"]["payload"]["event_id"] == event_id(321)
    assert row["data"]["payload"]["collector_tstamp"] == "2026-11-24T10:00:00Z"
    assert len(bench.warehouse.inserts) <= 2 * 9 + 3


async def test_every_refused_row_is_found() -> None:
    bench = Bench()
    bench.warehouse.refuse = refuse_app("guilty")
    lines = [line(number, app_id="guilty" if number % 7 == 0 else "shop") for number in range(40)]
    await bench.loading([delivery(b"\n".join(lines[:25]), "a"), delivery(b"\n".join(lines[25:]), "b")])
    assert len(bench.loaded()) == 34
    assert [row["data"]["payload"]["event_id"] for row in bench.bad()] == ids(0, 7, 14, 21, 28, 35)


@pytest.mark.parametrize("hint", ["right", "wrong", "none"])
async def test_many_refused_rows_are_found_with_few_inserts(hint: str) -> None:
    """Anybody may send what is refused: it must not bring loading to a stop. A wrong hint costs time, no row."""
    bench = Bench()

    def refuse(rows: list[Mapping[str, str]]) -> None:
        guilty = [place for place, row in enumerate(rows) if row["app_id"] == "guilty"]
        if guilty:
            raise RowsRefused("no", {"right": guilty[0], "wrong": len(rows) - 1, "none": None}[hint])

    bench.warehouse.refuse = refuse
    lines = [line(number, app_id="guilty" if number % 20 == 3 else "shop") for number in range(400)]
    await bench.loading([delivery(b"\n".join(lines))])
    assert len(bench.loaded()) == 380
    assert len(bench.bad()) == 20
    if hint == "right":
        assert len(bench.warehouse.inserts) <= 3 * 20 + 5


def test_divisions_cover_every_row_once() -> None:
    for rows in range(2, 6):
        for guilty in (None, -1, *range(rows + 1)):
            parts = divisions(rows, guilty)
            assert [row for part in parts for row in part] == list(range(rows))
            assert all(0 < len(part) < rows for part in parts)


async def test_where_every_row_is_refused_each_is_sent_a_few_times() -> None:
    bench = Bench()
    sent = 0

    def refuse(rows: list[Mapping[str, str]]) -> None:
        nonlocal sent
        sent += len(rows)
        raise RowsRefused("Code: 27. Cannot parse input: (at row 1)", 0)

    bench.warehouse.refuse = refuse
    await bench.loading([delivery(chunk(*range(2_000)))])
    assert len(bench.bad()) == 2_000
    assert sent < 2_000 * 15


async def test_an_event_that_takes_all_memory_does_not_stop_its_neighbours() -> None:
    bench = Bench()

    def refuse(rows: list[Mapping[str, str]]) -> None:
        if any(row["app_id"] == "huge" for row in rows):
            raise OutOfMemory("Code: 241. Memory limit exceeded")

    bench.warehouse.refuse = refuse
    lines = [line(number, app_id="huge" if number == 0 else "shop") for number in range(20)]
    await bench.loading([delivery(b"\n".join(lines))])
    assert sorted(bench.loaded()) == sorted(ids(*range(1, 20)))
    (row,) = bench.bad()
    assert row["data"]["payload"]["event_id"] == event_id(0)


async def test_while_there_is_no_memory_for_anybody_events_are_held() -> None:
    bench = Bench()
    bench.warehouse.outages.extend(OutOfMemory("Code: 241. Memory limit (total) exceeded") for _ in range(200))
    await bench.loading([delivery(chunk(*range(8)))])
    assert sorted(bench.loaded()) == sorted(ids(*range(8)))
    assert bench.bad() == []


async def test_what_was_stored_of_an_insert_that_ran_out_of_memory_is_not_sent_again() -> None:
    bench = Bench()
    stored = 0

    def refuse(rows: list[Mapping[str, str]]) -> None:
        nonlocal stored
        if len(rows) == 4:
            stored += 1
            bench.warehouse.rows["events"] = [*rows[:1]]
            raise OutOfMemory("Code: 241. Memory limit exceeded")

    bench.warehouse.refuse = refuse
    await bench.loading([delivery(chunk(*range(4)))])
    assert stored
    assert sorted(bench.loaded()) == sorted(ids(*range(4)))


async def test_inserts_of_another_run_have_other_names() -> None:
    bench = Bench()
    for run in ("", "", "second"):
        store = EventStore(bench.warehouse, "events", bench.columns, bench.patience, bench.metrics, inserts=1, run=run)
        await store.put([read(chunk(1, 2))])
    assert len(bench.loaded()) == 4


async def test_json_that_was_cut_wrongly_is_parsed_once_it_is_refused() -> None:
    mixed = {"items": [{"x": 1}, {"schema": "iglu:com.acme/n/jsonschema/1-0-0", "data": {}}]}

    def parse(rows: list[Mapping[str, str]]) -> None:
        for row in rows:
            for name in (name for name in row if name.startswith("contexts_")):
                try:
                    json.loads("[" + row[name][2:-2] + "]")
                except ValueError as error:
                    raise RowsRefused("cannot parse JSON") from error

    bench = Bench()
    bench.warehouse.refuse = parse
    await bench.loading([delivery(line(1, contexts=contexts(("com.acme/a/jsonschema/1-0-0", mixed))))])
    assert bench.loaded() == ids(1)
    assert bench.bad() == []
    assert json.loads(bench.warehouse.rows["events"][0]["contexts_com_acme_a_1"][2:-2])["items"] == mixed["items"]


async def test_a_hint_that_a_value_contradicts_is_dropped() -> None:
    bench = Bench()

    def refuse(_rows: list[Mapping[str, str]]) -> None:
        if not bench.warehouse.dropped:
            raise HintRefused("not an Int64", "contexts_com_acme_a_1", "price")

    bench.warehouse.refuse = refuse
    await bench.loading([delivery(line(1, contexts=contexts(("com.acme/a/jsonschema/1-0-0", {"price": "x"}))))])
    assert bench.warehouse.dropped == [("contexts_com_acme_a_1", "price")]
    assert bench.loaded() == ids(1)


async def test_a_hint_refused_again_after_it_was_dropped_is_a_refused_row() -> None:
    bench = Bench()

    def refuse(_rows: list[Mapping[str, str]]) -> None:
        raise HintRefused("not an Int64", "contexts_com_acme_a_1", "price")

    bench.warehouse.refuse = refuse
    await bench.loading([delivery(line(1, contexts=contexts(("com.acme/a/jsonschema/1-0-0", {"price": "x"}))))])
    assert bench.loaded() == []
    assert [row["data"]["failure"] for row in bench.bad()] == ["not an Int64"]


async def test_columns_of_a_batch_are_added_in_one_statement_before_the_insert() -> None:
    bench = Bench()
    cells = {"contexts": contexts(("com.acme/a/jsonschema/1-0-0", {}), ("com.acme/b/jsonschema/2-1-0", {}))}
    for number in (1, 2):
        await bench.loading([delivery(line(number, **cells))])
    (added,) = bench.warehouse.added
    assert [column.name for column in added] == ["contexts_com_acme_a_1", "contexts_com_acme_b_2"]


async def test_a_column_that_went_is_added_again() -> None:
    bench = Bench()
    cells = {"contexts": contexts(("com.acme/a/jsonschema/1-0-0", {}))}
    await bench.loading([delivery(line(1, **cells))])
    bench.warehouse.existing = {}

    def refuse(_rows: list[Mapping[str, str]]) -> None:
        if not bench.warehouse.existing:
            raise ColumnMissing("no such column")

    bench.warehouse.refuse = refuse
    await bench.loading([delivery(line(2, **cells))])
    assert bench.loaded() == ids(1, 2)
    assert len(bench.warehouse.added) == 2


async def test_a_table_that_keeps_losing_columns_stops_the_loader() -> None:
    bench = Bench()

    def refuse(_rows: list[Mapping[str, str]]) -> None:
        raise ColumnMissing("no such column")

    bench.warehouse.refuse = refuse
    with pytest.raises(Misconfigured):
        await bench.loading([delivery(line(1))])


async def test_rows_the_warehouse_did_not_count_are_sent_again() -> None:
    bench = Bench()
    bench.warehouse.short_by = 2
    await bench.loading([delivery(chunk(1, 2, 3, 4))])
    assert bench.loaded() == ids(1, 2, 3, 4)
    assert bench.metric("rows_missing_total", table="events") == 2
