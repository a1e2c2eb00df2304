"""Tracker protocol by POST: a self-describing array of events; by GET one event in the query string."""

from typing import Any

import ujson

from enricher import jsontext
from enricher.adapters.contract import Adapted, Envelope, InputData, Limits, NotIglu, NotJson, Parameters, Refusal
from enricher.mending import untouched
from enricher.request import Request
from enricher.selfdescribing import self_describing
from shared.schema import SchemaCriterion

PAYLOAD_DATA = SchemaCriterion("com.snowplowanalytics.snowplow", "payload_data", "jsonschema", 1, 0)

_TEXTS = frozenset((str,))
_CONTROLS = bytes(range(32))
_CONTENT_TYPES = ("application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8")
_EXPECTED = f"expected one of {', '.join(_CONTENT_TYPES)}"


def adapt(request: Request, limits: Limits) -> Adapted:
    """Query parameters are merged into every event of a body and win over it."""
    body, content_type = request.payload.body, request.payload.content_type
    refusal = _refusal(body, content_type, bool(request.query))
    if refusal is not None:
        return refusal
    if body is None:
        return [dict(request.query)]
    value = _parse(body, limits)
    if isinstance(value, jsontext.NotJson):
        return Refusal((NotJson("body", body, value.message),))
    document = self_describing(value)
    if isinstance(document, str):
        return Refusal((NotIglu(value, document),))
    data = document.data
    return Envelope(document.uri, data, PAYLOAD_DATA, lambda: _merge(data, dict(request.query)))


def _merge(data: list[Parameters], query: Parameters) -> list[Parameters]:
    return [{**event, **query} for event in data] if query else data


def _refusal(body: str | None, content_type: str | None, has_query: bool) -> Refusal | None:
    if body is None and not has_query:
        return Refusal(
            (
                InputData("body", None, "empty body: not a valid tracker protocol event"),
                InputData("querystring", None, "empty querystring: not a valid tracker protocol event"),
            )
        )
    if content_type is None:
        return None if body is None else Refusal((InputData("contentType", None, _EXPECTED),))
    if not accepted(content_type):
        return Refusal((InputData("contentType", content_type, _EXPECTED),))
    if body is None:  # the wording is upstream's
        return Refusal((InputData("body", None, "empty body: not a valid track protocol event"),))
    return None


def accepted(content_type: str) -> bool:
    """JSON in UTF-8, however the media type is spelled; upstream compares the text and refuses a missing space."""
    if content_type in _CONTENT_TYPES:
        return True
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    return media_type == "application/json" and all(
        part in ("", "charset=utf-8", 'charset="utf-8"') for part in parameters
    )


def _parse(body: str, limits: Limits) -> Any:
    """ujson forgives control characters and odd numbers: without either its result can be trusted."""
    try:
        value = None if _has_controls(body) else ujson.loads(body)
    except ValueError:
        value = None
    if value is not None and _holds_only_texts(value):
        return value
    document = jsontext.parse(body, limits.json_depth)
    if isinstance(document, jsontext.NotJson):
        mended = limits.mend(body)
        return document if mended == body else _parse(mended, limits._replace(mend=untouched))
    return document.value


def _has_controls(text: str) -> bool:
    encoded = text.encode("utf-8", "replace")
    return len(encoded.translate(None, _CONTROLS)) != len(encoded)


def _holds_only_texts(value: Any) -> bool:
    """Whether this is `{schema, data: [{…: text}]}` and nothing else, so that no number can be in the text."""
    if type(value) is not dict or len(value) != 2 or type(value.get("schema")) is not str:
        return False
    events = value.get("data")
    if type(events) is not list:
        return False
    return all(type(event) is dict and _TEXTS.issuperset(map(type, event.values())) for event in events)
