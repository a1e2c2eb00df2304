"""Bad rows of the loader, and bad rows of everybody as rows of a table."""

import json
from typing import Any

import pytest
from jsonschema import Draft4Validator

from loader import badrows
from shared.badrow import Processor, bad_row
from shared.stream.contract import Message
from tests.loader.lines import contexts, line, unstruct
from tests.vectors import ROOT

SCHEMAS = ROOT / "../shared/iglu-central/schemas/com.snowplowanalytics.snowplow.badrows"
ENRICHER = Processor("evnt-enrich", "0.1.0")


def published_schema(kind: str, version: str) -> Any:
    file = SCHEMAS / kind / "jsonschema" / version
    if not file.exists():
        pytest.skip(f"{file} is not on this machine")
    return json.loads(file.read_text())


FULL = line(
    1,
    txn_id="7",
    br_cookies="1",
    dvce_ismobile="0",
    geo_latitude="5.0E-4",
    tr_total="12.30",
    derived_tstamp="2026-11-24 10:00:00.123",
    contexts=contexts(("com.acme/a/jsonschema/1-0-0", {"n": 1})),
    unstruct_event=unstruct("com.acme/e/jsonschema/1-0-0", {"e": None}),
)


@pytest.mark.parametrize("body", [FULL, line()])
def test_a_refused_event_is_valid_against_the_published_schema(body: bytes) -> None:
    row = json.loads(badrows.runtime_error(body, "DB::Exception: no"))
    Draft4Validator(published_schema("loader_runtime_error", "1-0-1")).validate(row["data"])


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "NotTSV"},
        {"type": "FieldNumberMismatch", "fieldCount": 130},
        {
            "type": "RowDecodingError",
            "errors": [{"type": "InvalidValue", "key": "event_id", "value": "x", "message": "Cannot parse key …"}],
        },
    ],
)
def test_a_line_that_is_no_event_is_valid_against_the_published_schema(failure: dict[str, Any]) -> None:
    row = json.loads(badrows.parsing_error(b"a\xff\tb", failure))
    Draft4Validator(published_schema("loader_parsing_error", "2-0-0")).validate(row["data"])
    assert row["data"]["payload"] == "a\ufffd\tb"


def test_an_event_as_json_is_typed() -> None:
    event = badrows.event_document(FULL)
    assert event["txn_id"] == 7
    assert event["br_cookies"] is True
    assert event["dvce_ismobile"] is False
    assert event["geo_latitude"] == 0.0005
    assert event["tr_total"] == 12.3
    assert event["collector_tstamp"] == "2026-11-24T10:00:00Z"
    assert event["derived_tstamp"] == "2026-11-24T10:00:00.123Z"
    assert event["user_id"] is None
    assert event["contexts"]["data"][0]["data"] == {"n": 1}
    assert len(event) == 131


def as_row(body: bytes) -> dict[str, str]:
    message = Message(body, "0198-id", 1_795_514_400_007, "bad-row", "application/json")
    cells = badrows.table_row(message).decode().removesuffix("\n").split("\t")
    return dict(zip(badrows.COLUMNS, cells, strict=True))


VIOLATION = {
    "timestamp": "2026-11-24T10:00:00Z",
    "messages": [
        {
            "schemaKey": "iglu:com.acme/cart/jsonschema/1-0-0",
            "error": {
                "error": "ValidationError",
                "dataReports": [{"message": "$.n: is missing", "path": "$", "keyword": "required", "targets": ["n"]}],
            },
        },
        {"field": "tr_tt", "value": "ten", "error": "not a number"},
    ],
}


def test_a_schema_violation_is_summed_up() -> None:
    payload = {"enriched": {"app_id": "shop"}, "raw": {"vendor": "v", "parameters": [{"name": "e", "value": "pv"}]}}
    row = as_row(bad_row("schema_violations", ENRICHER, VIOLATION, payload))
    assert row["id"] == "0198-id"
    assert row["received"] == "2026-11-24 10:00:00.007"
    assert (row["type"], row["app_id"]) == ("schema_violations", "shop")
    assert row["schema_key"] == "iglu:com.acme/cart/jsonschema/1-0-0"
    assert row["error"] == "iglu:com.acme/cart/jsonschema/1-0-0: $.n: is missing; tr_tt: not a number"
    assert json.loads(row["raw"]) == payload["raw"]


def test_the_application_of_a_request_is_its_parameter() -> None:
    payload = {"querystring": [{"name": "e", "value": "pv"}, {"name": "aid", "value": "shop"}], "body": None}
    failure = {"messages": [{"field": "contentType", "value": "x", "expectation": "expected json"}]}
    row = as_row(bad_row("tracker_protocol_violations", ENRICHER, failure, payload))
    assert row["app_id"] == "shop"
    assert row["error"] == "contentType: expected json"
    assert json.loads(row["raw"]) == payload


@pytest.mark.parametrize(
    "payload",
    [
        FULL.decode().replace(FULL.decode().split("\t")[0], "shop", 1),
        {
            "querystring": [{"name": "cv", "value": "1"}],
            "body": '{"data": [{"e": "pv"}, {"aid": "shop"}, {"aid": "x"}]}',
        },
        {"querystring": [], "body": '{"data": [{"aid": 7}, {"aid": "shop"}]}'},
    ],
)
def test_the_application_is_found_in_a_line_and_in_a_body(payload: object) -> None:
    assert as_row(bad_row("loader_parsing_error", badrows.PROCESSOR, {}, payload))["app_id"] == "shop"


@pytest.mark.parametrize(
    "payload", ["shop\tweb", {"body": '{"aid": "shop"'}, {"body": '["aid"]'}, {"body": "[" * 100_000 + '"aid"'}]
)
def test_an_application_that_cannot_be_found_is_empty(payload: object) -> None:
    assert as_row(bad_row("loader_parsing_error", badrows.PROCESSOR, {}, payload))["app_id"] == ""


def test_a_payload_that_is_text_stays_as_it_is() -> None:
    row = as_row(bad_row("generic_error", ENRICHER, {"errors": ["boom\n\tat line 1"]}, "CwBkAAAA"))
    assert row["raw"] == "CwBkAAAA"
    assert row["error"] == "boom\\n\\tat line 1"


def test_the_whole_bad_row_is_kept_escaped_once() -> None:
    body = bad_row("loader_runtime_error", badrows.PROCESSOR, 'say "no" \\ or\ttab', {"app_id": "shop"})
    payload = as_row(body)["payload"]
    assert json.loads(payload.replace("\\\\", "\\")) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"schema":"x","data":{}}',
        b'{"schema":1,"data":{}}',
        b'{"schema":"iglu:a/b/jsonschema/1-0-0","data":7}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_bad_row_is_kept_all_the_same(body: bytes) -> None:
    row = as_row(body)
    assert row["type"] == "unknown"
    assert row["error"] == "not a bad row"
    assert row["payload"] == body.decode("utf-8", "replace")


@pytest.mark.parametrize("failure", [None, 7, [], {}, {"messages": None}, {"messages": "x"}, {"messages": [1, None]}])
@pytest.mark.parametrize("payload", [None, 7, [], {}, {"raw": None}, {"parameters": [1, {"name": "aid"}]}])
def test_odd_shapes_become_rows(failure: Any, payload: Any) -> None:
    assert as_row(bad_row("generic_error", ENRICHER, failure, payload))["type"] == "generic_error"


@pytest.mark.parametrize("name", ["parameters", "querystring"])
@pytest.mark.parametrize("pairs", [7, True, "aid", {"aid": "shop"}])
def test_what_is_no_list_of_parameters_names_no_application(name: str, pairs: Any) -> None:
    assert as_row(bad_row("generic_error", ENRICHER, {}, {"raw": {name: pairs}})).get("app_id", "") == ""


@pytest.mark.parametrize(
    ("timestamp_ms", "received"),
    [
        (0, "1970-01-01 00:00:00.000"),
        (-1, "1969-12-31 23:59:59.999"),
        (-(10**14), "1900-01-01 00:00:00.000"),
        (10**18, "2299-12-31 23:59:59.999"),
    ],
)
def test_a_time_that_the_table_does_not_reach_is_the_nearest(timestamp_ms: int, received: str) -> None:
    message = Message(b"x", "m", timestamp_ms, "bad-row", "application/json", {})
    assert badrows.table_row(message).split(b"\t")[1].decode() == received


def test_an_event_nested_deeper_than_can_be_read_is_reported_all_the_same() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    document = badrows.event_document(line(1, contexts=deep))
    assert document["contexts"] == deep


def test_a_row_with_a_number_of_thousands_of_digits_is_known_for_what_it_is() -> None:
    body = b'{"schema":"iglu:com.acme/one/jsonschema/1-0-0","data":{"failure":{"json":%s},"payload":""}}' % (
        b"9" * 5_000
    )
    assert badrows.table_row(Message(body, "m1", 0, "bad-row", "application/json")).split(b"\t")[2] == b"one"
