"""A bad row as people read it: why it failed, whose it is, and the original with its encodings undone. Pure."""

import base64
import binascii
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from shared.badrow import parsed
from shared.event import FIELDS
from shared.payload import CollectorPayload
from shared.rawmessage import read

#: Tracker parameters that hold base64 of JSON, and the names of their plain twins.
ENCODED = {"cx": "co", "ue_px": "ue_pr"}

#: Values that hold a JSON document as text: tracker parameters, columns of the event, and a request's body.
DOCUMENTS = {"co", "ue_pr", "contexts", "unstruct_event", "derived_contexts", "body"}


def reasons(row: Any) -> list[str]:
    """What went wrong, a sentence each, from the `failure` of any bad row type."""
    failure = row.get("failure") if isinstance(row, dict) else None
    return list(_said(failure)) or ["no reason given"]


def original(row: Any) -> Any:
    """The `payload` of a bad row: Thrift, base64, TSV, query strings and JSON texts turned into values."""
    return _readable(row.get("payload")) if isinstance(row, dict) else row


def brief(payload: Any) -> Any:
    """A readable original without what is null, of which an event has a hundred."""
    if isinstance(payload, dict):
        return {name: brief(value) for name, value in payload.items() if value is not None}
    return [brief(part) for part in payload] if isinstance(payload, list) else payload


def application(payload: Any) -> str | None:
    """The app_id in a readable original; of a request with several events, the first that states one."""
    return next(_applications(payload), None)


def _said(failure: Any) -> Iterator[str]:
    if isinstance(failure, str):
        yield failure
    elif isinstance(failure, list):
        for part in failure:
            yield from _said(part)
    elif isinstance(failure, dict):
        yield from _said_of(failure)


def _said_of(failure: dict[str, Any]) -> Iterator[str]:
    subject = _subject(failure)
    if "dataReports" in failure:
        yield from map(_reported, failure["dataReports"])
    elif "lookupHistory" in failure:
        yield "schema not found in any registry"
    elif "expectation" in failure:
        yield f"{subject}{failure['expectation']}{_found(failure)}"
    elif "schemaCriterion" in failure:
        yield f"{failure.get('schemaKey')}: expected {failure['schemaCriterion']}"
    else:
        inner = [part for name in ("messages", "message", "error", "errors") for part in _said(failure.get(name))]
        yield from (f"{subject}{text}" for text in inner)


def _reported(report: dict[str, Any]) -> str:
    """A validator's message; most of them begin with the path already."""
    path, message = str(report.get("path")), str(report.get("message"))
    return message if message.startswith(path) else f"{path}: {message}"


def _subject(failure: dict[str, Any]) -> str:
    enrichment = failure.get("enrichment")
    name = enrichment.get("identifier") if isinstance(enrichment, dict) else None
    subject = name or failure.get("schemaKey") or failure.get("field") or failure.get("payloadField")
    return f"{subject}: " if subject else ""


def _found(failure: dict[str, Any]) -> str:
    return f", found {failure['value']!r}" if failure.get("value") is not None else ""


def _readable(payload: Any) -> Any:
    if isinstance(payload, str):
        return _text(payload)
    if isinstance(payload, list):
        return _pairs(payload) if _is_pairs(payload) else [_readable(part) for part in payload]
    if isinstance(payload, dict):
        return dict(_entry(name, value) for name, value in payload.items())
    return payload


def _entry(name: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, str):
        return name, _readable(value)
    if name in ENCODED and (text := _base64(value)) is not None:
        return ENCODED[name], _document(text.decode("utf-8", "replace"))
    return name, _document(value) if name in DOCUMENTS else value


def _document(text: str) -> Any:
    """The JSON value of a text, its own encodings undone too; the text itself where it is none that can be read."""
    try:
        value = parsed(text)
        return _readable(value) if isinstance(value, dict | list) else text
    except (ValueError, RecursionError):
        return text


def _text(payload: str) -> Any:
    if payload.count("\t") > len(FIELDS) // 2:
        return _event(payload)
    record = _base64(payload)
    found = list(read(record, sys.maxsize)) if record else []
    if found and all(isinstance(part, CollectorPayload) for part in found):
        requests = [_request(part) for part in found if isinstance(part, CollectorPayload)]
        return requests[0] if len(requests) == 1 else requests
    return _document(payload)


def _event(line: str) -> dict[str, Any]:
    values = zip((field.name for field in FIELDS), line.split("\t"), strict=False)
    return {name: _entry(name, value)[1] for name, value in values if value}


def _request(payload: CollectorPayload) -> dict[str, Any]:
    fields: dict[str, Any] = {name: value for name, value in asdict(payload).items() if value and name != "record"}
    if payload.querystring:
        pairs = parse_qsl(payload.querystring, keep_blank_values=True)
        fields["querystring"] = [{"name": name, "value": value} for name, value in pairs]
    return dict(_entry(name, value) for name, value in fields.items())


def _is_pairs(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(pair, dict) and pair.keys() == {"name", "value"} for pair in values)


def _pairs(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """A list of names and values; of a name that occurs twice, a list of its values."""
    found: dict[str, list[Any]] = {}
    for pair in pairs:
        name, value = _entry(pair["name"], pair["value"])
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _base64(text: str) -> bytes | None:
    """Standard or URL-safe, padded or not."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _applications(payload: Any) -> Iterator[str]:
    if isinstance(payload, list):
        for part in payload:
            yield from _applications(part)
    elif isinstance(payload, Mapping):
        yield from (payload[name] for name in ("app_id", "aid") if isinstance(payload.get(name), str))
        for name in ("enriched", "raw", "parameters", "querystring", "body", "data"):
            yield from _applications(payload.get(name))
