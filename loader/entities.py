"""The self-describing JSON of a line, cut into its entities without being parsed.

An entity is the bytes it came as, the part between `{"schema":"iglu:` and its closing brace, escaped for quoted
text in TSV: `com.acme/cart/jsonschema/1-0-2","data":{"name":"Tim\\'s"}`.

Cutting relies on the form that enrichers write (no white space, `schema` before `data`) and looks only at where
cells and arrays begin and end. A cut at the wrong place leaves no JSON on either side, which the store refuses
whatever it is; then the chunk is read again with `careful`, which parses.
"""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

#: Between an entity's schema and its data.
DATA = b'","data":'

_ENTITY = b'{"schema":"iglu:'
_BETWEEN = b"}," + _ENTITY
_CONTEXTS = tuple(
    b'{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/%s","data":[%s' % (version, _ENTITY)
    for version in (b"1-0-1", b"1-0-0")
)
_EVENT = b'{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":' + _ENTITY
_CONTEXTS_FAMILY = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-"
_EVENT_FAMILY = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-"


class NotSelfDescribing(ValueError):
    """The column does not hold what it is for; the message is the one of a bad row."""


def contexts(column: Sequence[bytes], careful: bool = False) -> list[list[bytes]]:
    """The entities of every cell of a `contexts` or `derived_contexts` column. Raises NotSelfDescribing."""
    start = None if careful else next((start for start in _CONTEXTS if _regular(column, start)), None)
    if start is not None:
        return [cell[len(start) : -3].split(_BETWEEN) if cell else [] for cell in _escaped(column)]
    if len(column) > 1:
        return [contexts([cell], careful)[0] for cell in column]
    return [_parsed_contexts(column[0])]


def events(column: Sequence[bytes], careful: bool = False) -> list[bytes]:
    """The entity of every cell of the `unstruct_event` column, b"" where there is none. Raises NotSelfDescribing."""

    def cut(cell: bytes) -> bytes:
        return cell[len(_EVENT) : -2] if _is_event(cell) and not careful else _parsed_event(cell)

    return list(_escaped([cut(cell) if cell else b"" for cell in column]))


def _regular(column: Sequence[bytes], start: bytes) -> bool:
    """Whether each filled cell is a wrapped array of entities, and no other array begins with one."""
    filled = list(filter(None, column))
    wrapped = all(cell.startswith(start) and cell.endswith(b"}]}") for cell in filled)
    return wrapped and b"\n".join(filled).count(b"[" + _ENTITY) == len(filled)


def _escaped(column: Sequence[bytes]) -> Sequence[bytes]:
    text = b"\n".join(column)
    if b"\\" not in text and b"'" not in text:
        return column
    return text.replace(b"\\", b"\\\\").replace(b"'", b"\\'").split(b"\n")


def _is_event(cell: bytes) -> bool:
    behind_schema = cell.find(b'"', len(_EVENT))
    return cell.startswith(_EVENT) and cell.startswith(DATA, behind_schema) and cell.endswith(b"}}")


def _parsed_contexts(cell: bytes) -> list[bytes]:
    if not cell:
        return []
    document = _document(cell, _CONTEXTS_FAMILY)
    if not isinstance(document["data"], list):
        raise NotSelfDescribing(f"Unknown payload: {document['schema']}")
    return list(_escaped([_entity(entity) for entity in document["data"]])) if document["data"] else []


def _parsed_event(cell: bytes) -> bytes:
    return _entity(_document(cell, _EVENT_FAMILY)["data"])


def _document(cell: bytes, family: str) -> dict[str, Any]:
    document = _self_describing(_json(cell))
    if not document["schema"].startswith(family):
        raise NotSelfDescribing(f"Unknown payload: {document['schema']}")
    return document


def _json(cell: bytes) -> Any:
    """Refuses what the store can't read, though it be JSON: numbers beyond a double, and half surrogate pairs."""
    try:
        return json.loads(cell, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise NotSelfDescribing(f"Cannot parse JSON: {error}") from error


def _finite(literal: str) -> float:
    number = float(literal)
    return number if isfinite(number) else _refuse(literal)


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal[:30]} is no number that can be stored")


def _self_describing(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and isinstance(value.get("schema"), str) and "data" in value:
        return value
    raise NotSelfDescribing("Not a self-describing JSON")


def _entity(value: Any) -> bytes:
    found = _self_describing(value)
    schema: str = found["schema"]
    if not schema.startswith("iglu:"):
        raise NotSelfDescribing(f"Unknown payload: {schema}")
    return schema.removeprefix("iglu:").encode("utf-8", "replace") + DATA + _dumped(found["data"])


def _dumped(data: Any) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise NotSelfDescribing("Cannot parse JSON: half a surrogate pair is no text") from error
