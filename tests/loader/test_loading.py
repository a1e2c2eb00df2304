"""What becomes of a batch: every failure answered by its duty, against a warehouse that does what a test scripts."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from loader.batch import Batcher
from loader.chunk import Chunk, read
from loader.columns import TableColumns
from loader.loading import BadRowLoading, EventLoading, once
from loader.memory import Lookback
from loader.metrics import LoaderMetrics
from loader.outlet import BadRowOutlet
from loader.patience import GivenUp, Patience
from loader.settings import BatchSettings, DedupeSettings, RetrySettings
from loader.store import EventStore, divisions
from loader.warehouse.contract import ColumnMissing, HintRefused, OutOfMemory, RowsRefused, Unavailable
from loader.worker import Lane
from shared.process import Misconfigured
from shared.schema import SchemaKey
from shared.stream.contract import Delivery, Message, StreamUnavailable
from shared.telemetry import ROOT
from tests.loader.fakes import FakePublisher, FakeSubscriber, FakeWarehouse
from tests.loader.lines import chunk, contexts, delivery, event_id, line

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


async def test_chunks_go_in_together_and_are_acked_afterwards() -> None:
    bench = Bench()
    await bench.loading([delivery(chunk(1, 2), "a"), delivery(chunk(3), "b")])
    assert bench.loaded() == ids(1, 2, 3)
    assert [rows for _, rows, _ in bench.warehouse.inserts] == [3]
    assert bench.metric("rows_total", table="events") == 3


async def test_the_token_is_that_of_the_rows_and_not_of_their_chunks() -> None:
    tokens = []
    for bodies in ([chunk(1, 2), chunk(3)], [chunk(1), chunk(2, 3)], [chunk(3, 2, 1)], [chunk(1, 2, 4)]):
        bench = Bench()
        await bench.loading([delivery(body, f"m{place}") for place, body in enumerate(bodies)])
        tokens.append(bench.warehouse.inserts[0][2])
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3


async def test_an_outage_is_waited_out_with_the_same_token() -> None:
    bench = Bench()
    bench.warehouse.outages = deque(Unavailable(f"no {place}") for place in range(20))
    await bench.loading([delivery(chunk(1, 2))])
    assert bench.loaded() == ids(1, 2)
    assert bench.metric("retries_total") == 20
    assert bench.patience.trouble is None


async def test_an_insert_whose_answer_was_lost_is_not_stored_twice() -> None:
    bench = Bench()
    answers = iter([Unavailable("answer lost")])

    def lose_the_answer(rows: list[Mapping[str, str]]) -> None:
        if error := next(answers, None):
            bench.warehouse.rows["events"].extend(rows)
            bench.warehouse.tokens.add(bench.warehouse.inserts[-1][2])
            raise error

    bench.warehouse.refuse = lose_the_answer
    await bench.loading([delivery(chunk(1, 2))])
    assert bench.loaded() == ids(1, 2)


async def test_a_stop_during_an_outage_gives_the_batch_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=f"{ROOT}.loader")
    bench = Bench(retry_ms=60_000)
    bench.warehouse.outages = deque(Unavailable("down") for _ in range(5))
    task = asyncio.create_task(bench.loading([delivery(chunk(1))]))
    await eventually(lambda: bench.patience.trouble)
    bench.stopping.set()
    with pytest.raises(GivenUp):
        await task
    told = [record.msg["event"] for record in caplog.records if isinstance(record.msg, dict)]
    assert told == ["outage"]


def refuse_app(*apps: str) -> Any:
    def refuse(rows: list[Mapping[str, str]]) -> None:
        if guilty := [row["app_id"] for row in rows if row["app_id"] in apps]:
            raise RowsRefused(f"can't store {guilty[0]}")

    return refuse


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


async def test_lines_that_are_no_events_become_bad_rows_and_their_neighbours_rows() -> None:
    bench = Bench()
    await bench.loading([delivery(b"\n".join([line(1), b"broken", line(2, txn_id="x")]))])
    assert bench.loaded() == ids(1)
    failures = [row["data"]["failure"] for row in bench.bad()]
    assert [failure["type"] for failure in failures] == ["NotTSV", "RowDecodingError"]
    assert [row["data"]["payload"] for row in bench.bad()] == ["broken", line(2, txn_id="x").decode()]


async def test_a_bad_row_is_published_before_the_chunk_may_be_acked() -> None:
    bench = Bench()
    bench.publisher.outages = deque([StreamUnavailable("broker down")] * 3)
    await bench.loading([delivery(b"broken")])
    assert len(bench.publisher.published) == 1


async def test_a_bad_row_that_no_message_can_hold_is_cut() -> None:
    bench = Bench()
    await bench.loading([delivery(b"x" * 20_000)])
    (row,) = bench.bad()
    assert row["schema"].endswith("/size_violation/jsonschema/1-0-0")
    assert row["data"]["failure"]["actualSizeBytes"] > 20_000
    assert row["data"]["payload"].endswith("xxx")


async def test_a_chunk_that_brings_a_bug_to_light_is_buried_alone() -> None:
    bench = Bench()
    poison = delivery(b"brings a bug to light", "p")
    neighbours = [delivery(chunk(1), "a"), delivery(chunk(2), "b")]
    done = await bench.loading([neighbours[0], poison, neighbours[1]])
    assert done == neighbours
    assert [found for found, _ in bench.subscriber.buried] == [poison]
    assert bench.loaded() == ids(1, 2)


async def test_a_bad_row_made_twice_has_one_id() -> None:
    bench = Bench()
    for name in ("a", "a", "b"):
        await bench.loading([delivery(b"broken\nbroken", name)])
    made = [message.message_id for _, message in bench.publisher.published]
    assert made[:2] == made[2:4]
    assert len(set(made)) == 4


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


async def test_a_chunk_that_comes_again_is_compared_with_the_table() -> None:
    bench = Bench()
    await bench.loading([delivery(chunk(1, 2), "a")])
    again = [delivery(chunk(1, 2), "a", redelivered=True), delivery(chunk(3), "b")]
    await bench.loading(again)
    assert bench.loaded() == ids(1, 2, 3)
    assert bench.warehouse.asked == [frozenset(ids(1, 2))]
    assert bench.metric("duplicates_total", kind="stored") == 2


async def test_regrouped_chunks_of_a_crashed_loader_double_nothing() -> None:
    """One loader stored A and B together and died before the ack; another gets B with C, then A with D."""
    first, second = Bench(), Bench()
    await first.loading([delivery(chunk(1, 2), "A"), delivery(chunk(3, 4), "B")])
    second.warehouse.rows, second.warehouse.tokens = first.warehouse.rows, first.warehouse.tokens
    await second.loading([delivery(chunk(3, 4), "B", redelivered=True), delivery(chunk(5), "C")])
    await second.loading([delivery(chunk(1, 2), "A", redelivered=True), delivery(chunk(6), "D")])
    assert sorted(second.loaded()) == ids(1, 2, 3, 4, 5, 6)


async def test_a_chunk_that_comes_again_waits_for_its_first_insert() -> None:
    bench = Bench()
    bench.warehouse.hold = asyncio.Event()
    first = asyncio.create_task(bench.loading([delivery(chunk(1), "a")]))
    await asyncio.sleep(0.01)
    again = asyncio.create_task(bench.loading([delivery(chunk(1), "a", redelivered=True)]))
    await asyncio.sleep(0.01)
    assert bench.warehouse.asked == []
    bench.warehouse.hold.set()
    await asyncio.gather(first, again)
    assert bench.loaded() == ids(1)


def test_a_chunk_that_came_twice_into_one_batch_goes_in_once() -> None:
    first, again = delivery(chunk(1), "a"), delivery(chunk(1), "a", redelivered=True)
    other = delivery(chunk(2), "a", redelivered=True)
    nameless = [delivery(chunk(1), ""), delivery(chunk(1), "")]
    assert once([first, again, other, *nameless]) == [first, other, *nameless]


async def test_what_a_tracker_sends_again_is_dropped_once_the_table_confirms_it() -> None:
    bench = Bench()
    await bench.loading([delivery(chunk(1, 2), "a")])
    later = {"collector_tstamp": "2026-11-24 10:03:00.000"}
    await bench.loading([delivery(chunk(2, 3, **later), "b")])
    assert bench.loaded() == ids(1, 2, 3)
    assert bench.warehouse.asked == [frozenset(ids(2))]


async def test_a_cache_alone_never_drops() -> None:
    bench = Bench()
    await bench.loading([delivery(chunk(1), "a")])
    bench.warehouse.rows["events"].clear()
    await bench.loading([delivery(chunk(1, collector_tstamp="2026-11-24 10:00:01.000"), "b"), delivery(chunk(2), "c")])
    assert bench.loaded() == ids(1, 2)


async def test_one_id_with_another_fingerprint_is_kept_and_counted() -> None:
    bench = Bench()
    await bench.loading([delivery(chunk(1), "a")])
    await bench.loading([delivery(line(1, event_fingerprint="f" * 32), "b")])
    assert bench.loaded() == ids(1, 1)
    assert bench.metric("duplicates_total", kind="synthetic") == 1


async def test_what_was_loaded_long_ago_is_not_asked_for() -> None:
    bench = Bench(DedupeSettings(client_lookback=1))
    for number in (1, 2, 3):
        await bench.loading([delivery(chunk(number), f"m{number}")])
        bench.now_ms += 120_000
    await bench.loading([delivery(chunk(1, 3), "again")])
    assert bench.warehouse.asked == [frozenset(ids(3))]


async def test_looking_back_can_be_turned_off() -> None:
    bench = Bench(DedupeSettings(client_lookback=0))
    for name in ("a", "b"):
        await bench.loading([delivery(chunk(1), name)])
    assert bench.warehouse.asked == []


async def run_until(bench: Bench, lane: Lane, done: Callable[[], object]) -> None:
    task = asyncio.create_task(lane.run(bench.stopping))
    await eventually(done)
    bench.stopping.set()
    await task


async def test_a_lane_merges_chunks_and_acks_all() -> None:
    bench = Bench()
    sent = [delivery(chunk(number, number + 1), f"m{number}") for number in range(0, 40, 2)]
    bench.subscriber.waiting.extend(sent)
    await run_until(bench, bench.lane(BatchSettings(rows=10, age_ms=10_000)), lambda: len(bench.loaded()) == 40)
    assert [rows for _, rows, _ in bench.warehouse.inserts] == [10] * 4
    assert sorted(map(id, bench.subscriber.acked)) == sorted(map(id, sent))


async def test_a_stop_loads_what_is_held() -> None:
    bench = Bench()
    bench.subscriber.waiting.append(delivery(chunk(1)))
    lane = bench.lane(BatchSettings(rows=1_000, age_ms=3_600_000))
    await run_until(bench, lane, lambda: bench.subscriber.received == 1)
    assert bench.loaded() == ids(1)
    assert len(bench.subscriber.acked) == 1


async def test_an_outage_holds_what_is_there_and_takes_no_more() -> None:
    """Minutes of outage, in attempts: memory stays flat, the lag rises and falls, nothing is lost."""
    bench = Bench()
    limits = BatchSettings(rows=2, age_ms=10_000)
    bench.warehouse.outages = deque(Unavailable("down") for _ in range(300))
    bench.subscriber.waiting.extend(delivery(chunk(number), f"m{number}", timestamp_ms=NOW_MS) for number in range(500))
    lane = bench.lane(limits, most=2)
    task = asyncio.create_task(lane.run(bench.stopping))
    seen: list[tuple[int, float]] = []

    def over() -> bool:
        if bench.warehouse.outages:
            bench.now_ms += 1_000
            seen.append((bench.subscriber.received, lane.lag_s()))
        return not bench.warehouse.outages

    await eventually(over)
    await eventually(lambda: len(bench.loaded()) == 500)
    bench.stopping.set()
    await task
    assert max(received for received, _ in seen) <= 100
    assert [lag for _, lag in seen[2:]] == sorted(lag for _, lag in seen[2:])
    assert seen[-1][1] > 60
    assert lane.lag_s() == 0
    assert sorted(bench.loaded()) == sorted(ids(*range(500)))


async def test_while_inserts_are_under_way_the_next_is_made_ready_and_waits() -> None:
    bench = Bench()
    hold = bench.warehouse.hold = asyncio.Event()
    bench.subscriber.waiting.extend(delivery(chunk(number), f"m{number}") for number in range(60))
    task = asyncio.create_task(bench.lane(BatchSettings(rows=1), most=3).run(bench.stopping))
    await eventually(lambda: bench.taken_apart == 3)
    await asyncio.sleep(0.01)
    assert (bench.warehouse.held, bench.taken_apart) == (2, 3)
    hold.set()
    await eventually(lambda: len(bench.loaded()) == 60)
    bench.stopping.set()
    await task


async def test_wrong_credentials_stop_the_lane_and_ack_nothing() -> None:
    bench = Bench()
    bench.warehouse.outages = deque([Misconfigured("wrong password")])
    bench.subscriber.waiting.append(delivery(chunk(1)))
    with pytest.raises(ExceptionGroup) as caught:
        await bench.lane(BatchSettings(rows=1)).run(bench.stopping)
    assert caught.group_contains(Misconfigured, match="wrong password")
    assert bench.subscriber.acked == []


async def test_a_stop_during_an_outage_acks_nothing() -> None:
    bench = Bench()
    bench.warehouse.outages = deque(Unavailable("down") for _ in range(10_000))
    bench.subscriber.waiting.append(delivery(chunk(1)))
    await run_until(bench, bench.lane(BatchSettings(rows=1)), lambda: bench.patience.trouble)
    assert bench.subscriber.acked == []


def bad_message(body: bytes = b"{}", message_id: str = "b") -> Delivery:
    return Delivery(Message(body, message_id, NOW_MS, "bad-row", "application/json"), False, 1, None)


async def test_bad_rows_become_rows() -> None:
    bench = Bench()
    loading = BadRowLoading(bench.warehouse, bench.subscriber, bench.patience, bench.metrics)
    await loading([bad_message(message_id="x"), bad_message(b"\xff\t", "y")])
    assert [row["id"] for row in bench.warehouse.rows["bad_rows"]] == ["x", "y"]
    assert {row["type"] for row in bench.warehouse.rows["bad_rows"]} == {"unknown"}


async def test_bad_rows_that_were_not_written_are_sent_once_more() -> None:
    bench = Bench()
    bench.warehouse.short_by = 1
    loading = BadRowLoading(bench.warehouse, bench.subscriber, bench.patience, bench.metrics)
    await loading([bad_message(message_id="x"), bad_message(message_id="y")])
    assert {row["id"] for row in bench.warehouse.rows["bad_rows"]} == {"x", "y"}
    assert bench.registry.get_sample_value("evnt_loader_rows_missing_total", {"table": "bad_rows"}) == 1


async def test_a_table_that_keeps_no_bad_rows_stops_the_loader() -> None:
    bench = Bench()
    bench.warehouse.keeps_short = bench.warehouse.short_by = 1
    loading = BadRowLoading(bench.warehouse, bench.subscriber, bench.patience, bench.metrics)
    with pytest.raises(Misconfigured, match="stored 1"):
        await loading([bad_message(message_id="x"), bad_message(message_id="y")])


async def test_a_bad_row_that_is_refused_is_buried_and_makes_no_other() -> None:
    bench = Bench()

    def refuse(rows: list[Mapping[str, str]]) -> None:
        if any(row["id"] == "3" for row in rows):
            raise RowsRefused("not 3")

    bench.warehouse.refuse = refuse
    loading = BadRowLoading(bench.warehouse, bench.subscriber, bench.patience, bench.metrics)
    done = await loading([bad_message(message_id=str(number)) for number in range(7)])
    assert [found.message.message_id for found in done] == ["0", "1", "2", "4", "5", "6"]
    assert sorted(row["id"] for row in bench.warehouse.rows["bad_rows"]) == ["0", "1", "2", "4", "5", "6"]
    assert [(found.message.message_id, reason) for found, reason in bench.subscriber.buried] == [("3", "not 3")]
    assert bench.publisher.published == []
