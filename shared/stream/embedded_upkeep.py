"""What keeps an embedded stream small and its commits quick: checkpoints, trimmed logs, pages given back.

A thread with a connection of its own, in every process that publishes; several at once do no harm.
"""

import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

from shared.identity import Clock
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import LogName
from shared.stream.topology import retention

#: Between two checkpoints, seconds; and between two looks at what logs need not keep.
CHECKPOINT_S = 0.25
TRIM_S = 30.0

#: Above this many bytes, or when idle, the write-ahead log is cut to nothing instead of being overwritten.
LARGE_WAL = 64_000_000
SMALL_WAL = 1_000_000

#: Records that one transaction of trimming removes at most, and pages that one step gives back to the file system.
TRIM_STEP = 200
VACUUM_PAGES = 256

#: Free pages (of 32 KB) that the file keeps for what comes next.
SPARE_PAGES = 512

_LOGS: tuple[LogName, ...] = ("bad-rows", "raw.archive")


class Upkeep:
    """Works until it is closed."""

    def __init__(self, file: Path, limits: StreamLimits, clock: Clock) -> None:
        self._file = file
        self._limits = limits
        self._clock = clock
        self._closing = threading.Event()
        self._version = -1
        self._next_trim = 0.0
        self._thread = threading.Thread(target=self._run, name="stream-upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        connection = store.connect(self._file, "FULL")
        connection.execute("PRAGMA busy_timeout=5")
        try:
            while not self._closing.wait(CHECKPOINT_S):
                for work in (self._checkpoint, self._trim, _give_back_pages):
                    with suppress(sqlite3.OperationalError):  # busy or full: the next round tries again
                        work(connection)
        finally:
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        idle, self._version = version == self._version, version
        size = self._wal_bytes()
        if size > LARGE_WAL or (idle and size > SMALL_WAL):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        elif not idle:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _wal_bytes(self) -> int:
        try:
            return self._file.with_name(self._file.name + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _trim(self, connection: sqlite3.Connection) -> None:
        if time.monotonic() < self._next_trim:
            return
        self._next_trim = time.monotonic() + TRIM_S
        for log in _LOGS:
            max_bytes, max_age_ms = retention(log, self._limits)
            removed = TRIM_STEP
            while removed == TRIM_STEP and not self._closing.is_set():
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    removed = store.trim(connection, log, max_bytes, self._clock() - max_age_ms, TRIM_STEP)


def _give_back_pages(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA freelist_count").fetchone()[0] > SPARE_PAGES + VACUUM_PAGES:
        connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
