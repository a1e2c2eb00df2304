"""The tables of an embedded stream and every statement on them. Each function is one step of a transaction.

A body is written once, in `message` or `record`, and never rewritten; who holds it and how often it was lent stands
beside it in `entry`, so that lending a chunk of megabytes writes bytes, not megabytes.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ujson

from shared.stream.contract import LogRecord, Message, QueueName
from shared.stream.topology import MARKS, REASON_HEADER, SOURCE_QUEUE_HEADER, dead_queue

#: Of the tables below; a file with another number was written by another version of evnt.
VERSION = 1

_TABLES = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL, timestamp_ms INTEGER NOT NULL, type TEXT NOT NULL, content_type TEXT NOT NULL,
    headers TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, queue TEXT NOT NULL, size INTEGER NOT NULL, owner TEXT, attempts INTEGER NOT NULL);
CREATE INDEX waiting ON entry (queue, id) WHERE owner IS NULL;
CREATE INDEX lent ON entry (queue, owner) WHERE owner IS NOT NULL;
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL, stored_ms INTEGER NOT NULL, size INTEGER NOT NULL,
    message_id TEXT NOT NULL, timestamp_ms INTEGER NOT NULL, type TEXT NOT NULL, content_type TEXT NOT NULL,
    headers TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX kept ON record (log, id, stored_ms, size);
CREATE TABLE amount (name TEXT PRIMARY KEY, messages INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
"""

#: Bytes that a message takes beside its body, about.
OVERHEAD = 200

_PUT = "INSERT INTO message (message_id, timestamp_ms, type, content_type, headers, body) VALUES (?, ?, ?, ?, ?, ?)"
_RECORD = (
    "INSERT INTO record (log, stored_ms, size, message_id, timestamp_ms, type, content_type, headers, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FETCH = "SELECT message_id, timestamp_ms, type, content_type, headers, body FROM message WHERE id = ?"
_READ = (
    "SELECT message_id, timestamp_ms, type, content_type, headers, body, id FROM record"
    " WHERE log = ? AND id > ? ORDER BY id LIMIT ?"
)
_GIVE_BACK = "SELECT id, attempts FROM entry WHERE queue = ? AND owner = ?"
_LISTED = " AND id IN (SELECT value FROM json_each(?))"

Row = tuple[str, int, str, str, str, bytes]


@dataclass(frozen=True, slots=True)
class Lent:
    """A message lent to a consumer: its row, deliveries so far, and the message."""

    id: int
    attempts: int
    message: Message


def connect(file: Path, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """A connection that commits nothing by itself and leaves checkpoints to the upkeep.

    FULL syncs every commit, for what must not be lost. NORMAL loses the last commits with the power, never the
    file's consistency: enough for leases and acks, whose loss is a redelivery.
    """
    connection = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
    for pragma in (
        f"synchronous={synchronous}",
        "wal_autocheckpoint=0",
        "secure_delete=OFF",
        "cache_size=-16000",
        "temp_store=MEMORY",
        "busy_timeout=0",  # waiting for others is done in embedded_thread, in smaller steps than SQLite's
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def create(file: Path) -> int:
    """Make the tables if the file has none; returns the version of those that are there. Run it alone."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for pragma in ("page_size=32768", "auto_vacuum=INCREMENTAL", "journal_mode=WAL"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        return version or VERSION
    finally:
        connection.close()


def written_ahead(file: Path) -> int:
    """Bytes of the file's write-ahead log."""
    try:
        return file.with_name(file.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def rows(messages: Iterable[Message]) -> list[Row]:
    """Messages as the columns that they have in `message` and `record`."""
    return [
        (m.message_id, m.timestamp_ms, m.type, m.content_type, ujson.dumps(dict(m.headers)), m.body) for m in messages
    ]


def put(connection: sqlite3.Connection, queue: str, new: Sequence[Row], max_bytes: int) -> bool:
    """Append to a queue; False, and nothing done, when that is full."""
    size = sum(len(row[5]) for row in new) + OVERHEAD * len(new)
    held = amount(connection, queue)[1]
    if held and held + size > max_bytes:
        return False
    for row in new:
        number = connection.execute(_PUT, row).lastrowid
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, NULL, 0)", (number, queue, len(row[5]) + OVERHEAD))
    _change(connection, queue, len(new), size)
    return True


def record(connection: sqlite3.Connection, log: str, new: Sequence[Row], now_ms: int) -> None:
    """Append to a log."""
    connection.executemany(_RECORD, [(log, now_ms, len(row[5]) + OVERHEAD, *row) for row in new])
    _change(connection, log, len(new), sum(len(row[5]) for row in new) + OVERHEAD * len(new))


def amount(connection: sqlite3.Connection, name: str) -> tuple[int, int]:
    """Messages and bytes in a queue or log."""
    found = connection.execute("SELECT messages, bytes FROM amount WHERE name = ?", (name,)).fetchone()
    return found or (0, 0)


def is_waiting(connection: sqlite3.Connection, queue: str) -> bool:
    """Whether the queue holds something that nobody was lent."""
    query = "SELECT 1 FROM entry WHERE queue = ? AND owner IS NULL LIMIT 1"
    return connection.execute(query, (queue,)).fetchone() is not None


def lend(connection: sqlite3.Connection, queue: str, owner: str, limit: int) -> list[tuple[int, int]]:
    """Give the oldest waiting messages to a consumer: row and deliveries of each."""
    lent: list[tuple[int, int]] = connection.execute(
        "UPDATE entry SET owner = ?, attempts = attempts + 1 WHERE id IN"
        " (SELECT id FROM entry WHERE queue = ? AND owner IS NULL ORDER BY id LIMIT ?) RETURNING id, attempts",
        (owner, queue, limit),
    ).fetchall()
    return sorted(lent)


def fetch(connection: sqlite3.Connection, lent: Iterable[tuple[int, int]]) -> list[Lent]:
    """The messages that were lent."""
    return [Lent(i, n, message(connection.execute(_FETCH, (i,)).fetchone())) for i, n in lent]


def message(row: Row) -> Message:
    """A message from its columns."""
    return Message(row[5], row[0], row[1], row[2], row[3], ujson.loads(row[4]))


def settle(connection: sqlite3.Connection, queue: str, owner: str, ids: Sequence[int]) -> None:
    """Remove what a consumer is done with; what it no longer holds stays."""
    gone = connection.execute(
        "DELETE FROM entry WHERE id IN (SELECT value FROM json_each(?)) AND owner = ? RETURNING id, size",
        (ujson.dumps(ids), owner),
    ).fetchall()
    connection.executemany("DELETE FROM message WHERE id = ?", [(row[0],) for row in gone])
    _change(connection, queue, -len(gone), -sum(row[1] for row in gone))


def give_back(
    connection: sqlite3.Connection, queue: QueueName, owner: str, ids: Sequence[int] | None, limit: int
) -> None:
    """Let others have what a consumer holds (None: all of it); what was lent more than `limit` + 1 times is poison."""
    query = _GIVE_BACK if ids is None else _GIVE_BACK + _LISTED
    listed = () if ids is None else (ujson.dumps(ids),)
    held = connection.execute(query, (queue, owner, *listed)).fetchall()
    poison = [row[0] for row in held if row[1] > limit]
    bury(connection, queue, owner, poison, f"delivery limit: redelivered {limit} times without success")
    live = [(row[0],) for row in held if row[1] <= limit]
    connection.executemany("UPDATE entry SET owner = NULL WHERE id = ?", live)


def forgive(connection: sqlite3.Connection, owner: str, ids: Sequence[int]) -> None:
    """Let others have what a consumer was lent but never saw, as if it had not been lent."""
    connection.executemany(
        "UPDATE entry SET owner = NULL, attempts = attempts - 1 WHERE id = ? AND owner = ?", [(i, owner) for i in ids]
    )


def bury(connection: sqlite3.Connection, queue: QueueName, owner: str, ids: Sequence[int], reason: str) -> None:
    """Move what a consumer holds to the queue's dead queue, with the reason in its headers."""
    dead = dead_queue(queue)
    patch = ujson.dumps({SOURCE_QUEUE_HEADER: queue, REASON_HEADER: reason})
    for number in ids:
        moved = connection.execute(
            "UPDATE entry SET queue = ?, owner = NULL WHERE id = ? AND owner = ? RETURNING size", (dead, number, owner)
        ).fetchone()
        if moved:
            connection.execute("UPDATE message SET headers = json_patch(headers, ?) WHERE id = ?", (patch, number))
            _change(connection, queue, -1, -moved[0])
            _change(connection, dead, 1, moved[0])


def peek(connection: sqlite3.Connection, queue: str, limit: int) -> list[Message]:
    """The oldest messages of a queue, which nobody is lent."""
    query = "SELECT id, attempts FROM entry WHERE queue = ? AND owner IS NULL ORDER BY id LIMIT ?"
    return [one.message for one in fetch(connection, connection.execute(query, (queue, limit)).fetchall())]


def move(connection: sqlite3.Connection, source: str, target: str, limit: int) -> int:
    """Give the oldest messages of a dead queue to another one, as if they had never been lent."""
    unmarked = ujson.dumps(dict.fromkeys(MARKS))
    moved = connection.execute(
        "UPDATE entry SET queue = ?, attempts = 0 WHERE id IN"
        " (SELECT id FROM entry WHERE queue = ? AND owner IS NULL ORDER BY id LIMIT ?) RETURNING id, size",
        (target, source, limit),
    ).fetchall()
    connection.executemany(
        "UPDATE message SET headers = json_patch(headers, ?) WHERE id = ?", [(unmarked, row[0]) for row in moved]
    )
    for name, sign in ((source, -1), (target, 1)):
        _change(connection, name, sign * len(moved), sign * sum(row[1] for row in moved))
    return len(moved)


def purge(connection: sqlite3.Connection, queue: str) -> int:
    """Remove everything of a queue that nobody is lent."""
    query = "DELETE FROM entry WHERE queue = ? AND owner IS NULL RETURNING id, size"
    gone = connection.execute(query, (queue,)).fetchall()
    connection.executemany("DELETE FROM message WHERE id = ?", [(row[0],) for row in gone])
    _change(connection, queue, -len(gone), -sum(row[1] for row in gone))
    return len(gone)


def owners(connection: sqlite3.Connection, queue: str) -> list[str]:
    """The consumers that hold something of the queue."""
    query = "SELECT DISTINCT owner FROM entry WHERE queue = ? AND owner IS NOT NULL"
    return [row[0] for row in connection.execute(query, (queue,))]


def read(connection: sqlite3.Connection, log: str, after: int, limit: int) -> list[LogRecord]:
    """Records of a log above an offset, in order."""
    return [LogRecord(row[6], message(row[:6])) for row in connection.execute(_READ, (log, after, limit))]


def newest(connection: sqlite3.Connection, log: str) -> int | None:
    """Offset of a log's newest record."""
    row: tuple[int | None] = connection.execute("SELECT max(id) FROM record WHERE log = ?", (log,)).fetchone()
    return row[0]


def trim(connection: sqlite3.Connection, log: str, max_bytes: int, stored_before_ms: int, limit: int) -> int:
    """Remove up to `limit` of the oldest records that the log need not keep; returns how many."""
    surplus = amount(connection, log)[1] - max_bytes
    oldest: list[Any] = connection.execute(
        "SELECT id, stored_ms, size FROM record WHERE log = ? ORDER BY id LIMIT ?", (log, limit)
    ).fetchall()
    gone, freed = [], 0
    for number, stored_ms, size in oldest:
        if freed >= surplus and stored_ms >= stored_before_ms:
            break
        gone.append((number,))
        freed += size
    connection.executemany("DELETE FROM record WHERE id = ?", gone)
    _change(connection, log, -len(gone), -freed)
    return len(gone)


def _change(connection: sqlite3.Connection, name: str, messages: int, size: int) -> None:
    if messages:
        connection.execute(
            "INSERT INTO amount VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
            " SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes",
            (name, messages, size),
        )
