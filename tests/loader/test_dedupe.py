"""What comes again is stored once: chunks that are redelivered, events that trackers send again."""

import asyncio
from collections.abc import Sequence

from loader.loading import once
from loader.settings import DedupeSettings
from loader.warehouse.contract import RowsRefused
from tests.loader.bench import Bench, ids
from tests.loader.lines import chunk, delivery, line


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


def enriched_at(second: int, *numbers: int, **cells: str) -> bytes:
    return chunk(*numbers, etl_tstamp=f"2026-11-24 10:00:{second:02d}.000", **cells)


async def test_what_is_enriched_again_is_stored_beside_what_it_replaces() -> None:
    """The same ids, in the same order, a moment later: for an event that is new this would be a copy."""
    bench = Bench()
    await bench.loading([delivery(enriched_at(1, 1, 2), "a")])
    again = delivery(enriched_at(2, 1, 2), "a", replay="first")
    await bench.loading([again])
    assert bench.loaded() == ids(1, 2, 1, 2)
    assert bench.metric("duplicates_total", kind="stored") == 0
    await bench.loading([delivery(enriched_at(2, 1, 2), "a", redelivered=True, replay="first")])
    assert bench.loaded() == ids(1, 2, 1, 2), "but once only"
    await bench.loading([delivery(enriched_at(3, 1, 2, app_id="x"), "a", replay="second"), delivery(chunk(3), "b")])
    assert bench.loaded() == ids(1, 2, 1, 2, 1, 2, 3)


async def test_what_is_enriched_again_and_comes_again_in_other_company_is_stored_once() -> None:
    bench = Bench()
    await bench.loading([delivery(enriched_at(1, 1, 2), "a")])
    await bench.loading([delivery(enriched_at(2, 1, 2), "a", replay="first")])
    again = delivery(enriched_at(2, 1, 2), "a", redelivered=True, replay="first")
    await bench.loading([again, delivery(enriched_at(2, 3), "b", replay="first")])
    assert bench.loaded() == ids(1, 2, 1, 2, 3)
    assert bench.metric("duplicates_total", kind="synthetic") == 0


async def test_a_copy_that_is_new_is_dropped_whenever_it_was_enriched() -> None:
    bench = Bench()
    await bench.loading([delivery(enriched_at(1, 1), "a")])
    await bench.loading([delivery(enriched_at(2, 1, 2), "b")])
    assert bench.loaded() == ids(1, 2)


async def test_what_is_divided_is_still_enriched_again() -> None:
    """Or its parts would pass for copies of what was stored alone, also where new events are in the same batch."""
    bench = Bench()
    for number in (1, 2):
        await bench.loading([delivery(enriched_at(1, number), f"{number}")])

    def refuse(rows: Sequence[object]) -> None:
        if len(rows) > 1:
            raise RowsRefused("no")

    bench.warehouse.refuse = refuse
    replayed = delivery(enriched_at(2, 1, 2), "a", replay="first")
    await bench.loading([delivery(enriched_at(2, 3), "b"), delivery(enriched_at(2, 4), "c"), replayed])
    assert sorted(bench.loaded()) == ids(1, 1, 2, 2, 3, 4)


async def test_what_is_enriched_again_and_refused_is_divided() -> None:
    bench = Bench()
    await bench.loading([delivery(enriched_at(1, 1, 2), "a")])
    refusals = iter([RowsRefused("no")])

    def refuse(_: object) -> None:
        if error := next(refusals, None):
            raise error

    bench.warehouse.refuse = refuse
    await bench.loading([delivery(enriched_at(2, 1, 2), "a", replay="first")])
    assert bench.loaded() == ids(1, 2, 1, 2)


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
