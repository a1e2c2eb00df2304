"""Effectively once: what names an insert, and which rows may be in the table already.

A row is known by event id and fingerprint, and, where an operator had events enriched again, by the time of that. A
cache never decides alone that a row goes: the table is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from loader.chunk import Chunk
from loader.warehouse.contract import StoredEvent


def token(chunks: Iterable[Chunk], run: str = "") -> str:
    """Names the ordered rows of an insert; the same rows have the same token, however chunks group them, in every run
    of the same name."""
    digest = sha256(run.encode())
    for chunk in chunks:
        pairs = zip(chunk.event_ids, chunk.fingerprints, strict=True)
        digest.update(b"".join([b"%b\t%b\n" % pair for pair in pairs]))
        digest.update(chunk.replay.encode())
    return digest.hexdigest()


def body_token(body: bytes) -> str:
    """Names an insert of rows that have no event ids."""
    return sha256(body).hexdigest()


@dataclass(slots=True)
class Question:
    """What to ask the table before an insert: event ids, and the collector times between which they may be."""

    event_ids: set[str] = field(default_factory=set)
    oldest: str = ""
    newest: str = ""

    def ask(self, chunk: Chunk) -> None:
        """Ask for all events of a chunk, at the times they were collected."""
        if len(chunk):
            self.add(chunk.event_ids, [min(chunk.collected).decode(), max(chunk.collected).decode()])

    def add(self, event_ids: Iterable[bytes], collected: Sequence[str]) -> None:
        """Ask for these events, collected between the oldest and the newest of these times."""
        self.event_ids.update(event_id.decode().lower() for event_id in event_ids)
        self.oldest = min([*collected, self.oldest or collected[0]])
        self.newest = max([*collected, self.newest])


def without(chunk: Chunk, stored: frozenset[StoredEvent]) -> Chunk:
    """The rows of a chunk that the table does not hold."""
    if not stored:
        return chunk
    events = _known_as(chunk)
    if chunk.replay:
        times = [StoredEvent(*event, time.decode()) for event, time in zip(events, chunk.enriched(), strict=True)]
        rows = [row for row, event in enumerate(times) if event not in stored]
    else:
        known = _pairs(stored)
        rows = [row for row, event in enumerate(events) if event not in known]
    return chunk if len(rows) == len(chunk) else chunk.take(rows)


def clashes(chunk: Chunk, stored: frozenset[StoredEvent]) -> int:
    """Rows whose event id is stored with another fingerprint: synthetic duplicates, which are kept."""
    if not stored:
        return 0
    known = _pairs(stored)
    ids = {event_id for event_id, _ in known}
    return sum(event[0] in ids and event not in known for event in _known_as(chunk))


def _pairs(stored: frozenset[StoredEvent]) -> set[tuple[str, str]]:
    return {(event.event_id, event.fingerprint) for event in stored}


def _known_as(chunk: Chunk) -> list[tuple[str, str]]:
    pairs = zip(chunk.event_ids, chunk.fingerprints, strict=True)
    return [(event_id.decode().lower(), fingerprint.decode("utf-8", "replace")) for event_id, fingerprint in pairs]
