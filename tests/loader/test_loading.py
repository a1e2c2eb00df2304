"""What becomes of a batch, lines that are no events and bad rows included, against a scripted warehouse."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

import pytest

from loader.loading import BadRowLoading
from loader.patience import GivenUp
from loader.warehouse.contract import RowsRefused, Unavailable
from shared.process import Misconfigured
from shared.stream.contract import Delivery, Message, StreamUnavailable
from shared.telemetry import ROOT
from tests.loader.bench import NOW_MS, Bench, eventually, ids
from tests.loader.lines import chunk, delivery, line


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
