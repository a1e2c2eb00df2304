"""What a recorded request must become, compared with the rows that it became."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from shared.event import FIELDS
from shared.schema import SchemaKey, column_suffix
from tests.vectors import made_up_schemas

#: Network user id of a visitor who asked not to be identified.
ANONYMOUS_ID = "00000000-0000-0000-0000-000000000000"


#: Text columns → longest value that can't fail: what the column holds, and for a URL what its path and query hold.
_LONGEST = {field.name: field.limit for field in FIELDS if field.limit is not None} | {
    "page_url": 3000,
    "page_referrer": 6000,
}

#: Amounts have eighteen places after the point.
_SMALLEST = 1e-18

Row = Mapping[str, Any]


def expected_events(expect: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object an event, what is common to all of them merged in."""
    common = expect.get("common") or {}
    return [{**common, **event} for event in expect.get("events") or []]


def differences(event: Mapping[str, Any], row: Row, ignore: frozenset[str] = frozenset()) -> list[str]:
    """Every field of the expected event that the row does not hold."""
    found = [_field_difference(name, wanted, row) for name, wanted in event.items() if name not in ignore]
    return [text for text in found if text]


#: What a recording may say of a request. Where the schemas come from is the pipeline's configuration.
KNOWN = frozenset(
    (
        *("status", "n_events", "events", "common", "problems", "note"),
        *("sp_cookie", "anonymous", "preflight", "not_a_tracker_request", "payload_schema", "made_up_schemas"),
    )
)

#: What a request consists of. Everything goes over a plain socket, whatever the scheme was.
REQUEST = frozenset(("scheme", "method", "target", "http_version", "headers", "body_b64"))


def mentions(text: str, mark: str) -> bool:
    """127.77.0.1 is not mentioned by 127.77.0.12."""
    return mark in text and re.search(rf"(?<![\d.]){re.escape(mark)}(?![\d.])", text) is not None


def mark_of(event: Mapping[str, Any], address: str) -> str:
    """What tells an event from others: its id, or the address that it has when the tracker sends no id."""
    return str(event.get("event_id") or first_hop(event.get("user_ipaddress") or address))


def problems_of(expect: Mapping[str, Any]) -> list[str]:
    """What the pipeline refuses: what the recording says, and made-up schemas that are not on this machine."""
    absent = [uri for uri in expect.get("made_up_schemas") or [] if not _is_here(uri)]
    return [*(expect.get("problems") or []), *(f"{uri}: schema missing" for uri in absent)]


def _is_here(uri: str) -> bool:
    return any((place / SchemaKey.parse(uri).path).is_file() for place in made_up_schemas())


def refuses_all(problem: str) -> bool:
    """One invalid event in a POST costs all of them."""
    return "/payload_data/" in (problem_schema(problem) or "")


def concerns(event: Mapping[str, Any], problem: str) -> bool:
    """May a problem named by the recording be this event's? Another one of the same schema may be valid."""
    schema = problem_schema(problem)
    if schema is None or refuses_all(problem) or "/unstruct_event/" in schema or "/contexts/" in schema:
        return True
    return schema in {*event.get("contexts", ()), _schema_of(event)}


def too_long(event: Mapping[str, Any]) -> frozenset[str]:
    """Texts too long for their column, or URLs for the columns of their parts: then the event fails, visibly."""
    return frozenset(name for name, limit in _LONGEST.items() if _length(event.get(name)) > limit)


def _length(text: Any) -> int:
    """Characters of a text, or of one of which only the length and the start are recorded."""
    if isinstance(text, dict):
        return int(text["length"])
    return len(_cleaned(text)) if isinstance(text, str) else 0


def problem_schema(problem: str) -> str | None:
    """The Iglu URI that a problem names."""
    match = re.match(r"(iglu:\S+?): ", problem)
    return match[1] if match else None


def _schema_of(event: Mapping[str, Any]) -> str:
    parts = (event.get(f"event_{part}", "") for part in ("vendor", "name", "format", "version"))
    return "iglu:" + "/".join(parts)


def _field_difference(name: str, wanted: Any, row: Row) -> str | None:
    if name == "contexts":
        return _contexts_difference(wanted, row)
    if name.endswith("_ms"):
        name = name.removesuffix("_ms")
        return _report(name, wanted, _milliseconds(row[name]))
    return None if _same(name, wanted, row[name]) else _report(name, wanted, row[name], certain=True)


def _report(name: str, wanted: Any, found: Any, *, certain: bool = False) -> str | None:
    return f"{name}: expected {wanted!r}, found {found!r}" if certain or wanted != found else None


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _same(name: str, wanted: Any, found: Any) -> bool:
    if wanted is None or found is None:
        return wanted is None and found in (None, "")
    if isinstance(wanted, dict):
        return _same_long(wanted, str(found))
    if isinstance(wanted, bool | int | float):
        return abs(float(found) - float(wanted)) <= max(1e-9 * abs(float(wanted)), _SMALLEST)
    if name == "page_url":
        return found == wanted or unquote(found) == unquote(_cleaned(wanted))
    if name == "user_ipaddress":
        wanted = first_hop(wanted)
    return bool(str(found) == _cleaned(wanted))


def first_hop(addresses: str) -> str:
    """Of several addresses the first is the visitor's."""
    return re.split("[,| ]", addresses, maxsplit=1)[0]


def _same_long(wanted: Mapping[str, Any], found: str) -> bool:
    """Of a long text the start and the length; cleaning changes the length, by an unknown amount after the start."""
    start = _cleaned(wanted["starts"])
    return found.startswith(start) and (len(found) == wanted["length"] or start != wanted["starts"])


def _cleaned(text: str) -> str:
    """A tab is four spaces, other control characters vanish, half a surrogate pair is a question mark."""
    return re.sub("[\ud800-\udfff]", "?", re.sub(r"[\x00-\x1f\x7f]", "", text.replace("\t", "    ")))


def _contexts_difference(wanted: list[str], row: Row) -> str | None:
    """Entities are spread over a column per schema major; their versions stand inside."""
    keys = [SchemaKey.parse(uri) for uri in wanted]
    expected = Counter((f"contexts_{column_suffix(key.vendor, key.name, key.model)}", key.version) for key in keys)
    found = Counter(
        (column, entity["_schema_version"]) for column in {name for name, _ in expected} for entity in row[column]
    )
    return _report("contexts", expected, found)
