"""The bytes of an INSERT: TSV with the column names in its first line.

An entity goes to the column of its schema's major version as it came, with `_schema_version` put in front of its
own properties. An empty cell takes the column's default.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from loader.chunk import Chunk
from loader.entities import DATA
from loader.warehouse.columns import VERSION_KEY
from shared.event import FIELDS

#: The 128 atomic columns, in the order of the enriched line.
ATOMIC = tuple(field.name for field in FIELDS if field.kind != "json")

#: Holds the data of an entity that is no JSON object.
VALUE_PROPERTY = "_value"


class Slot(NamedTuple):
    """Where the data of one schema goes.

    place: of the column, behind the atomic ones. version: `1-0-3`. inside: in a catch-all column, the name under
    which it goes; None where the schema has a column of its own.
    """

    place: int
    version: str
    inside: str | None = None


class Layout(NamedTuple):
    """The schema columns that an insert names, and the slot of every schema (without `iglu:`) that occurs in it."""

    names: tuple[str, ...]
    contexts: Mapping[bytes, Slot]
    events: Mapping[bytes, Slot]


def header(layout: Layout) -> bytes:
    """The first line of the insert."""
    return "\t".join((*ATOMIC, *layout.names)).encode() + b"\n"


#: A slot made ready for the loop over entities: index in a row, how its objects begin, the name inside a catch-all.
_Target = tuple[int, bytes, str | None]


def rows(chunk: Chunk, layout: Layout) -> bytes:
    """The rows of a chunk, one line each, every one with its line break."""
    contexts, events = _targets(layout.contexts), _targets(layout.events)
    blank = [b""] * (len(layout.names) + 1)
    lines = []
    for atomic, entities, event in zip(chunk.atomic, chunk.contexts, chunk.events, strict=True):
        row = blank.copy()
        row[0] = atomic
        _put_contexts(row, entities, contexts)
        if event:
            _put_event(row, event, events)
        lines.append(b"\t".join(row))
    return b"\n".join((*lines, b""))


def _targets(slots: Mapping[bytes, Slot]) -> dict[bytes, _Target]:
    return {
        key: (slot.place + 1, f'{{"{VERSION_KEY}":"{slot.version}",'.encode(), slot.inside)
        for key, slot in slots.items()
    }


def _put_contexts(row: list[bytes], entities: Iterable[bytes], targets: Mapping[bytes, _Target]) -> None:
    """Put entities into their columns, arrays of quoted objects."""
    caught = []
    for entity in entities:
        key, _, data = entity.partition(DATA)
        place, opening, inside = targets[key]
        item = opening + data[1:] if data[:2] == b'{"' else _unusual(opening, data)
        if inside:
            caught.append((place, inside, item))
            continue
        before = row[place]
        row[place] = b"%b,'%b']" % (before[:-1], item) if before else b"['%b']" % item
    if caught:
        _put_caught(row, caught)


def _put_caught(row: list[bytes], caught: Sequence[tuple[int, str, bytes]]) -> None:
    """Put entities into the catch-all column: an object of arrays, by the column that each would have had."""
    arrays = defaultdict(list)
    for _, inside, item in caught:
        arrays[inside].append(item)
    row[caught[0][0]] = b"{%b}" % b",".join(b'"%b":[%b]' % (key.encode(), b",".join(arrays[key])) for key in arrays)


def _put_event(row: list[bytes], event: bytes, targets: Mapping[bytes, _Target]) -> None:
    key, _, data = event.partition(DATA)
    place, opening, inside = targets[key]
    item = opening + data[1:] if data[:2] == b'{"' else _unusual(opening, data)
    row[place] = b'{"%b":%b}' % (inside.encode(), item) if inside else item


def _unusual(opening: bytes, data: bytes) -> bytes:
    """An object that is empty or begins with white space, or a value that is no object."""
    if not data.startswith(b"{"):
        return b'%b"%b":%b}' % (opening, VALUE_PROPERTY.encode(), data)
    inner = data[1:].lstrip()
    return (opening[:-1] if inner == b"}" else opening) + inner
