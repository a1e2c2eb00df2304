"""Bad rows: what failed, why, and the original, in the shape of Snowplow's badrows schemas.

Every bad row is one self-describing JSON document, compact, UTF-8, one per message on the `bad` stream.
"""

import json
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

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
