"""The disk of ClickHouse runs full under a running loader: real processes, and a small file system of the server's own.

The file system is a tmpfs in a mount namespace of the server: it goes with the process, whatever becomes of the test.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import pytest

from shared.identity import now_ms
from shared.settings import SharedSettings
from tests.clickhouse import PASSWORD, Server, start
from tests.disk import SMALL, namespace
from tests.loader.lines import chunk
from tests.loader.test_worker import PATIENCE_S, Table, publish
from tests.ports import free_port
from tests.vectors import ROOT

#: The server's file system: room for its own needs and for what the test loads.
SIZE_MB = 96

#: What the server keeps free of it.
MIN_FREE_MB = 8

#: Chunks that come while the disk is full, and their rows.
CHUNKS, ROWS = 12, 500


class SmallDisk:
    """The server's file system, as the server sees it."""

    def __init__(self, server: Server) -> None:
        self._folder = Path(f"/proc/{server.process.pid}/root{server.folder}")
        self._ballast = self._folder / "ballast"

    def fill(self, left: int) -> None:
        """Leave so many bytes, whatever the server frees meanwhile."""
        with self._ballast.open("ab") as out, suppress(OSError):
            while True:
                free = shutil.disk_usage(self._folder).free - left
                if free <= 0:
                    break
                out.write(bytes(min(free, 1 << 20)))
                out.flush()

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    separate = namespace()
    if separate is None:
        pytest.skip("needs the right to mount a file system, as root or in a user namespace")
    folder = tmp_path / "clickhouse"
    folder.mkdir()
    extra = {"EVNT_CLICKHOUSE__EMBEDDED__MIN_FREE_MB": str(MIN_FREE_MB)}
    found = start(folder, extra=extra, before=[*separate, "sh", "-c", SMALL, "sh", str(folder), str(SIZE_MB)])
    yield found
    found.stop()


class Loader:
    """A loader process: its log and its metrics."""

    def __init__(self, folder: Path, clickhouse: int) -> None:
        self.port, self._log = free_port(), folder / "loader.log"
        variables = {
            "EVNT_DATA_DIR": str(folder),
            "EVNT_CLICKHOUSE__CONNECTION__PORT": str(clickhouse),
            "EVNT_CLICKHOUSE__CONNECTION__PASSWORD": PASSWORD,
            "EVNT_LOADER__ADMIN__PORT": str(self.port),
            "EVNT_LOADER__BATCH__AGE_MS": "50",
            "EVNT_LOADER__BATCH__ROWS": str(ROWS),
            "EVNT_LOADER__RETRY__FIRST_DELAY_MS": "20",
            "EVNT_LOADER__RETRY__LONGEST_DELAY_MS": "200",
        }
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "loader"], cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=log
            )

    def log(self) -> str:
        return self._log.read_text()

    def ask(self, path: str) -> str:
        """What the admin port answers, whatever its status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            return refused.read().decode()

    def lag_s(self) -> float:
        found = re.search(r'^evnt_loader_lag_seconds\{table="events"\} (\S+)$', self.ask("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest.fixture
async def loader(tmp_path: Path, server: Server) -> AsyncIterator[Loader]:
    found = Loader(tmp_path, server.port)
    yield found
    found.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(found.process.wait, PATIENCE_S) == 0


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - the other side is a process
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("left", [0, 1_000_000], ids=["for-the-insert", "for-a-part"])
async def test_a_full_disk_holds_everything_and_loses_nothing(
    tmp_path: Path, server: Server, loader: Loader, left: int
) -> None:
    shared, table, disk = SharedSettings(data_dir=tmp_path), Table(server, "evnt"), SmallDisk(server)
    await publish(shared, "enriched", chunk(*range(ROWS)))
    await table.until(ROWS)

    await asyncio.to_thread(disk.fill, left)
    filled_ms = now_ms()
    bodies = [chunk(*range(first, first + ROWS)) for first in range(ROWS, ROWS * (CHUNKS + 1), ROWS)]
    await publish(shared, "enriched", *bodies)
    await eventually(lambda: "outage" in loader.log())
    await eventually(lambda: loader.lag_s() > 1)
    earlier = loader.lag_s()
    await eventually(lambda: loader.lag_s() > earlier + 0.5)
    assert loader.lag_s() <= (now_ms() - filled_ms) / 1000
    assert await table.count() < ROWS * (CHUNKS + 1)
    assert re.search(r"outage.*(NOT_ENOUGH_SPACE|[Nn]o space left|not enough space)", loader.log())
    assert re.search("NOT_ENOUGH_SPACE|[Nn]o space left|not enough space", loader.ask("/ready"))
    assert loader.process.poll() is None

    disk.free()
    await table.until(ROWS * (CHUNKS + 1))
    await eventually(lambda: loader.lag_s() == 0)
    assert "outage.over" in loader.log()
    assert await table.count() == await table.count("events_unique") == ROWS * (CHUNKS + 1)
    found = await table.rows("SELECT toUInt32(uniqExact(event_id)) AS n FROM events")
    assert found == [{"n": ROWS * (CHUNKS + 1)}]
    assert await table.count("bad_rows") == 0


async def test_a_disk_that_fills_during_a_merge_spoils_no_part(server: Server) -> None:
    """The engine itself calls a merged part stored of which nothing was written, and forgets what it was made from."""
    disk = SmallDisk(server)
    server.query("CREATE TABLE t (a UInt64, b String CODEC(ZSTD(15))) ENGINE = MergeTree ORDER BY b")
    server.query("SYSTEM STOP MERGES t")
    for part in range(5):
        server.query(f"INSERT INTO t SELECT number, hex(randomString(60)) FROM numbers({part * 40_000}, 40_000)")
    before = server.query("SELECT count(), sum(cityHash64(*)) FROM t")
    server.query("SYSTEM START MERGES t")
    merging = asyncio.create_task(asyncio.to_thread(refusal, server, "OPTIMIZE TABLE t FINAL"))
    await eventually(lambda: merging.done() or merges(server) > 0)
    assert not merging.done()

    await asyncio.to_thread(disk.fill, MIN_FREE_MB << 19)
    await merging
    assert server.query("SELECT count(), sum(cityHash64(*)) FROM t") == before
    inserts = ("INSERT INTO t FORMAT TSV 1\tx", "INSERT INTO t SELECT 1, 'x'")
    for statement in (*inserts, "ALTER TABLE t ADD COLUMN c String"):
        assert "(clickhouse.embedded.min_free_mb)" in refusal(server, statement)

    disk.free()
    await eventually(lambda: not refusal(server, inserts[0]))
    server.query("ALTER TABLE t MODIFY COLUMN b String CODEC(LZ4)")  # it need not take long any more
    await eventually(lambda: not refusal(server, "OPTIMIZE TABLE t FINAL"))
    assert server.query("SELECT count(), sum(cityHash64(*)) FROM t WHERE b != 'x'") == before


def merges(server: Server) -> int:
    """How many the server is at."""
    return int(server.query("SELECT count() FROM system.merges"))


def refusal(server: Server, statement: str) -> str:
    """What the server says against a statement; nothing where it runs it."""
    try:
        server.query(statement)
    except HTTPError as error:
        with error:
            return error.read().decode()
    return ""


@pytest.mark.parametrize("module", ["collector", "loader.warehouse.embedded"])
def test_a_start_on_a_full_disk_is_refused_and_says_so(tmp_path: Path, module: str) -> None:
    separate = namespace()
    if separate is None:
        pytest.skip("needs the right to mount a file system, as root or in a user namespace")
    filled = 'mount -t tmpfs -o size=1m tmpfs "$1" && cat /dev/zero 2>&- >"$1/ballast"; shift && exec "$@"'
    ports = ("EVNT_COLLECTOR__PORT", "EVNT_COLLECTOR__ADMIN__PORT", "EVNT_CLICKHOUSE__CONNECTION__PORT")
    done = subprocess.run(
        [*separate, "sh", "-c", filled, "sh", str(tmp_path), sys.executable, "-m", module],
        env={**os.environ, "EVNT_DATA_DIR": str(tmp_path), **dict.fromkeys(ports, str(free_port()))},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 78, done.stderr
    assert re.fullmatch(r"\S.*(?:is full|No space left on device)\n", done.stderr.splitlines(keepends=True)[-1])
    assert "Traceback" not in done.stderr
