"""Tracker protocol by POST: a self-describing array of events; by GET one event in the query string."""

from typing import Final

import msgspec

from enricher import jsontext
from enricher.adapters.contract import Adapted, Envelope, InputData, Limits, NotIglu, NotJson, Parameters, Refusal
from enricher.mending import untouched
from enricher.request import Request
from enricher.selfdescribing import SelfDescribing, family, self_describing, uri_problem
from shared.schema import SchemaCriterion


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What all official trackers send: nothing but texts, so that no number has a literal to be kept."""

    schema: str
    data: list[Parameters]


_usual_body: Final = msgspec.json.Decoder(Body).decode

PAYLOAD_DATA: Final = family(SchemaCriterion("com.snowplowanalytics.snowplow", "payload_data", "jsonschema", 1, 0))

_CONTENT_TYPES: Final = ("application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8")
_EXPECTED: Final = f"expected one of {', '.join(_CONTENT_TYPES)}"


def adapt(request: Request, limits: Limits) -> Adapted:
    """Query parameters are merged into every event of a body and win over it."""
    body, content_type = request.payload.body, request.payload.content_type
    refusal = _refusal(body, content_type, bool(request.query))
    if refusal is not None:
        return refusal
    if body is None:
        return [dict(request.query)]
    document = _usual(body) or _open(body, limits)
    if isinstance(document, Refusal):
        return document
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


def _usual(body: str) -> SelfDescribing | None:
    try:
        events = _usual_body(body)
    except ValueError:
        return None
    return SelfDescribing(events.schema, events.data) if uri_problem(events.schema) is None else None


def _open(body: str, limits: Limits) -> SelfDescribing | Refusal:
    """The long way, for numbers and for everything that is wrong."""
    document = _parse(body, limits)
    if isinstance(document, jsontext.Malformed):
        return Refusal((NotJson("body", body, document.message),))
    found = self_describing(document.value)
    return Refusal((NotIglu(jsontext.verbatim(document.exact), found),)) if isinstance(found, str) else found


def _parse(body: str, limits: Limits) -> jsontext.Document | jsontext.Malformed:
    document = jsontext.parse(body, limits.json_depth)
    if isinstance(document, jsontext.Malformed):
        mended = limits.mend(body)
        return document if mended == body else _parse(mended, Limits(limits.json_depth, untouched))
    return document
