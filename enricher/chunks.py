"""Outcomes of several raw messages, gathered until they are worth publishing, and the messages made of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from enricher.outcome import Line, Outcome
from shared.identity import uuid5
from shared.stream.contract import Delivery, Message, StreamName
from shared.stream.topology import REPLAY_HEADER

#: Schema names in a message's headers; longer lists are left out, and the reader parses the lines.
_MOST_NAMES: Final = 32_768

_TYPES: Final[dict[StreamName, str]] = {"enriched": "enriched-tsv", "failed": "failed-tsv"}


class ChunkLimits(NamedTuple):
    """Of one message of the enriched or failed stream."""

    events: int
    bytes: int


@dataclass(slots=True)
class Batch:
    """Raw messages that are done, with everything that has to be published before they may be acked."""

    since_ms: int
    deliveries: list[Delivery] = field(default_factory=list)
    enriched: list[Line] = field(default_factory=list)
    failed: list[Line] = field(default_factory=list)
    bad: list[Message] = field(default_factory=list)
    bytes: int = 0

    def add(self, delivery: Delivery, outcome: Outcome, now_ms: int) -> None:
        self.deliveries.append(delivery)
        self.enriched += outcome.enriched
        self.failed += outcome.failed
        source = delivery.message.message_id
        for number, row in enumerate(outcome.bad):
            headers = {"type": row.type}
            identity = stable_id(source, f"bad.{number}")
            self.bad.append(Message(row.body, identity, now_ms, "bad-row", "application/json", headers))
        self.bytes += weight(outcome)

    def messages(self, limits: ChunkLimits, now_ms: int) -> list[tuple[StreamName, list[Message]]]:
        """What to publish, by stream. The same batch makes the same ids."""
        first, last = self.deliveries[0].message.message_id, self.deliveries[-1].message.message_id
        replays = [
            one.message.headers[REPLAY_HEADER] for one in self.deliveries if REPLAY_HEADER in one.message.headers
        ]
        passed_on = {REPLAY_HEADER: replays[0]} if replays else {}
        made: list[tuple[StreamName, list[Message]]] = [("bad", self.bad)] if self.bad else []
        chunked: tuple[tuple[StreamName, list[Line]], ...] = (("enriched", self.enriched), ("failed", self.failed))
        for stream, lines in chunked:
            if lines:
                name = f"{stream}.{len(self.deliveries)}.{last}"
                chunks = enumerate(split(lines, limits))
                made.append(
                    (stream, [_chunk(stream, c, stable_id(first, f"{name}.{n}"), now_ms, passed_on) for n, c in chunks])
                )
        return made


def weight(outcome: Outcome) -> int:
    """Bytes that an outcome adds to its chunk."""
    return sum([len(line.body) + 1 for line in outcome.enriched])


def as_uuid(message_id: str) -> str:
    """The id itself; producers that set none, or none that is a UUID, are borne with."""
    try:
        return str(UUID(message_id))
    except ValueError:
        return uuid5(str(UUID(int=0)), message_id)


def stable_id(message_id: str, name: str) -> str:
    """A UUID that derives from a raw message's id."""
    return uuid5(as_uuid(message_id), name)


def split(lines: Sequence[Line], limits: ChunkLimits) -> Iterator[Sequence[Line]]:
    """Even pieces within the limits; a line above the byte limit is a piece of its own."""
    pieces = max(-(-len(lines) // limits.events), -(-sum(len(line.body) for line in lines) // limits.bytes))
    bounds = [len(lines) * number // pieces for number in range(pieces + 1)]
    for start, end in pairwise(bounds):
        if start < end:
            yield from _within(lines[start:end], limits.bytes)


def _within(lines: Sequence[Line], most_bytes: int) -> Iterator[Sequence[Line]]:
    start = size = 0
    for position, line in enumerate(lines):
        size += len(line.body) + 1
        if size > most_bytes and position > start:
            yield lines[start:position]
            start, size = position, len(line.body) + 1
    yield lines[start:]


def _chunk(
    stream: StreamName, lines: Sequence[Line], message_id: str, now_ms: int, passed_on: Mapping[str, int | str]
) -> Message:
    headers: dict[str, int | str] = {"events": len(lines), **passed_on}
    events = {line.event_schema for line in lines if line.event_schema}
    entities = {uri for line in lines for uri in line.entity_schemas}
    names = {"event_schemas": " ".join(sorted(events)), "entity_schemas": " ".join(sorted(entities))}
    if sum(map(len, names.values())) <= _MOST_NAMES:
        headers |= names
    body = b"\n".join([line.body for line in lines])
    return Message(body, message_id, now_ms, _TYPES[stream], "text/tab-separated-values", headers)
