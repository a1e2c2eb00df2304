"""Bad rows of each shape, as people read them."""

import base64
import json
from typing import Any

import pytest

from cli.bad_row_view import application, brief, original, reasons
from cli.since import since
from shared.event import FIELDS
from shared.payload import CollectorPayload, encode
from shared.rawmessage import Method, pack

WEB_PAGE = {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": "x"}}


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ({"errors": ["boom", "bang"]}, ["boom", "bang"]),
        ({"maximumAllowedSizeBytes": 1, "actualSizeBytes": 2, "expectation": "too large"}, ["too large"]),
        (
            {"loader": "thrift", "message": {"payloadField": "path", "value": "/a", "expectation": "no match"}},
            ["path: no match, found '/a'"],
        ),
        ({"loader": "thrift", "message": {"error": "truncated"}}, ["truncated"]),
        (
            {"messages": [{"field": "body", "value": None, "expectation": "empty body"}]},
            ["body: empty body"],
        ),
        (
            {"messages": [{"field": "cx", "value": "foo", "error": "invalid json"}]},
            ["cx: invalid json"],
        ),
        (
            {
                "messages": [
                    {
                        "schemaKey": "iglu:a/b/jsonschema/1-0-0",
                        "error": {
                            "error": "ValidationError",
                            "dataReports": [
                                {"message": "not a number", "path": "$.x", "keyword": "type"},
                                {"message": "$.y: is missing", "path": "$.y", "keyword": "required"},
                            ],
                        },
                    },
                    {
                        "schemaKey": "iglu:a/c/jsonschema/1-0-0",
                        "error": {"error": "ResolutionError", "lookupHistory": []},
                    },
                    {"schemaKey": "iglu:a/d/jsonschema/1-0-0", "schemaCriterion": "iglu:a/e/jsonschema/1-*-*"},
                ]
            },
            [
                "iglu:a/b/jsonschema/1-0-0: $.x: not a number",
                "iglu:a/b/jsonschema/1-0-0: $.y: is missing",
                "iglu:a/c/jsonschema/1-0-0: schema not found in any registry",
                "iglu:a/d/jsonschema/1-0-0: expected iglu:a/e/jsonschema/1-*-*",
            ],
        ),
        (
            {"messages": [{"enrichment": {"identifier": "sql", "schemaKey": "s"}, "message": {"error": "timeout"}}]},
            ["sql: timeout"],
        ),
        ({"messages": [{"json": {}, "error": "INVALID_SCHEMAVER"}]}, ["INVALID_SCHEMAVER"]),
        ("a sentence", ["a sentence"]),
        (None, ["no reason given"]),
        ({}, ["no reason given"]),
        ({"messages": [7, None, []]}, ["no reason given"]),
    ],
)
def test_reasons(failure: Any, said: list[str]) -> None:
    assert reasons({"failure": failure}) == said


def test_a_thrift_record_is_opened() -> None:
    events = [{"e": "pv", "aid": "shop", "cx": encoded({"schema": "s", "data": [WEB_PAGE]})}]
    body = json.dumps({"schema": "payload_data", "data": events})
    record = encode(CollectorPayload(timestamp=1, path="/com.snowplowanalytics.snowplow/tp2", body=body))
    for text in (base64.b64encode(record).decode(), base64.b64encode(record).decode().rstrip("=")):
        opened = original({"payload": text})
        assert opened["path"] == "/com.snowplowanalytics.snowplow/tp2"
        assert opened["body"]["data"][0]["co"]["data"] == [WEB_PAGE]
        assert application(opened) == "shop"


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_a_compressed_batch_is_opened(method: Method) -> None:
    records = [encode(CollectorPayload(timestamp=1, path=f"/com.acme/v{number}")) for number in (1, 2)]
    opened = original({"payload": base64.b64encode(pack(records, method)).decode()})
    assert [one["path"] for one in opened] == ["/com.acme/v1", "/com.acme/v2"]


def test_a_query_string_is_split() -> None:
    record = encode(CollectorPayload(timestamp=1, querystring=f"e=ue&aid=a%20b&ue_px={encoded(WEB_PAGE)}&x=1&x=2"))
    opened = original({"payload": base64.b64encode(record).decode()})
    assert opened["querystring"] == {"e": "ue", "aid": "a b", "ue_pr": WEB_PAGE, "x": ["1", "2"]}
    assert application(opened) == "a b"


def test_a_tsv_line_gets_its_names_back() -> None:
    values = {"app_id": "shop", "event_id": "i", "contexts": json.dumps(WEB_PAGE)}
    line = "\t".join(values.get(field.name, "") for field in FIELDS)
    assert original({"payload": line}) == {"app_id": "shop", "event_id": "i", "contexts": WEB_PAGE}


def test_a_partly_enriched_event_is_opened() -> None:
    raw = {"parameters": [{"name": "aid", "value": "shop"}, {"name": "co", "value": json.dumps(WEB_PAGE)}]}
    enriched = {"app_id": None, "unstruct_event": json.dumps(WEB_PAGE), "br_viewwidth": 7}
    opened = original({"payload": {"enriched": enriched, "raw": raw}})
    assert opened["enriched"] == {"app_id": None, "unstruct_event": WEB_PAGE, "br_viewwidth": 7}
    assert opened["raw"]["parameters"] == {"aid": "shop", "co": WEB_PAGE}
    assert application(opened) == "shop"


@pytest.mark.parametrize(
    "payload", ["plain text", "", "abcd", None, 7, [], {}, "{broken", {"body": "{broken", "cx": "%"}]
)
def test_what_can_not_be_opened_stays_as_it_is(payload: Any) -> None:
    assert original({"payload": payload}) == payload
    assert application(original({"payload": payload})) is None


def test_brief_leaves_out_what_is_null() -> None:
    assert brief({"a": None, "b": [{"c": None, "d": 0}], "e": ""}) == {"b": [{"d": 0}], "e": ""}


NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - 90_000),
        ("15m", NOW - 900_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 604_800_000),
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01T01:00:01+01:00", 1_000),
    ],
)
def test_since(text: str, moment: int) -> None:
    assert since(text, NOW) == moment


def test_since_says_what_it_expects() -> None:
    with pytest.raises(ValueError, match="expected 90s, 15m, 2h, 7d, or a time"):
        since("yesterday", NOW)
