"""What keeps an embedded stream small and its commits quick: checkpoints, trimmed logs, pages given back.

A thread with a connection of its own, in every process that publishes; several at once do no harm.
"""

import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

from shared.identity import Clock
from shared.settings import StreamLimits
from shared.stream import embedded_store as store
from shared.stream.contract import LogName
from shared.stream.topology import retention

#: Between two rounds, seconds; and between two looks at what logs need not keep.
ROUND_S = 0.25
TRIM_S = 30.0

#: Bytes of the write-ahead log above which a round copies it into the file, and above which it begins anew.
SMALL_WAL = 4_000_000
LARGE_WAL = 64_000_000

#: Rounds without a commit of anybody after which the write-ahead log is cut to nothing.
IDLE_ROUNDS = 8

#: Records that one transaction of trimming removes at most, and pages that one step gives back to the file system.
TRIM_STEP = 200
VACUUM_PAGES = 64

#: Free pages (of 32 KB) that the file keeps for what comes next.
SPARE_PAGES = 512

_LOGS: tuple[LogName, ...] = ("bad-rows", "raw.archive")


class Upkeep:
    """Works until it is closed."""

    def __init__(self, file: Path, limits: StreamLimits, clock: Clock, trim_s: float = TRIM_S) -> None:
        self._file = file
        self._limits = limits
        self._clock = clock
        self._closing = threading.Event()
        self._trim_s = trim_s
        self._version = -1
        self._idle_rounds = 0
        self._next_trim = 0.0
        self._thread = threading.Thread(target=self._run, name="stream-upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            with suppress(sqlite3.DatabaseError):  # the file can't be opened just now, or is damaged
                self._work()
            self._closing.wait(ROUND_S)

    def _work(self) -> None:
        with closing(store.connect(self._file, "FULL")) as connection:
            connection.execute("PRAGMA busy_timeout=5")
            while not self._closing.wait(ROUND_S):
                for work in (self._checkpoint, self._trim, _give_back_pages):
                    with suppress(sqlite3.DatabaseError):  # busy, full, damaged elsewhere: the next round tries again
                        work(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        self._idle_rounds = self._idle_rounds + 1 if version == self._version else 0
        self._version = version
        size = store.written_ahead(self._file)
        if size and self._idle_rounds >= IDLE_ROUNDS:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        elif size > SMALL_WAL and not self._idle_rounds:
            copy_log(connection, LARGE_WAL)

    def _trim(self, connection: sqlite3.Connection) -> None:
        if time.monotonic() < self._next_trim:
            return
        self._next_trim = time.monotonic() + self._trim_s
        for log in _LOGS:
            max_bytes, max_age_ms = retention(log, self._limits)
            removed = TRIM_STEP
            while removed == TRIM_STEP and not self._closing.is_set():
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    removed = store.trim(connection, log, max_bytes, self._clock() - max_age_ms, TRIM_STEP)


def copy_log(connection: sqlite3.Connection, most: int) -> None:
    """Copy the write-ahead log into the file while others write; above `most` bytes, let it begin anew.

    For that writers have to stop, so all but the last milliseconds is copied before.
    """
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages * page > most:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def _give_back_pages(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA freelist_count").fetchone()[0] > SPARE_PAGES + VACUUM_PAGES:
        # As a script, since `execute` takes one step and each step gives back one page.
        connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
