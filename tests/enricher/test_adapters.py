"""The adapters of trackers, redirects and the Iglu webhook, judged by the field's vectors."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

import pytest

from enricher import base64url
from enricher.enrichments.contract import Draft, Enrichment, Patch
from tests.enricher.harness import Schemas, columns, enrich, record, rows
from tests.enricher.vector_rows import expect_column
from tests.vectors import vectors

#: Groups of vectors that these adapters answer; what the collector answers to redirects is tested there.
GROUPS = ("tp1", "redir", "iglu", "reg", "absent")

OURS = [
    row
    for row in vectors("adapters")
    if str(row.id).split("-")[0] in GROUPS and (row.values[0] or {}).get("layer") != "collector"
]

_ROW = "id from note path method query content_type body expected_events expected_enriched iglu_central error layer"
_EVENT = "schema data params contexts contexts_param"
_ERROR = "bad_row messages"


@pytest.mark.vectors
@pytest.mark.parametrize("row", OURS)
def test_vector(row: Mapping[str, Any]) -> None:
    _expect_known(row, _ROW)
    assert ("error" in row) != ("expected_events" in row)
    seen: list[Mapping[str, str | None]] = []

    def see(draft: Draft, _state: Any) -> Patch | None:
        seen.append(dict(draft.parameters))
        return None

    payload = {"body": row["body"], "content_type": row["content_type"], "querystring": _query(row["query"])}
    sent = record(path=row["path"], **payload)
    outcome = enrich(sent, enrichments=[Enrichment("see", "see", None, None, see)])
    if "error" in row:
        _expect_refusal(rows(outcome), row["error"])
        return
    for parameters, expected in zip(seen, row["expected_events"], strict=True):
        _expect(parameters, expected)
    if "expected_enriched" in row:
        _expect_enriched(sent, row)


def _expect_enriched(sent: bytes, row: Mapping[str, Any]) -> None:
    """The columns that are told, of each event. What schemas say of its data is tested elsewhere."""
    made_up: dict[str, Any] = {event["schema"]: {} for event in row["expected_events"] if event.get("schema")}
    lines = enrich(sent, schemas=Schemas(made_up)).enriched
    assert len(lines) == len(row["expected_events"])
    for line in lines:
        for name, value in row["expected_enriched"].items():
            expect_column(name, columns(line.body), value)


def _expect_known(part: Mapping[str, Any], known: str) -> None:
    assert part.keys() <= {*known.split()}, f"nothing reads {part.keys() - {*known.split()}}"


def _query(given: Mapping[str, str | None] | list[Any] | None) -> str | None:
    pairs = list(given.items()) if isinstance(given, Mapping) else given or []
    return "&".join(quote(name) if value is None else f"{quote(name)}={quote(value)}" for name, value in pairs) or None


def _expect_refusal(found: list[Any], error: Mapping[str, Any]) -> None:
    _expect_known(error, _ERROR)
    (bad,) = found
    assert f"/{error['bad_row']}/" in bad["schema"]
    failure = bad["data"]["failure"]
    messages = failure.get("messages", [failure.get("message")])
    for message, wanted in zip(messages, error["messages"], strict=True):
        _alike(message, wanted)


def _alike(message: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if key.endswith("_prefix"):
            assert str(message[key.removesuffix("_prefix")]).startswith(value)
        else:
            assert message[key] == value


def _expect(parameters: Mapping[str, str | None], expected: Mapping[str, Any]) -> None:
    _expect_known(expected, _EVENT)
    made = ("ue_pr", "ue_px") if expected.get("schema") else ()
    attached = expected.get("contexts_param")
    plain = {name: value for name, value in parameters.items() if name not in (*made, attached)}
    carried = {name: value for name, value in expected["params"].items() if name not in (*made, attached)}
    assert plain == carried
    if expected.get("schema"):
        event = json.loads(parameters["ue_pr"] or "")["data"]
        assert (event["schema"], event["data"]) == (expected["schema"], expected["data"])
    if attached:
        text = parameters[attached] or ""
        contexts = json.loads(base64url.decode(text) if attached == "cx" else text)
        assert contexts["data"] == expected["contexts"]


@pytest.mark.parametrize(("platform", "fits"), [("app", True), ("web", False)])
def test_vectors_may_tell_the_event_that_comes_of_it(platform: str, fits: bool) -> None:
    schema = "iglu:com.acme/promo/jsonschema/1-0-0"
    row = {
        "path": "com.snowplowanalytics.iglu/v1",
        "query": {"schema": schema, "k": "v"},
        "content_type": None,
        "body": None,
        "expected_events": [
            {
                "schema": schema,
                "data": {"k": "v"},
                "params": {"tv": "com.snowplowanalytics.iglu-v1", "e": "ue", "p": "app"},
            }
        ],
        "expected_enriched": {"event_name": "promo", "platform": platform, "app_id": None},
    }
    with nullcontext() if fits else pytest.raises(AssertionError):
        test_vector(row)


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=utf-8", "Application/JSON; Charset=UTF-8", 'application/json; charset="utf-8"'],
)
def test_media_types_are_read_not_compared(content_type: str) -> None:
    body = json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [{"e": "pv", "p": "web", "tv": "t"}],
        }
    )
    path = "/com.snowplowanalytics.snowplow/tp2"
    assert len(enrich(record(path=path, body=body, content_type=content_type)).enriched) == 1


def test_query_parameters_win_over_every_event_of_a_post() -> None:
    events = [{"e": "pv", "p": "web", "tv": "t", "aid": "body"}] * 2
    body = json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": events})
    fields = {"path": "/com.snowplowanalytics.snowplow/tp2", "body": body, "content_type": "application/json"}
    outcome = enrich(record(querystring="aid=query", **fields))
    assert [line.body.split(b"\t")[0] for line in outcome.enriched] == [b"query"] * 2
    outcome = enrich(record(querystring="aid", **fields))
    assert [line.body.split(b"\t")[0] for line in outcome.enriched] == [b""] * 2


@pytest.mark.parametrize("body", ['{"a":01}', '{"a":"\t"}', '{"a":NaN}', '{"schema":"x","data":[{"e":-}]}'])
def test_a_body_that_only_a_forgiving_parser_reads_is_no_json(body: str) -> None:
    path = "/com.snowplowanalytics.snowplow/tp2"
    (row,) = rows(enrich(record(path=path, body=body, content_type="application/json")))
    assert row["data"]["failure"]["messages"][0]["error"].startswith("invalid json: ")


def test_what_type_a_body_has_is_asked_before_the_schema_in_the_query() -> None:
    path = "/com.snowplowanalytics.iglu/v1"
    asked = [
        rows(enrich(record(path=path, querystring="schema=nope", body=body)))[0]["data"]["failure"]["messages"]
        for body in ("{}", None)
    ]
    assert [[message["field"] for message in messages] for messages in asked] == [["contentType"], ["schema"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [("a=|b", "Illegal character in query"), ("a=%zz", "Malformed escape pair")],
)
def test_a_form_that_is_none_is_refused_in_the_words_of_its_parser(body: str, said: str) -> None:
    query = "schema=iglu:com.acme/promo/jsonschema/1-0-0"
    form = "application/x-www-form-urlencoded"
    (row,) = rows(
        enrich(record(path="/com.snowplowanalytics.iglu/v1", querystring=query, content_type=form, body=body))
    )
    wanted = {"field": "body", "value": body, "expectation": f"{said} at index 20: http://localhost/?{body}"}
    assert row["data"]["failure"]["messages"] == [wanted]


def test_a_redirect_to_nowhere_quotes_the_last_of_each_parameter() -> None:
    (row,) = rows(enrich(record(path="/r/tp2", querystring="a=1&b&u&a=2")))
    assert [message["value"] for message in row["data"]["failure"]["messages"]] == ["a=2&b=null&u=null"]


def test_a_redirect_with_empty_encoded_contexts_holds_no_event() -> None:
    (row,) = rows(enrich(record(path="/r/tp2", querystring="u=http%3A%2F%2Fexample.com&e=pv&cx=")))
    wanted = {"field": "co|cx", "value": "", "error": "invalid json: exhausted input"}
    assert "/tracker_protocol_violations/" in row["schema"]
    assert row["data"]["failure"]["messages"] == [wanted]
