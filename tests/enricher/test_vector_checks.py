"""The checks of the vectors themselves: they judge forms that the vectors at hand don't have, and can fail."""

from typing import Any

import pytest

from tests.enricher.test_vectors import CHECKS
from tests.enricher.vector_values import judge

PROCESSOR = {"artifact": "test", "version": "1.2.3"}
FAILED_BY = {"timestamp": "<etl timestamp>", "componentName": "test", "componentVersion": "1.2.3"}
URI = "iglu:com.acme/test/jsonschema/1-0-0"
COLLECTOR = {
    "collector": "ssc",
    "encoding": "UTF-8",
    "timestamp_ms": 0,
    "ip": "192.0.2.1",
    "ua": None,
    "referer": None,
    "headers": [],
    "nuid": None,
}
WRAPPER = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
SESSION = "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-1"
EVENT = (
    f'{{"schema":"{WRAPPER}","data":{{"schema":"{SESSION}","data":{{"sessionIndex":1,'
    '"storageMechanism":"LOCAL_STORAGE","firstEventId":null,"sessionId":"21c2a0dd-892d-42d1-b156-3a9d4e147eef",'
    '"previousSessionId":null,"userId":"20d631b8-7837-49df-a73e-6da73154e6fd"}}}'
)
SPOIL = """
function process(event) {
  const sent = JSON.parse(event.getUnstruct_event());
  sent.data.data.sessionIndex = "many";
  event.setUnstruct_event(JSON.stringify(sent));
  return [];
}"""


PII = {
    "pii": [{"pojo": {"field": "user_id"}}],
    "strategy": {"pseudonymize": {"hashFunction": "MD5", "salt": ""}},
}


def violation(violation: dict[str, Any], source: str, data: Any) -> dict[str, Any]:
    return {"violation": violation, "source": source, "data": data, "processor": PROCESSOR}


def failure(kind: str, errors: list[Any], schema: str | None, data: Any) -> dict[str, Any]:
    return {"failureType": kind, "errors": errors, "schema": schema, "data": data, **FAILED_BY}


REPORT = {"message": "m", "path": "$", "keyword": "type", "targets": ["t"]}
SEEN = {"repository": "r", "errors": [], "attempts": 1, "lastAttempt": "<t>"}
SCRIPTS = [
    "function process(event) { event.setApp_id(JSON.parse(event.getDerived_contexts()).data[0].data.value); }",
    'function process(event) { event.setPlatform("srv"); }',
]
FORMS = {
    "a number where the column is text": ("boolean_byte", {"field": "f", "value": "1"}, {"value": 1}),
    "null for no text": ("double_like", {"field": "f", "value": "null"}, {"value": None}),
    "null for null": ("integer", {"value": None}, {"value": None}),
    "a date": ("json_value", {"value": "2020-09-02", "key_listed_in": "dates yyyy-MM-dd"}, "2020-09-02T00:00:00.000Z"),
    "no query": ("querystring", {"querystring": None, "encoding": "UTF-8"}, {"params": []}),
    "no event": ("schema_fields", {"event": "unstruct", "unstruct": None}, {"event_name": None}),
    "an event's column": (
        "tsv",
        {"unstruct_event_sdj": {"schema": URI, "data": {}}},
        {"columns": 131, "column": 58, "text": f'{{"schema":"{WRAPPER}","data":{{"schema":"{URI}","data":{{}}}}}}'},
    ),
    "not JSON": (
        "failure_entity",
        violation({"type": "NotJson", "field": "f", "value": "x", "error": "e"}, "unstruct", "x"),
        failure("NotJSON", [{"message": "e", "source": "unstruct"}], None, {"unstruct": "x"}),
    ),
    "not JSON, and what it was part of": (
        "failure_entity",
        violation({"type": "NotJson", "field": "f", "value": "x", "error": "e"}, "unstruct", "data"),
        failure("NotJSON", [{"message": "e", "source": "unstruct"}], None, {"unstruct": "data"}),
    ),
    "a violation without its kind": (
        "failure_entity",
        violation({"json": {}, "error": "INVALID_SCHEMAVER"}, "contexts", {}),
        failure("NotIglu", [{"message": "Invalid schema version", "source": "contexts"}], None, {}),
    ),
    "a schema that is not there, as bad rows have it": (
        "failure_entity",
        violation({"schemaKey": URI, "error": {"error": "ResolutionError", "lookupHistory": [SEEN]}}, "s", {}),
        failure(
            "ResolutionError",
            [{"message": f"Resolution error: schema {URI} not found", "source": "s", "lookupHistory": [SEEN]}],
            URI,
            {},
        ),
    ),
    "invalid data": (
        "failure_entity",
        violation({"type": "ValidationError", "schemaKey": URI, "dataReports": [REPORT]}, "contexts", {}),
        failure("ValidationError", [{**REPORT, "source": "contexts"}], URI, {}),
    ),
    "invalid schema": (
        "failure_entity",
        violation(
            {"type": "ValidationError", "schemaKey": URI, "schemaIssues": [{"path": "$", "message": "m"}]}, "s", {}
        ),
        failure("ValidationError", [{"message": f"Invalid schema: {URI} - m", "source": "s", "path": "$"}], URI, {}),
    ),
    "several messages": (
        "e2e",
        {"collector": {**COLLECTOR, "records": ["page view", "<0 bytes>", "page view with aid=shop"]}},
        {"raw": 3, "good": 2, "bad": 1},
    ),
    "several rows": (
        "e2e",
        {"collector": {**COLLECTOR, "records": ["nonsense", "<1 byte>"]}},
        {"raw": 2, "good": 0, "bad": 2, "badrow": "collector_payload_format_violation"},
    ),
    "several scripts": (
        "enrich",
        {
            "collector": {**COLLECTOR, "headers": ["X: a"]},
            "params": {"e": "pv"},
            "enrichments": {"javascript": SCRIPTS, "http_header_extractor": ".*"},
            "config": {"maxBytesInBatch": 1_000},
        },
        {"app_id": "a", "platform": "srv"},
    ),
    "a script in words": (
        "enrich",
        {
            "collector": COLLECTOR,
            "params": {"e": "ue", "ue_pr": EVENT},
            "enrichments": {"javascript": "sets an invalid unstruct_event"},
        },
        {"badrow": "schema_violations", "count": 1, "failed_event": {"unstruct_event": None}},
    ),
    "entities that are mapped": (
        "transform",
        {"param": "cx", "value": "eyAiYSI6IDEuMDAgfQ"},
        {"contexts": '{"a":1.00}'},
    ),
    "a whole script": (
        "enrich",
        {"collector": COLLECTOR, "params": {"e": "ue", "ue_pr": EVENT}, "enrichments": {"javascript": SPOIL}},
        {"badrow": "schema_violations", "count": 1, "failed_event": {"unstruct_event": None, "event": "unstruct"}},
    ),
    "an enrichment with its parameters": (
        "enrich",
        {
            "collector": COLLECTOR,
            "params": {"e": "pv"},
            "enrichments": {"anon_ip": {"anonOctets": 2}, "yauaa": True},
        },
        {"user_ipaddress": "192.0.x.x"},
    ),
    "an enrichment that is on, as it is without parameters": (
        "enrich",
        {"collector": COLLECTOR, "params": {"e": "pv"}, "enrichments": {"ua_parser": True, "event_fingerprint": True}},
        {"event_fingerprint": "<hash>", "derived_contexts": None},
    ),
    "an enrichment with its only parameter": (
        "enrich",
        {
            "collector": {**COLLECTOR, "headers": ["Cookie: a=b"]},
            "params": {"e": "pv"},
            "enrichments": {"cookie_extractor": ["a"]},
        },
        {"derived_contexts_contains": "http_cookie"},
    ),
    "a configuration with what stands beside its parameters": (
        "enrich",
        {
            "collector": {**COLLECTOR},
            "params": {"e": "pv", "uid": "u"},
            "enrichments": {"pii": {"anonymousOnly": True, "parameters": PII}},
        },
        {"user_id": "u"},
    ),
    "what is part of the protocol": (
        "enrich",
        {"collector": COLLECTOR, "params": {"e": "pv", "url": "http://a.example/?_sp=abc.0"}},
        {"refr_domain_userid": "abc", "refr_dvce_tstamp": "1970-01-01 00:00:00.000", "derived_contexts": None},
    ),
    "a collector of which not all is told": (
        "e2e",
        {"collector": {"collector": "ssc", "path": "/i", "querystring": "e=pv"}},
        {"event": "page_view", "user_ipaddress": None, "good": 1},
    ),
    "how many come of it": (
        "enrich",
        {"collector": COLLECTOR, "params": {"e": "pv", "tid": "x"}},
        {"badrow": "schema_violations", "outputs": 1},
    ),
    "a parameter without a value": (
        "enrich",
        {"collector": COLLECTOR, "params": {"e": "pv", "aid": None}},
        {"app_id": None, "event": "page_view"},
    ),
}
ERRORS = {
    "an unknown kind of event": (
        "schema_fields",
        {"event": None, "unstruct": None},
        {"type": "InputData", "field": "event", "value": None},
    ),
    "no integer": (
        "validate_integer",
        {"field": "f", "value": "x"},
        {"type": "InputData", "field": "f", "value": "x", "expectation": "not a valid integer"},
    ),
    "an impossible time": (
        "timestamp",
        {"collector_tstamp": "11970-01-01T00:00:00Z"},
        {"message": "Formatted as 11970-01-01 00:00:00.000 is not Redshift-compatible"},
    ),
    "entities that are not mapped": (
        "transform",
        {"param": "co", "value": ""},
        {"message": "invalid json: exhausted input"},
    ),
    "no URL": ("page_url", {"uri": "http://"}, {"message": "any failure"}),
    "no query string": ("querystring", {"querystring": "a=|", "encoding": "UTF-8"}, {"message": "any failure"}),
    "a text that is no JSON": (
        "schema",
        {"contexts": "x"},
        {"violations": ["NotJson"], "source": "contexts", "data": "x"},
    ),
    "a failing end": (
        "e2e",
        {"collector": {**COLLECTOR, "path": "/a/b/c"}},
        {"badrow": "collector_payload_format_violation", "count": 1},
    ),
    "an adapter that is not there": (
        "adapter",
        {"vendor": "com.acme", "version": "v1", "querystring": [["a", "b"]], "contentType": None, "body": None},
        {
            "family": "AdapterFailures",
            "messages": [
                {
                    "field": "vendor/version",
                    "value": "com.acme/v1",
                    "expectation": "vendor/version combination is not supported",
                }
            ],
        },
    ),
    "an event that is too large": (
        "e2e",
        {
            "collector": {**COLLECTOR, "path": "/i", "querystring": "e=pv&page=" + "x" * 9_000},
            "config": {"maxRecordSize": 8_000, "acceptInvalid": True},
        },
        {
            "badrow": "size_violation",
            "good": 0,
            "maximumAllowedSizeBytes": 8_000,
            "expectation": "Enriched event exceeds the maximum allowed size of 8000 bytes",
        },
    ),
    "a failed event, told as an error": (
        "enrich",
        {"collector": COLLECTOR, "params": {"e": "pv", "tid": "x"}},
        {"badrow": "schema_violations", "failed_event": {"txn_id": None, "failure_entities": 1}},
    ),
    "a failing end of several reasons": (
        "e2e",
        {"collector": {**COLLECTOR, "path": "com.snowplowanalytics.snowplow/tp2"}},
        {"badrow": "tracker_protocol_violations", "count": 1},
    ),
}


def vector(kind: str, given: Any, **outcome: Any) -> dict[str, Any]:
    return {"id": "made up", "from": "here", "flavor": "both", "kind": kind, "input": given, **outcome}


@pytest.mark.parametrize("name", FORMS)
def test_other_forms_are_judged(name: str) -> None:
    kind, given, expected = FORMS[name]
    judge(vector(kind, given, expected={"json": expected} if kind == "json_value" else expected), CHECKS[kind])


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_judged(name: str) -> None:
    kind, given, error = ERRORS[name]
    judge(vector(kind, given, error=error), CHECKS[kind])


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("uuid", {"field": "f", "value": "x", "radix": 16}, {"value": "x"}),
        ("tsv_safe", {"value": "x"}, {"value": "x", "length": 1}),
        ("tsv", {"colour": "red"}, {"tsv_contains": "\t"}),
        ("enrich", {"collector": COLLECTOR, "params": {"e": "pv"}}, {"good": True, "shape": "round"}),
        ("enrich", {"collector": COLLECTOR, "params": {"e": "pv"}, "config": {"retry": True}}, {"good": True}),
        ("enrich", {"collector": {**COLLECTOR, "age": 1}, "params": {"e": "pv"}}, {"good": True}),
        ("e2e", {"collector": {**COLLECTOR, "records": ["something else"]}}, {"raw": 1}),
        ("enrich", {"collector": COLLECTOR, "enrichments": {"javascript": "sings"}}, {"good": True}),
        ("enrich", {"collector": COLLECTOR, "enrichments": {"anon_ip": "some"}}, {"good": True}),
        ("schema", {"unstruct_event": None, "derived": []}, {"unstruct": None}),
        ("failure_entity", violation({"type": "NotFound", "schemaKey": URI}, "s", {}), {}),
    ],
)
def test_what_nobody_reads_does_not_pass(kind: str, given: Any, expected: Any) -> None:
    with pytest.raises(AssertionError, match="nothing"):
        judge(vector(kind, given, expected=expected), CHECKS[kind])


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("boolean_byte", {"field": "f", "value": "1"}, {"value": 0}),
        ("e2e", {"collector": {**COLLECTOR, "records": ["page view"]}}, {"raw": 1, "good": 1, "dropped": 1}),
        (
            "e2e",
            {"collector": {**COLLECTOR, "path": "com.snowplowanalytics.snowplow/tp2"}},
            {"badrow": "tracker_protocol_violations", "count": 2},
        ),
        (
            "e2e",
            {"collector": {**COLLECTOR, "records": ["nonsense"]}},
            {"bad": 2, "badrow": "collector_payload_format_violation"},
        ),
        ("enrich", {"collector": COLLECTOR, "params": {"e": "pv", "aid": "a"}}, {"app_id": "b"}),
        ("enrich", {"collector": COLLECTOR, "params": {"e": "pv", "tid": "x"}}, {"good": False}),
    ],
)
def test_a_wrong_outcome_fails(kind: str, given: Any, expected: Any) -> None:
    with pytest.raises(AssertionError):
        judge(vector(kind, given, expected=expected), CHECKS[kind])
