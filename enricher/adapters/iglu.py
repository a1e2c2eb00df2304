"""Iglu webhook: any event that has a schema, by GET, JSON or form, without a tracker."""

from typing import Any

from enricher import jsontext, querystring
from enricher.adapters.contract import (
    UNSTRUCT_EVENT,
    Adapted,
    InputData,
    Limits,
    NotIglu,
    NotJson,
    Parameters,
    Refusal,
    refuse,
)
from enricher.adapters.formats import json_value
from enricher.request import Request
from enricher.selfdescribing import self_describing, uri_problem
from enricher.values import Refused

_TRACKER = "com.snowplowanalytics.iglu-v1"
_JSON = ("application/json", "application/json; charset=utf-8")
_FORM = "application/x-www-form-urlencoded"
#: Parameters of the query that are tracker parameters of every event.
_CARRIED = ("nuid", "aid", "cv", "eid", "ttm", "url")
#: Parameters of a GET that are not part of its data. `eid`, `ttm` and `url` are both: upstream leaves them in.
_NOT_DATA = ("schema", "nuid", "aid", "cv", "p")


def adapt(request: Request, limits: Limits) -> Adapted:
    """The schema is named in the query, or inside a self-describing body."""
    query = dict(request.query)
    body, content_type = request.payload.body, request.payload.content_type
    schema = query.get("schema")
    if body is not None and content_type is None:
        return refuse("contentType", None, _expected(*_JSON, _FORM))
    if schema is None:
        return _self_described(body, content_type, query, limits)
    problem = uri_problem(schema)
    if problem is not None:
        return refuse("schema", schema, problem)
    if body is None:
        data = {name: json_value(value) for name, value in query.items() if name not in _NOT_DATA}
        return [_event(schema, data, query, "app")]
    return _described_by_query(schema, body, content_type, query, limits)


def _self_described(body: str | None, content_type: str | None, query: Parameters, limits: Limits) -> Adapted:
    if body is None:
        return Refusal((InputData("schema", None, "empty `schema` field"), InputData("body", None, "empty body")))
    if content_type is None or _media_type(content_type) != _JSON[0]:
        return refuse("contentType", content_type, _expected(*_JSON))
    document = jsontext.parse(body, limits.json_depth)
    if isinstance(document, jsontext.Malformed):
        return Refusal((NotJson("body", body, document.message),))
    found = self_describing(document.value)
    if isinstance(found, str):
        return Refusal((NotIglu(jsontext.verbatim(document.exact), found),))
    return [_event(found.uri, document.exact["data"], query, "app")]


def _described_by_query(schema: str, body: str, content_type: str | None, query: Parameters, limits: Limits) -> Adapted:
    media_type = None if content_type is None else _media_type(content_type)
    if media_type == _JSON[0]:
        return _json_events(schema, body, query, limits)
    if media_type != _FORM:
        return refuse("contentType", content_type, _expected(*_JSON, _FORM))
    pairs = querystring.pairs(body)
    if isinstance(pairs, Refused):
        return refuse("body", body, pairs.message)
    return [_event(schema, dict(pairs), query, "srv")]


def _json_events(schema: str, body: str, query: Parameters, limits: Limits) -> Adapted:
    document = jsontext.parse(body, limits.json_depth)
    if isinstance(document, jsontext.Malformed):
        return Refusal((NotJson("body", body, document.message),))
    match document.exact:
        case []:
            return refuse("body", body, "empty array of events")
        case [*elements]:
            return [_event(schema, element, query, "app") for element in elements]
        case {**members} if members:
            return [_event(schema, members, query, "app")]
    return refuse("body", body, "has no key-value pairs")


def _event(schema: str, data: Any, query: Parameters, platform: str) -> Parameters:
    wrapper = {"schema": UNSTRUCT_EVENT, "data": {"schema": schema, "data": data}}
    carried = {name: query[name] for name in _CARRIED if name in query}
    return {
        "tv": _TRACKER,
        "e": "ue",
        "p": query.get("p") or platform,
        **carried,
        "ue_pr": jsontext.render(wrapper, literals=True),
    }


def _media_type(content_type: str) -> str:
    """Parameters are ignored; upstream compares the whole text."""
    return content_type.partition(";")[0].strip().lower()


def _expected(*content_types: str) -> str:
    return f"expected one of {', '.join(content_types)}"
