"""Bad rows: those that the loader makes, and how any of them becomes a row of the `bad_rows` table."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from shared import badrow
from shared.badrow import Processor
from shared.event import FIELDS, INDEX, Kind
from shared.schema import InvalidIgluUri, SchemaKey
from shared.stream.contract import Message
from shared.version import VERSION

PROCESSOR = Processor("evnt-loader", VERSION)

#: Columns that a bad row fills, in order; the rest take their defaults.
COLUMNS = ("id", "received", "type", "schema_key", "app_id", "error", "payload", "raw")

#: Type of what is on the `bad` stream and is no bad row.
UNKNOWN_TYPE = "unknown"

#: Times that the store's columns reach, as milliseconds.
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
_EARLIEST_MS, _SPAN_MS = (
    span // timedelta(milliseconds=1) for span in (_EARLIEST - datetime(1970, 1, 1, tzinfo=UTC), _LATEST - _EARLIEST)
)

_LONGEST_ERROR = 2_000  # characters; the whole is in `payload`
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def parsing_error(line: bytes, failure: Mapping[str, Any]) -> bytes:
    """The bad row of a line that is no event."""
    return badrow.bad_row("loader_parsing_error", PROCESSOR, failure, line.decode("utf-8", "replace"))


def runtime_error(line: bytes, reason: str) -> bytes:
    """The bad row of an event that the warehouse refuses."""
    return badrow.bad_row("loader_runtime_error", PROCESSOR, reason, event_document(line))


def too_large(row: bytes, most_bytes: int, now_ms: int) -> bytes:
    """The bad row of a bad row that no message can hold: quotes the first tenth of what would fit."""
    failure = {
        "timestamp": badrow.instant(now_ms),
        "maximumAllowedSizeBytes": most_bytes,
        "actualSizeBytes": len(row),
        "expectation": "Bad row of the loader exceeds the maximum allowed size of a message",
    }
    return badrow.bad_row("size_violation", PROCESSOR, failure, row[: most_bytes // 10].decode("utf-8", "replace"))


def event_document(line: bytes) -> dict[str, Any]:
    """An enriched line as the JSON that Snowplow's Analytics SDKs make of it: typed, empty cells null."""
    cells = line.decode("utf-8", "replace").split("\t")
    return {field.name: _READ[field.kind](cell) if cell else None for field, cell in zip(FIELDS, cells, strict=True)}


def _instant(cell: str) -> str:
    return cell.replace(" ", "T").removesuffix(".000") + "Z"


def _document(cell: str) -> Any:
    """As text where it is nested deeper than can be read here: what is reported must not depend on who calls."""
    try:
        return json.loads(cell)
    except RecursionError:
        return cell


def _number(cell: str) -> float | str:
    """As text where no double holds it, since JSON has no infinity."""
    number = float(cell)
    return number if isfinite(number) else cell


def _decimal(cell: str) -> float | str:
    """As text where a double has not all of its digits, since the row may be given back."""
    number = _number(cell)
    return number if isinstance(number, float) and Decimal(repr(number)) == Decimal(cell) else cell


_READ: dict[Kind, Callable[[str], Any]] = {
    "text": str,
    "uuid": str,
    "timestamp": _instant,
    "int": int,
    "bool": "1".__eq__,
    "decimal": _decimal,
    "float": _number,
    "json": _document,
}


def table_row(message: Message) -> bytes:
    """One line of TSV, with its line break, in the order of COLUMNS. Whatever the message is, it becomes a row."""
    text = message.body.decode("utf-8", "replace")
    kind, data = _parts(text)
    payload, failure = data.get("payload"), data.get("failure")
    row = (
        message.message_id,
        _received(message.timestamp_ms),
        kind,
        next(_values(failure, "schemaKey"), ""),
        _app_id(payload),
        _error(failure) if data else "not a bad row",
        text,
        _original(payload),
    )
    return "\t".join(cell.translate(_ESCAPES) for cell in row).encode("utf-8", "replace") + b"\n"


def _received(timestamp_ms: int) -> str:
    """The time of a message, or the nearest that the table holds: any publisher may have set it."""
    moment = _EARLIEST + timedelta(milliseconds=max(0, min(timestamp_ms - _EARLIEST_MS, _SPAN_MS)))
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def header() -> bytes:
    """The first line of an insert into the `bad_rows` table."""
    return "\t".join(COLUMNS).encode() + b"\n"


def _parts(text: str) -> tuple[str, dict[str, Any]]:
    try:
        document = badrow.parsed(text)
        key, data = SchemaKey.parse(document["schema"]), document["data"]
    except (ValueError, TypeError, KeyError, InvalidIgluUri):
        return UNKNOWN_TYPE, {}
    return (key.name, data) if isinstance(data, dict) else (UNKNOWN_TYPE, {})


def _values(value: Any, name: str) -> Iterator[str]:
    """Texts under a key, wherever they are, outermost first."""
    if isinstance(value, dict):
        if isinstance(value.get(name), str):
            yield value[name]
        for inner in value.values():
            yield from _values(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, name)


def _app_id(payload: Any) -> str:
    """The application, as far as the row's original tells: the event's, else that of the request."""
    if isinstance(payload, str):
        return _app_id_of_line(payload)
    if not isinstance(payload, dict):
        return ""
    if found := next(_values(payload, "app_id"), ""):
        return found
    raw = payload.get("raw") or payload
    return (_app_id_of_pairs(raw) or _app_id_of_body(raw.get("body"))) if isinstance(raw, dict) else ""


def _app_id_of_line(line: str) -> str:
    cells = line.split("\t")
    return cells[INDEX["app_id"]] if len(cells) == len(FIELDS) else ""


def _app_id_of_pairs(raw: Mapping[str, Any]) -> str:
    pairs = raw.get("parameters") or raw.get("querystring")
    if not isinstance(pairs, list):
        return ""
    return next(
        (str(pair.get("value") or "") for pair in pairs if isinstance(pair, dict) and pair.get("name") == "aid"), ""
    )


def _app_id_of_body(body: Any) -> str:
    """That of the first event which states one; what holds none is not read."""
    if not isinstance(body, str) or '"aid"' not in body:
        return ""
    try:
        return next(_values(json.loads(body), "aid"), "")
    except (ValueError, RecursionError):
        return ""


def _original(payload: Any) -> str:
    """What the tracker sent, as far as the row holds it apart from what became of it."""
    original = payload.get("raw", payload) if isinstance(payload, dict) else payload
    return original if isinstance(original, str) else json.dumps(original, ensure_ascii=False, separators=(",", ":"))


def _error(failure: Any) -> str:
    """One line that says what is wrong: every message of the failure, in its own words."""
    if isinstance(failure, str):
        return failure[:_LONGEST_ERROR]
    messages = failure.get("messages") or failure.get("errors") or [failure] if isinstance(failure, dict) else failure
    texts = map(_message, messages if isinstance(messages, list) else [messages])
    return "; ".join(dict.fromkeys(texts))[:_LONGEST_ERROR]


def _message(message: Any) -> str:
    if not isinstance(message, dict):
        return str(message)
    where = next((str(message[name]) for name in ("field", "schemaKey", "payloadField") if message.get(name)), "")
    said = (list(_values(message, name)) for name in ("expectation", "message", "error"))
    what = ", ".join(dict.fromkeys(next(filter(None, said), []))) or json.dumps(message, ensure_ascii=False)
    return f"{where}: {what}" if where else what
