"""A chunk of enriched lines, taken apart by columns: what can be stored, and which lines can't.

All lines are handled together by operations that run in C; only when something is wrong with a chunk are its lines
looked at one by one. Nothing is decoded or serialised again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from loader import cells, entities
from shared.event import FIELDS, INDEX, WIDTH
from shared.schema import InvalidIgluUri, SchemaKey

T = TypeVar("T")

#: One entity: its schema without `iglu:`, a separator, its data (JSON, escaped for quoted text in TSV).
Entity = tuple[bytes, bytes, bytes]

_CONTEXTS, _EVENT, _DERIVED = INDEX["contexts"], INDEX["unstruct_event"], INDEX["derived_contexts"]
_EVENT_ID, _FINGERPRINT, _COLLECTED = INDEX["event_id"], INDEX["event_fingerprint"], INDEX["collector_tstamp"]

#: What stands between two lines once the line breaks are cells of their own.
_BREAK = b"\t\n\t"
_STRIDE = WIDTH + 1

_MOST_FIELDS = 1024  # of a loader_parsing_error's fieldCount


class BadLine(NamedTuple):
    """A line that is no event. `failure` is that of a loader_parsing_error."""

    line: bytes
    failure: dict[str, Any]


@dataclass(slots=True)
class Chunk:
    """The storable lines of a message, column-wise; every sequence has one item a line, in order.

    atomic: the 128 atomic cells as escaped TSV. contexts: the entities of `contexts` and `derived_contexts`.
    events: the self-describing event, with an empty schema where there is none. body: the lines as they came.
    """

    body: bytes
    atomic: list[bytes]
    contexts: list[list[Entity]]
    events: list[Entity]
    event_ids: list[bytes]
    fingerprints: list[bytes]
    collected: list[bytes]
    bad: list[BadLine]

    def __len__(self) -> int:
        return len(self.atomic)

    def lines(self) -> list[bytes]:
        """The storable lines as they came."""
        return self.body.split(b"\n") if self.body else []

    def take(self, rows: Iterable[int]) -> "Chunk":
        """A chunk of these storable lines only."""
        places = list(rows)

        def picked(column: Sequence[T]) -> list[T]:
            return [column[place] for place in places]

        return Chunk(
            b"\n".join(picked(self.lines())),
            picked(self.atomic),
            picked(self.contexts),
            picked(self.events),
            picked(self.event_ids),
            picked(self.fingerprints),
            picked(self.collected),
            [],
        )

    def context_keys(self) -> set[bytes]:
        """The schemas of its entities, without `iglu:`."""
        return {entity[0] for row in self.contexts for entity in row}

    def event_keys(self) -> set[bytes]:
        """The schemas of its self-describing events, without `iglu:`."""
        return {event[0] for event in self.events} - {b""}


def read(body: bytes, careful: bool = False) -> Chunk:
    """Take a chunk apart. Lines that are no event are in `bad`; an empty body has no lines.

    careful: parse all JSON. Costs five times as much; for chunks that the store has refused.
    """
    chunk = _read(body, careful)
    if chunk is not None:
        return chunk
    lines = body.split(b"\n")
    judged = [(line, failure_of(line)) for line in lines]
    chunk = _read(b"\n".join(line for line, failure in judged if failure is None), careful=True)
    if chunk is None:
        raise AssertionError("the judgements of a chunk and of its lines differ")
    chunk.bad = [BadLine(line, failure) for line, failure in judged if failure]
    return chunk


def failure_of(line: bytes) -> dict[str, Any] | None:
    """Why a line is no event, as the failure of a loader_parsing_error; None where it is one."""
    row = line.split(b"\t")
    if len(row) == 1:
        return {"type": "NotTSV"}
    if len(row) != WIDTH:
        return {"type": "FieldNumberMismatch", "fieldCount": min(len(row), _MOST_FIELDS)}
    found = [*cells.errors(row), *_json_errors(row)]
    return {"type": "RowDecodingError", "errors": found} if found else None


def _json_errors(row: Sequence[bytes]) -> list[dict[str, Any]]:
    found = []
    for place, cut in ((_CONTEXTS, _cut_contexts), (_EVENT, _cut_events), (_DERIVED, _cut_contexts)):
        try:
            cut([row[place]], careful=True)
        except entities.NotSelfDescribing as error:
            found.append(cells.invalid_value(FIELDS[place].name, row[place], str(error)))
    return found


def _read(body: bytes, careful: bool) -> Chunk | None:
    if not body:
        return Chunk(b"", [], [], [], [], [], [], [])
    flat = body.replace(b"\n", _BREAK).split(b"\t")
    if not _regular(flat) or not cells.sound(flat, _STRIDE):
        return None
    try:
        contexts = _cut_contexts(flat[_CONTEXTS::_STRIDE], careful)
        derived = _cut_contexts(flat[_DERIVED::_STRIDE], careful)
        events = _cut_events(flat[_EVENT::_STRIDE], careful)
    except entities.NotSelfDescribing:
        return None
    event_ids, fingerprints = flat[_EVENT_ID::_STRIDE], flat[_FINGERPRINT::_STRIDE]
    collected = flat[_COLLECTED::_STRIDE]
    both = [tracked + added for tracked, added in zip(contexts, derived, strict=True)]
    return Chunk(body, _atomic(flat), both, events, event_ids, fingerprints, collected, [])


def _regular(flat: Sequence[bytes]) -> bool:
    """Whether every line has its 131 cells: then the line breaks, and nothing else, are every 132nd cell."""
    breaks = flat[WIDTH::_STRIDE]
    return len(flat) % _STRIDE == WIDTH and breaks.count(b"\n") == len(breaks)


def _atomic(flat: list[bytes]) -> list[bytes]:
    """The lines without their JSON columns; `flat` is used up."""
    for gone, place in enumerate((_DERIVED, _EVENT, _CONTEXTS)):
        del flat[place :: _STRIDE - gone]
    return b"\t".join(flat).replace(b"\\", b"\\\\").split(_BREAK)


def _cut_contexts(column: Sequence[bytes], careful: bool) -> list[list[Entity]]:
    rows = [[piece.partition(entities.DATA) for piece in row] for row in entities.contexts(column, careful)]
    for key in {entity[0] for row in rows for entity in row}:
        schema_key(key)
    return rows


def _cut_events(column: Sequence[bytes], careful: bool) -> list[Entity]:
    rows = [piece.partition(entities.DATA) for piece in entities.events(column, careful)]
    for key in {entity[0] for entity in rows} - {b""}:
        schema_key(key)
    return rows


@lru_cache(maxsize=4096)
def schema_key(key: bytes) -> SchemaKey:
    """The schema that an entity names. Raises NotSelfDescribing."""
    uri = "iglu:" + key.decode("utf-8", "replace")
    try:
        return SchemaKey.parse(uri)
    except InvalidIgluUri as error:
        raise entities.NotSelfDescribing(f"Unknown payload: {uri}") from error
