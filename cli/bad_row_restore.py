"""A bad row back into what it was made of: bytes that a stream takes once more. Pure.

What it gives keeps the time, address and ids of the first time, so an event that succeeds now is the one that failed.
"""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from enricher.values import parse_timestamp
from shared import tsv
from shared.event import FIELDS, INDEX, Kind
from shared.identity import uuid5
from shared.payload import SCHEMA, CollectorPayload, encode
from shared.rawmessage import read
from shared.stream.contract import Message

_NIL: Final = "00000000-0000-0000-0000-000000000000"
_DERIVED: Final = INDEX["derived_contexts"]

#: What only failed events have in that column: others' entities may be called failure too.
_FAILURE: Final = '"iglu:com.snowplowanalytics.snowplow/failure/jsonschema/'

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z?")

#: Stream → type and content type of its messages, and the header that counts what is in one.
_KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "raw": ("collector-payload", "application/x-thrift", "payloads"),
    "enriched": ("enriched-tsv", "text/tab-separated-values", "events"),
    "failed": ("failed-tsv", "text/tab-separated-values", "events"),
}

Taking = Literal["raw", "enriched", "failed"]
STREAMS: Final[tuple[Taking, ...]] = ("raw", "enriched", "failed")


class Original(NamedTuple):
    """stream: where it goes. holds: payloads of a record, or lines."""

    stream: Taking
    body: bytes
    holds: int = 1


class Impossible(NamedTuple):
    """Why a row can't be turned back."""

    reason: str


def restore(document: Any) -> Original | Impossible:
    """What a bad row, Snowplow's too, was made of."""
    try:
        kind, payload = document["schema"].split("/")[1], document["data"]["payload"]
    except (KeyError, IndexError, TypeError, AttributeError):
        return Impossible("not a bad row")
    if kind == "size_violation":
        return Impossible("a size_violation quotes only the beginning of its original")
    if kind not in _RESTORED:
        return Impossible(f"{kind} is no type of bad row that is known")
    try:
        return _RESTORED[kind](payload)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return Impossible(f"its payload is not that of a {kind}: {type(error).__name__}: {error}")


def message(found: Original, now_ms: int) -> Message:
    """The same original makes the same id: it may be replayed twice, or fail again and be replayed as a new row, and
    makes no second event."""
    identity = uuid5(_NIL, hashlib.sha256(found.body).hexdigest())
    type_, content_type, counted = _KINDS[found.stream]
    return Message(found.body, identity, now_ms, type_, content_type, {counted: found.holds})


# ---- requests -----------------------------------------------------------------------------------------------------


def _request(payload: Mapping[str, Any]) -> Original:
    """A request that held no events, as it came."""
    path = f"/{payload['vendor']}/{payload['version']}"
    rest = {"body": payload["body"], "content_type": payload["contentType"]}
    return _raw(payload, path, payload["querystring"] or [], payload["collector"], payload["networkUserId"], **rest)


def _event(payload: Mapping[str, Any]) -> Original:
    """By GET, since of a request with many events this one failed. A webhook's parameters are a tracker's by now."""
    raw, event_id = payload["raw"], payload["enriched"].get("event_id")
    parameters = raw["parameters"]
    if isinstance(parameters, dict):
        parameters = [{"name": name, "value": value} for name, value in parameters.items()]
    if event_id and not any(pair["name"] == "eid" and pair["value"] for pair in parameters):
        parameters = [*(pair for pair in parameters if pair["name"] != "eid"), {"name": "eid", "value": event_id}]
    return _raw(raw, "/i", parameters, raw["loaderName"], raw["userId"])


def _raw(
    source: Mapping[str, Any],
    path: str,
    pairs: Iterable[Mapping[str, str | None]],
    collector: str,
    network_userid: str | None,
    body: str | None = None,
    content_type: str | None = None,
) -> Original:
    payload = CollectorPayload(
        schema=SCHEMA,
        ip_address=source["ipAddress"],
        timestamp=_milliseconds(source["timestamp"]),
        encoding="UTF-8",
        collector=collector,
        user_agent=source["useragent"],
        referer_uri=source["refererUri"],
        path=path,
        querystring="&".join(map(_pair, pairs)) or None,
        body=body,
        headers=list(source["headers"]),
        content_type=content_type,
        hostname=source["hostname"],
        network_userid=network_userid,
    )
    return Original("raw", encode(payload))


def _milliseconds(text: str) -> int:
    """Of a time in UTC. Another form, which a mended row may have, must not become another time."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text} is no time such as 2026-01-31T12:00:00.000Z")
    return parse_timestamp(_instant(text))


def _pair(pair: Mapping[str, str | None]) -> str:
    name, value = pair["name"] or "", pair["value"]
    return _quoted(name) if value is None else f"{_quoted(name)}={_quoted(value)}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


# ---- records and lines --------------------------------------------------------------------------------------------


def _record(payload: str) -> Original:
    """Unreadable ones too: who reads them next may be mended."""
    return Original("raw", base64.b64decode(payload, validate=True))


def _readable_record(payload: str) -> Original | Impossible:
    record = base64.b64decode(payload, validate=True)
    found = list(read(record, sys.maxsize))
    if not found or not all(isinstance(one, CollectorPayload) for one in found):
        return Impossible("its payload is no record, but the body of a request that could not be read")
    return Original("raw", record, len(found))


def _line(payload: str) -> Original:
    line = payload.encode("utf-8", "replace")
    cells = payload.split("\t")
    return Original(_table(cells[_DERIVED] if len(cells) > _DERIVED else ""), line, payload.count("\n") + 1)


def _row(payload: Mapping[str, Any]) -> Original:
    cells = ["" if payload[field.name] is None else _WRITTEN[field.kind](payload[field.name]) for field in FIELDS]
    return Original(_table(cells[_DERIVED]), tsv.encode(cells))


def _table(derived_contexts: str) -> Taking:
    """Only a failed event says why it failed."""
    return "failed" if _FAILURE in derived_contexts else "enriched"


def _instant(text: str) -> str:
    moment, _, fraction = text.removesuffix("Z").replace("T", " ").partition(".")
    return f"{moment}.{fraction or '000'}"


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_WRITTEN: Final[dict[Kind, Callable[[Any], str]]] = {
    "text": str,
    "uuid": str,
    "timestamp": _instant,
    "int": str,
    "bool": lambda value: "1" if value else "0",
    "decimal": str,
    "float": str,
    "json": _document,
}

#: Type of a bad row → what becomes of its payload.
_RESTORED: Final[dict[str, Callable[[Any], Original | Impossible]]] = {
    "collector_payload_format_violation": _record,
    "generic_error": _readable_record,
    "tracker_protocol_violations": _request,
    "adapter_failures": _request,
    "schema_violations": _event,
    "enrichment_failures": _event,
    "loader_parsing_error": _line,
    "loader_runtime_error": _row,
}
