"""Bad rows: what failed, why, and the original, in the shape of Snowplow's badrows schemas.

Every bad row is one self-describing JSON document, compact, UTF-8, one per message on the `bad` stream.
"""

import json
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final, Literal, NamedTuple, NoReturn

import msgspec

BadRowType = Literal[
    "size_violation",
    "collector_payload_format_violation",
    "adapter_failures",
    "tracker_protocol_violations",
    "schema_violations",
    "enrichment_failures",
    "generic_error",
    "loader_parsing_error",
    "loader_runtime_error",
]

#: Type → version of its schema in vendor com.snowplowanalytics.snowplow.badrows.
VERSIONS: dict[BadRowType, str] = {
    "size_violation": "1-0-0",
    "collector_payload_format_violation": "1-0-0",
    "adapter_failures": "1-0-0",
    "tracker_protocol_violations": "1-0-1",
    "schema_violations": "2-0-1",
    "enrichment_failures": "2-0-1",
    "generic_error": "1-0-0",
    "loader_parsing_error": "2-0-0",
    "loader_runtime_error": "1-0-1",
}

#: Digits of a whole number that Python reads and writes, by default.
_MOST_DIGITS: Final = 4_300


class Processor(NamedTuple):
    """Who made the row. `version` looks like `1.2.3…` and has at most 32 characters (badrows schemas)."""

    artifact: str
    version: str


def bad_row(kind: BadRowType, processor: Processor, failure: Any, payload: Any) -> bytes:
    """The row's bytes. `failure` and `payload` are JSON values in the shape of the type's schema."""
    document = {
        "schema": f"iglu:com.snowplowanalytics.snowplow.badrows/{kind}/jsonschema/{VERSIONS[kind]}",
        "data": {"processor": processor._asdict(), "failure": failure, "payload": payload},
    }
    return _compact(document)


def parsed(text: str | bytes) -> Any:
    """A JSON value, as far as it can be written again: numbers too large for that stay texts.

    Raises ValueError where it is none, or nested deeper than can be read.
    """
    try:
        return json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _number(text: str) -> float | str:
    number = float(text)
    return number if isfinite(number) else text


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _compact(document: Any) -> bytes:
    """The encoder refuses lone surrogates and integers beyond 64 bits, and nearly always there are none."""
    try:
        return msgspec.json.encode(document)
    except (UnicodeError, OverflowError):
        return msgspec.json.encode(_encodable(document))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_encodable(name): _encodable(part) for name, part in value.items()}
        case list() | tuple():
            return list(map(_encodable, value))
        case int() if not isinstance(value, bool):
            return msgspec.Raw(json.dumps(value).encode())
        case _:
            return value


def instant(timestamp_ms: int) -> str:
    """ISO 8601 in UTC as java.time.Instant writes it: no fraction when it is zero, else three digits."""
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"
