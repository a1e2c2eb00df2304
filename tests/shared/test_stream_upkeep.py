"""What keeps an embedded stream's file small, and what its logs keep."""

import asyncio
import time
from pathlib import Path

import pytest

from shared.identity import now_ms
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import LogName, StreamName
from shared.stream.embedded import embedded_publisher, embedded_subscriber
from shared.stream.embedded_thread import begin
from shared.stream.embedded_upkeep import ROUND_S, Upkeep, copy_log
from shared.stream.topology import log_of, retention
from tests.shared.messages import eventually, some, take

LIMITS = StreamLimits()


@pytest.mark.parametrize(("log", "kept"), [("bad-rows", (7, 2 * 3_600_000)), ("raw.archive", (9, 4 * 3_600_000))])
def test_how_much_a_log_keeps_is_set_in_bytes_and_hours(log: LogName, kept: tuple[int, int]) -> None:
    limits = StreamLimits(
        log_max_bytes=7, log_max_age_hours=2, raw_archive_max_bytes=9, raw_archive_max_age_hours=4, raw_archive=True
    )
    assert retention(log, limits) == kept
    streams: tuple[StreamName, ...] = ("raw", "enriched", "failed", "bad")
    assert [log_of(stream, limits) for stream in streams] == ["raw.archive", None, None, "bad-rows"]


async def test_the_file_and_its_write_ahead_log_shrink_again(tmp_path: Path) -> None:
    file, log = tmp_path / "stream.sqlite", tmp_path / "stream.sqlite-wal"
    async with (
        embedded_publisher(tmp_path, LIMITS) as publisher,
        embedded_subscriber(tmp_path, LIMITS, "raw", 1000) as subscriber,
    ):
        await publisher.publish("raw", some(60, size=1_000_000))
        await eventually(lambda: _below(log, 2_000_000))
        assert file.stat().st_size > 60_000_000
        await subscriber.ack(await take(subscriber, 60))
        await eventually(lambda: _below(file, 40_000_000))
        await publisher.publish("raw", some(1))
        assert len(await take(subscriber, 1)) == 1


async def _below(file: Path, size: int) -> bool:
    return (await asyncio.to_thread(file.stat)).st_size < size


async def test_a_write_ahead_log_begins_anew_while_others_write(file: Path) -> None:
    written, most = 60_000_000, 5_000_000

    def write() -> None:
        connection = store.connect(file, "FULL")
        rows = store.rows(some(1, size=100_000))
        for _ in range(written // 100_000):
            begin(connection, 5)
            with connection:
                store.put(connection, "raw", rows, 10**9)
            time.sleep(0.001)
        connection.close()

    writing = asyncio.ensure_future(asyncio.to_thread(write))
    upkeep = store.connect(file, "FULL")
    upkeep.execute("PRAGMA busy_timeout=50")
    while not writing.done():
        copy_log(upkeep, most)
        await asyncio.sleep(0.01)
    await writing
    assert file.with_name("stream.sqlite-wal").stat().st_size < written / 2
    upkeep.close()


async def _keeps_small(file: Path) -> None:
    """What is written ahead goes into the file by itself."""
    connection = store.connect(file, "FULL")
    begin(connection, 5)
    with connection:
        store.put(connection, "raw", store.rows(some(1, size=100_000)), 10**9)
    await eventually(lambda: _below(file.with_name("stream.sqlite-wal"), 1))
    connection.close()


async def test_a_file_that_can_not_be_opened_at_first_is_kept_small_later(tmp_path: Path) -> None:
    file = tmp_path / "absent" / "stream.sqlite"
    upkeep = Upkeep(file, LIMITS, now_ms)
    await asyncio.sleep(2 * ROUND_S)
    file.parent.mkdir()
    store.create(file)
    await _keeps_small(file)
    upkeep.close()


async def test_a_file_that_was_damaged_and_put_in_order_is_kept_small_again(file: Path) -> None:
    intact = await asyncio.to_thread(file.read_bytes)
    await asyncio.to_thread(file.write_bytes, b"no database " * 10_000)
    upkeep = Upkeep(file, LIMITS, now_ms)
    await asyncio.sleep(2 * ROUND_S)
    await asyncio.to_thread(file.write_bytes, intact)
    await _keeps_small(file)
    upkeep.close()
