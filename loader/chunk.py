"""A chunk of enriched lines, taken apart by columns: what can be stored, and which lines can't.

All lines are handled together by operations that run in C; only when something is wrong with a chunk are its lines
looked at one by one. Nothing is decoded or serialised again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from loader import cells, entities
from shared.event import FIELDS, INDEX, WIDTH
from shared.schema import InvalidIgluUri, SchemaKey

T = TypeVar("T")

_CONTEXTS, _EVENT, _DERIVED = INDEX["contexts"], INDEX["unstruct_event"], INDEX["derived_contexts"]
_EVENT_ID, _FINGERPRINT, _COLLECTED = INDEX["event_id"], INDEX["event_fingerprint"], INDEX["collector_tstamp"]
_ENRICHED = INDEX["etl_tstamp"]

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

    body: the lines as they came. atomic: the 128 atomic cells as escaped TSV. contexts: the entities of `contexts` and
    `derived_contexts`, and events: the self-describing event or b"", as `entities` cuts them. context_keys, event_keys:
    their schemas, without `iglu:`; there may be more than occur. replay: names the time when an operator had its events
    enriched again; "" for what is new.
    """

    body: bytes
    atomic: list[bytes]
    contexts: list[list[bytes]]
    events: list[bytes]
    context_keys: frozenset[bytes]
    event_keys: frozenset[bytes]
    event_ids: list[bytes]
    fingerprints: list[bytes]
    collected: list[bytes]
    bad: list[BadLine]
    replay: str = ""

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
            self.context_keys,
            self.event_keys,
            picked(self.event_ids),
            picked(self.fingerprints),
            picked(self.collected),
            [],
            self.replay,
        )

    def enriched(self) -> list[bytes]:
        """etl_tstamp of each line."""
        return [line.split(b"\t", _ENRICHED + 1)[_ENRICHED] for line in self.lines()]


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
    for place, cut in ((_CONTEXTS, _contexts_of), (_EVENT, _event_of), (_DERIVED, _contexts_of)):
        try:
            _keys(filter(None, cut(row[place])))
        except entities.NotSelfDescribing as error:
            found.append(cells.invalid_value(FIELDS[place].name, row[place], str(error)))
    return found


def _contexts_of(cell: bytes) -> list[bytes]:
    return entities.contexts([cell], careful=True)[0]


def _event_of(cell: bytes) -> list[bytes]:
    return entities.events([cell], careful=True)


def _read(body: bytes, careful: bool) -> Chunk | None:
    if not body:
        return Chunk(b"", [], [], [], frozenset(), frozenset(), [], [], [], [])
    flat = body.replace(b"\n", _BREAK).split(b"\t")
    if not _regular(flat) or not cells.sound(flat, _STRIDE):
        return None
    given, derived, own = (flat[place::_STRIDE] for place in (_CONTEXTS, _DERIVED, _EVENT))
    event_ids, fingerprints, collected = (flat[place::_STRIDE] for place in (_EVENT_ID, _FINGERPRINT, _COLLECTED))
    atomic = _atomic(flat)
    del flat  # its many thousand cells, before the collector of garbage visits them for every few hundred lists
    try:
        contexts = entities.contexts(given, careful)
        for row, more in zip(contexts, entities.contexts(derived, careful), strict=True):
            row.extend(more)
        events = entities.events(own, careful)
        context_keys, event_keys = _keys(chain.from_iterable(contexts)), _keys(filter(None, events))
    except entities.NotSelfDescribing:
        return None
    return Chunk(body, atomic, contexts, events, context_keys, event_keys, event_ids, fingerprints, collected, [])


def _regular(flat: Sequence[bytes]) -> bool:
    """Whether every line has its 131 cells: then the line breaks, and nothing else, are every 132nd cell."""
    breaks = flat[WIDTH::_STRIDE]
    return len(flat) % _STRIDE == WIDTH and breaks.count(b"\n") == len(breaks)


def _atomic(flat: list[bytes]) -> list[bytes]:
    """The lines without their JSON columns; `flat` is used up."""
    for gone, place in enumerate((_DERIVED, _EVENT, _CONTEXTS)):
        del flat[place :: _STRIDE - gone]
    width, stride = WIDTH - 3, _STRIDE - 3
    return [b"\t".join(flat[at : at + width]).replace(b"\\", b"\\\\") for at in range(0, len(flat), stride)]


def _keys(found: Iterable[bytes]) -> frozenset[bytes]:
    """The schemas of entities. Raises NotSelfDescribing where one is none."""
    keys = frozenset([entity.partition(entities.DATA)[0] for entity in found])
    for key in keys:
        schema_key(key)
    return keys


@lru_cache(maxsize=4096)
def schema_key(key: bytes) -> SchemaKey:
    """The schema that an entity names. Raises NotSelfDescribing."""
    uri = "iglu:" + key.decode("utf-8", "replace")
    try:
        return SchemaKey.parse(uri)
    except InvalidIgluUri as error:
        raise entities.NotSelfDescribing(f"Unknown payload: {uri}") from error
