"""A lane merges chunks, keeps several inserts under way, holds through outages and stops in order."""

import asyncio
from collections import deque
from collections.abc import Callable

import pytest

from loader.settings import BatchSettings
from loader.warehouse.contract import Unavailable
from loader.worker import Lane
from shared.process import Misconfigured
from tests.loader.bench import NOW_MS, Bench, eventually, ids
from tests.loader.lines import chunk, delivery


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
