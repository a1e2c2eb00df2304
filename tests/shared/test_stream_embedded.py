"""What the embedded stream promises about its file."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.identity import Clock, now_ms
from shared.process import Misconfigured
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import StreamUnavailable
from shared.stream.embedded import embedded_dead_letters, embedded_log, embedded_publisher, embedded_subscriber
from shared.stream.embedded_look import Watch, look
from shared.stream.embedded_presence import Presence, alone, lives, sweep
from shared.stream.embedded_publisher import EmbeddedPublisher
from shared.stream.embedded_subscriber import EmbeddedSubscriber
from shared.stream.embedded_thread import CommitThread
from shared.stream.embedded_upkeep import TRIM_S, Upkeep
from tests.disk import SMALL, namespace
from tests.shared.messages import eventually, ids, some, take
from tests.vectors import ROOT

LIMITS = StreamLimits()

#: Bytes in a page of the file.
_PAGE = 32_768


@asynccontextmanager
async def publisher_over(
    file: Path,
    connect: Callable[[], sqlite3.Connection],
    limits: StreamLimits = LIMITS,
    clock: Clock = now_ms,
    trim_s: float = TRIM_S,
) -> AsyncIterator[EmbeddedPublisher]:
    """A publisher whose connection is the test's."""
    thread = CommitThread(connect, "publisher of a test", 1.0)
    publisher = EmbeddedPublisher(thread, file, limits, clock, Upkeep(file, limits, clock, trim_s))
    try:
        yield publisher
    finally:
        await publisher.close()


def test_a_queue_holds_as_many_bytes_as_it_may(file: Path) -> None:
    """An empty one takes anything: what is too large for it would wait for ever."""
    connection = store.connect(file, "FULL")
    rows = store.rows(some(2, size=100))
    most = 3 * (len(rows[0][5]) + store.OVERHEAD)
    assert store.put(connection, "raw", rows, most)
    assert not store.put(connection, "raw", rows, most)
    assert store.put(connection, "raw", rows[:1], most)
    assert not store.put(connection, "raw", rows[:1], most)
    assert store.amount(connection, "raw") == (3, most)
    assert store.put(connection, "enriched", rows, 1)
    connection.close()


async def test_a_full_disk_is_an_outage_and_not_a_loss(tmp_path: Path, file: Path) -> None:
    def on_a_small_disk() -> sqlite3.Connection:
        connection = store.connect(file, "FULL")
        connection.execute("PRAGMA max_page_count=40")  # of 32 KB
        return connection

    async with publisher_over(file, on_a_small_disk) as publisher:
        owned = 0
        with pytest.raises(StreamUnavailable, match="full"):  # noqa: PT012 - which one fails is not ours to know
            for number in range(100):
                await publisher.publish("raw", some(1, number, size=50_000))
                owned += 1
        assert owned > 5
        assert not publisher.ready
        async with embedded_subscriber(tmp_path, LIMITS, "raw", 100) as subscriber:
            got = await take(subscriber, owned)
            assert ids(got) == [f"id-{n}" for n in range(owned)]
            await subscriber.ack(got)
        await publisher.publish("raw", some(1))  # room again
        assert await _becomes_ready(publisher)


#: Publishes until the disk is full, then consumes all of it; says how much of each.
_FILL = """
import asyncio, sys
from pathlib import Path
from shared.settings import StreamLimits
from shared.stream.contract import StreamUnavailable
from shared.stream.embedded import embedded_publisher, embedded_subscriber
from tests.shared.messages import some

async def main(folder):
    async with (
        embedded_publisher(folder, StreamLimits()) as publisher,
        embedded_subscriber(folder, StreamLimits(), "raw", 1000) as subscriber,
    ):
        published = consumed = 0
        try:
            while True:
                await publisher.publish("raw", some(1, published, size=200_000))
                published += 1
        except StreamUnavailable as error:
            print(error)
        while got := await subscriber.receive(50, 2):
            await subscriber.ack(got)
            consumed += len(got)
        print(published > 50, consumed == published)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_what_filled_a_disk_is_consumed_all_the_same(tmp_path: Path) -> None:
    """Taking something off a queue is written too."""
    separate = namespace()
    if separate is None:
        pytest.skip("needs the right to mount a file system, as root or in a user namespace")
    small = [*separate, "sh", "-c", SMALL, "sh", str(tmp_path), "100", sys.executable, "-c", _FILL, str(tmp_path)]
    done = subprocess.run(small, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[1:] == ["True True"], done.stdout + done.stderr
    assert done.stdout.startswith(f"the disk of {tmp_path} has no room: ")


async def _becomes_ready(publisher: EmbeddedPublisher) -> bool:
    async def ready() -> bool:
        return publisher.ready

    await eventually(ready)
    return True


async def test_publishing_at_once_shares_commits(file: Path) -> None:
    commits: list[str] = []

    def watched() -> sqlite3.Connection:
        connection = store.connect(file, "FULL")
        connection.set_trace_callback(lambda statement: commits.append(statement) if statement == "COMMIT" else None)
        return connection

    async with publisher_over(file, watched) as publisher:
        await asyncio.gather(*(publisher.publish("raw", some(1, number)) for number in range(500)))
        assert len(commits) < 50
        await publisher.publish("raw", some(1, 1000))
    assert commits


async def test_one_call_that_fails_does_not_fail_the_calls_that_shared_its_commit(file: Path) -> None:
    async with publisher_over(file, lambda: store.connect(file, "FULL")) as publisher:
        wrong = [type(some(1)[0])(b"", "id", 2**70, "t", "c")]  # no integer of SQLite
        results = await asyncio.gather(
            publisher.publish("raw", some(1)),
            publisher.publish("raw", wrong),
            publisher.publish("raw", some(1, 1)),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [type(None), OverflowError, type(None)]


async def test_the_log_keeps_what_its_age_and_size_allow(tmp_path: Path, file: Path) -> None:
    now = 0
    limits = StreamLimits(log_max_bytes=20_000, log_max_age_hours=1)
    async with (
        publisher_over(file, lambda: store.connect(file, "FULL"), limits, lambda: now, trim_s=0) as publisher,
        embedded_log(tmp_path, "bad-rows") as log,
    ):

        async def kept() -> list[str]:
            return [record.message.message_id for record in await log.read(None, 1000)]

        async def trimmed_to(first: int, last: int) -> bool:
            return await kept() == [f"id-{n}" for n in range(first, last)]

        await publisher.publish("bad", some(30, 0, size=780))
        await eventually(lambda: trimmed_to(10, 30))
        now = 2 * 3_600_000
        await publisher.publish("bad", some(5, 30, size=780))
        await eventually(lambda: trimmed_to(30, 35))


async def test_a_file_of_another_layout_is_refused(tmp_path: Path, file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(Misconfigured, match="layout 99"):
        async with embedded_publisher(tmp_path, LIMITS):
            pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stream.sqlite").write_bytes(b"something else entirely " * 100)
    with pytest.raises(Misconfigured, match=r"stream\.sqlite"):
        async with embedded_publisher(tmp_path, LIMITS):
            pass


async def test_a_file_that_is_damaged_further_on_is_named(tmp_path: Path) -> None:
    async with embedded_publisher(tmp_path, LIMITS) as publisher:
        await publisher.publish("raw", some(40, size=20_000))
    file = tmp_path / "stream.sqlite"
    with file.open("r+b") as damaged:
        for page in range(2, file.stat().st_size // _PAGE):
            damaged.seek(page * _PAGE)
            damaged.write(b"\xff" * 200)
    with pytest.raises(Misconfigured, match=r"stream\.sqlite: .*malformed"):
        async with embedded_subscriber(tmp_path, LIMITS, "raw", 100) as subscriber:
            await subscriber.receive(100, 1)
    with pytest.raises(Misconfigured, match=r"stream\.sqlite: .*malformed"):
        async with embedded_publisher(tmp_path, LIMITS) as publisher:
            await publisher.publish("raw", some(1))


@pytest.mark.parametrize("damage", ["message_id = CAST(X'ff' AS TEXT)", "headers = '{'"])
async def test_a_text_that_is_damaged_is_named_too(file: Path, tmp_path: Path, damage: str) -> None:
    async with embedded_publisher(tmp_path, LIMITS) as publisher:
        await publisher.publish("raw", some(1))
    connection = store.connect(file, "FULL")
    connection.execute(f"UPDATE message SET {damage}")
    connection.close()
    with pytest.raises(Misconfigured, match=r"stream\.sqlite: .*; move it away"):
        async with embedded_subscriber(tmp_path, LIMITS, "raw", 100) as subscriber:
            await subscriber.receive(100, 1)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Misconfigured):
        async with embedded_publisher(tmp_path / "file" / "folder", LIMITS):
            pass


async def test_a_locked_file_is_an_outage(file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    async with publisher_over(file, lambda: store.connect(file, "FULL")) as publisher:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StreamUnavailable, match="locked"):
            await publisher.publish("raw", some(1))
        other.execute("ROLLBACK")
        await publisher.publish("raw", some(1))
    other.close()


async def test_while_what_was_given_up_is_still_to_be_written_it_takes_nothing_more(file: Path) -> None:
    """Else a disk that hangs would fill the memory with what nobody waits for any more."""
    may_go_on = threading.Event()
    thread = CommitThread(lambda: store.connect(file, "FULL"), "hangs", 1.0)
    publisher = EmbeddedPublisher(thread, file, LIMITS, now_ms, Upkeep(file, LIMITS, now_ms))
    hanging = thread.write(lambda _connection: may_go_on.wait(20))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await publisher.publish("raw", some(1))
    assert not publisher.ready
    may_go_on.set()
    await hanging

    async def is_ready() -> bool:
        return publisher.ready

    await eventually(is_ready)
    assert (await thread.read(lambda connection: store.amount(connection, "raw")))[0] == 1
    await publisher.close()


async def test_many_processes_may_open_it_at_once(tmp_path: Path) -> None:
    async def use(number: int) -> None:
        async with (
            embedded_publisher(tmp_path, LIMITS) as publisher,
            embedded_subscriber(tmp_path, LIMITS, "raw", 10) as subscriber,
        ):
            await publisher.publish("raw", some(1, number))
            await subscriber.ack(await take(subscriber, 1))

    await asyncio.gather(*(use(number) for number in range(20)))
    async with embedded_subscriber(tmp_path, LIMITS, "raw", 10) as subscriber:
        assert await subscriber.receive(10, 0) == []


def test_a_presence_lasts_as_long_as_its_owner(tmp_path: Path) -> None:
    with alone(tmp_path):
        presence = Presence(tmp_path, "consumer")
        Presence(tmp_path, "other").end()
        sweep(tmp_path)
        (tmp_path / "consumers" / "dead").touch()
        assert (lives(tmp_path, "consumer"), lives(tmp_path, "other"), lives(tmp_path, "dead")) == (True, False, False)
        sweep(tmp_path)
        assert [found.name for found in (tmp_path / "consumers").iterdir()] == ["consumer"]
        presence.end()
        assert not lives(tmp_path, "consumer")


async def test_a_consumer_waits_while_the_file_takes_nothing_and_forgets_nothing(tmp_path: Path, file: Path) -> None:
    async with embedded_publisher(tmp_path, LIMITS) as publisher:
        await publisher.publish("raw", some(3))
        with alone(tmp_path):
            presence = Presence(tmp_path, "consumer")
        thread = CommitThread(lambda: store.connect(file, "NORMAL"), "consumer of a test", 1.0)
        subscriber = EmbeddedSubscriber(thread, file, presence, "raw", 10, LIMITS)
        first, second, third = await take(subscriber, 3)
        await thread.read(lambda connection: connection.execute("PRAGMA query_only=ON").fetchall())
        await subscriber.ack([first])
        await subscriber.release([second])
        await subscriber.bury([third], "poison")
        await publisher.publish("raw", some(1, 3))
        assert await subscriber.receive(10, 0.3) == []
        await thread.read(lambda connection: connection.execute("PRAGMA query_only=OFF").fetchall())
        assert sorted(ids(await take(subscriber, 2))) == ["id-1", "id-3"]
        await subscriber.close()
    async with embedded_dead_letters(tmp_path, "raw") as dead:
        assert [message.message_id for message in await dead.peek(10)] == ["id-2"]


async def test_a_look_at_a_quiet_file_costs_no_question(file: Path) -> None:
    watch = Watch(file)
    asked = 0

    async def ask() -> list[int]:
        nonlocal asked
        asked += 1
        return []

    connection = store.connect(file, "NORMAL")
    try:
        connection.execute("PRAGMA user_version=1")
        await look(watch, ask, 0.4)
        asked = 0
        await look(watch, ask, 0.3)
        assert asked <= 3
        asked = 0
        connection.execute("PRAGMA user_version=1")
        await look(watch, ask, 0.1)
        assert asked >= 2
    finally:
        connection.close()


async def test_a_file_that_can_not_be_opened_at_first_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "absent" / "stream.sqlite"
    thread = CommitThread(lambda: store.connect(file, "FULL"), "opens late", 1.0)
    async with asyncio.timeout(5):
        with pytest.raises(StreamUnavailable, match="unable to open"):
            await thread.write(lambda connection: connection.execute("SELECT 1").fetchone())
        file.parent.mkdir()
        assert await thread.write(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
        await thread.close()
