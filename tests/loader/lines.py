"""Enriched lines for tests, and what is in the body of an insert."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.event import INDEX, WIDTH
from shared.stream.contract import Delivery, Message

CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"

MINIMAL = {
    "app_id": "shop",
    "platform": "web",
    "collector_tstamp": "2026-11-24 10:00:00.000",
    "event": "page_view",
    "v_collector": "evnt-collector-0.1.0-embedded",
    "v_etl": "evnt-enrich-0.1.0",
    "event_vendor": "com.snowplowanalytics.snowplow",
    "event_name": "page_view",
    "event_format": "jsonschema",
    "event_version": "1-0-0",
}


def event_id(number: int) -> str:
    return str(UUID(int=number, version=4))


def line(number: int = 1, /, **cells: str) -> bytes:
    """A line whose id and fingerprint follow from the number."""
    row = [""] * WIDTH
    values = {**MINIMAL, "event_id": event_id(number), "event_fingerprint": f"{number:032x}", **cells}
    for name, value in values.items():
        row[INDEX[name]] = value
    return "\t".join(row).encode()


def contexts(*entities: tuple[str, Any]) -> str:
    """The cell of these (schema without `iglu:`, data), as the enricher writes it."""
    data = [{"schema": f"iglu:{schema}", "data": value} for schema, value in entities]
    return compact({"schema": CONTEXTS, "data": data})


def unstruct(schema: str, data: Any) -> str:
    return compact({"schema": UNSTRUCT, "data": {"schema": f"iglu:{schema}", "data": data}})


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def chunk(*numbers: int, **cells: str) -> bytes:
    return b"\n".join(line(number, **cells) for number in numbers)


def delivery(
    body: bytes, message_id: str = "m", redelivered: bool = False, timestamp_ms: int = 0, replay: str = ""
) -> Delivery:
    headers: dict[str, int | str] = {"events": body.count(b"\n") + 1, **({"replay": replay} if replay else {})}
    message = Message(body, message_id, timestamp_ms, "enriched-tsv", "text/tab-separated-values", headers)
    return Delivery(message, redelivered, 1 + redelivered, None)


def table(body: bytes) -> list[Mapping[str, str]]:
    """The rows of an insert, cells as they are written, empty ones left out."""
    head, *rows = body.decode().removesuffix("\n").split("\n")
    names = head.split("\t")
    return [{name: cell for name, cell in zip(names, row.split("\t"), strict=True) if cell} for row in rows]
