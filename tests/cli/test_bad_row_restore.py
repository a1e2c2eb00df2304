"""What bad rows were made of: the enricher makes of it what it made, or would have made, of the request itself."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.bad_row_restore import Impossible, Original, message, restore
from enricher.enrichments.contract import Failure, Patch
from enricher.outcome import Outcome
from loader.badrows import parsing_error, runtime_error, too_large
from shared.badrow import Processor, bad_row
from shared.event import FIELDS
from shared.payload import CollectorPayload
from shared.rawmessage import pack, read
from shared.tsv import encode
from tests.enricher.harness import ETL_MS, GOOD, columns, enrich, enrichment, post, record

EVENT_ID = "8a1b0f3c-9d2e-4c55-8f0a-1b2c3d4e5f60"
FAILING = enrichment(lambda *_: Patch(failures=(Failure("out of order"),)))
WEB_PAGE = {
    "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
    "data": [
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0",
            "data": {"id": "5a2a6a6e-46a3-4f0d-9b0c-1f7c2d3e4f50"},
        }
    ],
}
REQUEST: dict[str, Any] = {
    "ip_address": "2001:db8::1",
    "user_agent": "Mozilla/5.0 \u2603",
    "referer_uri": "https://shop.example/a?b=c",
    "hostname": "collector.example",
    "network_userid": "11111111-2222-4333-8444-555555555555",
    "headers": ["X-Forwarded-For: 192.0.2.7, 10.0.0.1", "Cookie: a=b"],
}

REQUESTS = {
    "a POST of two": post({**GOOD, "eid": EVENT_ID, "co": json.dumps(WEB_PAGE)}, {**GOOD, "page": "a\tb"}, **REQUEST),
    "a GET": record(
        querystring="e=pv&p=web&page=a%20%26b%3D%2Bc;d&flag&empty=&url=https://x.y/%C3%BC&stray=1", **REQUEST
    ),
    "a redirect": record(path="/r/tp2", querystring="u=https%3A%2F%2Fx.example%2F%3Fa%3Db&aid=shop", **REQUEST),
    "a webhook": record(
        path="/com.snowplowanalytics.iglu/v1",
        querystring="schema=iglu%3Acom.snowplowanalytics.snowplow%2Fweb_page%2Fjsonschema%2F1-0-0&id=" + EVENT_ID,
        **REQUEST,
    ),
}


def restored(outcome: Outcome) -> list[Original]:
    found = [restore(json.loads(row.body)) for row in outcome.bad]
    assert all(isinstance(one, Original) for one in found), found
    return [one for one in found if isinstance(one, Original)]


@pytest.mark.parametrize("name", REQUESTS)
def test_an_event_that_failed_becomes_the_event_that_it_would_have_been(name: str) -> None:
    sent = REQUESTS[name]
    good, failed = enrich(sent), enrich(sent, enrichments=[FAILING])
    assert good.enriched, [row.body for row in good.bad]
    found = restored(failed)
    assert [(one.stream, one.holds) for one in found] == [("raw", 1)] * len(good.enriched)
    again = [enrich(one.body, message_id="22222222-2222-4222-8222-222222222222") for one in found]
    assert [line for one in again for line in one.enriched] == good.enriched


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.none(),
        max_size=6,
    )
)
def test_whatever_the_parameters_were(parameters: dict[str, str | None]) -> None:
    pairs = [{"name": name, "value": value} for name, value in {**parameters, "e": "pv", "eid": EVENT_ID}.items()]
    raw = {
        "parameters": pairs,
        "loaderName": "x",
        "userId": None,
        "timestamp": "2026-01-02T03:04:05.006Z",
        "ipAddress": None,
        "useragent": None,
        "refererUri": None,
        "hostname": None,
        "headers": [],
    }
    document = json.loads(bad_row("schema_violations", Processor("x", "1.0.0"), {}, {"raw": raw, "enriched": {}}))
    (found,) = restored(enrich(_restored(document).body, enrichments=[FAILING]))
    seen: list[Any] = []
    enrich(found.body, enrichments=[enrichment(lambda draft, _: seen.append(draft.parameters))])
    assert seen == [{pair["name"]: pair["value"] for pair in pairs}]


def _restored(document: Any) -> Original:
    found = restore(document)
    assert isinstance(found, Original), found
    return found


def test_an_event_without_an_id_keeps_the_one_that_was_made_for_it() -> None:
    sent = post({name: value for name, value in GOOD.items() if name != "eid"})
    (failed,) = enrich(sent, enrichments=[FAILING]).failed
    (one,) = restored(enrich(sent, enrichments=[FAILING]))
    (line,) = enrich(one.body, message_id="22222222-2222-4222-8222-222222222222").enriched
    assert columns(line.body)["event_id"] == columns(failed.body)["event_id"]


REFUSED = {
    "tracker_protocol_violations": record(
        path="/com.snowplowanalytics.snowplow/tp2", body='{"a": "\u2603', content_type="application/json", **REQUEST
    ),
    "adapter_failures": record(path="/com.acme/v1", querystring="a=b+c&d", body="x", content_type="text/x", **REQUEST),
    "collector_payload_format_violation": record(path="/a/b/c"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_request_that_was_refused_is_as_it_was(kind: str) -> None:
    outcome = enrich(REFUSED[kind])
    assert [row.type for row in outcome.bad] == [kind]
    (found,) = restored(outcome)
    assert enrich(found.body).bad == outcome.bad


def test_a_record_that_met_a_bug_is_as_it_was() -> None:
    def bug(*_: object) -> Patch:
        raise KeyError("bug")

    sent = post(GOOD)
    outcome = enrich(sent, enrichments=[enrichment(bug)])
    assert [row.type for row in outcome.bad] == ["generic_error"]
    assert restored(outcome) == [Original("raw", sent)]


LINE = {
    "event_id": EVENT_ID,
    "collector_tstamp": "2026-01-02 03:04:05.000",
    "derived_tstamp": "2026-01-02 03:04:05.678",
    "txn_id": "7",
    "geo_latitude": "-12.5",
    "tr_total": "12.34",
    "tr_tax": "12345678901234567890.12",
    "ti_price": "0.1234567890123456789",
    "br_cookies": "1",
    "br_features_pdf": "0",
    "doc_width": "800",
    "doc_height": "0",
    "unstruct_event": '{"schema":"caf\u00e9","data":{}}',
    "contexts": "[" * 100_000,
    "page_title": "caf\u00e9",
}
FAILURE = '{"schema":"x","data":[{"schema":"iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0","data":{}}]}'


FAILURE_OF_OTHERS = FAILURE.replace("com.snowplowanalytics.snowplow/failure", "com.acme/failure")


@pytest.mark.parametrize(
    ("derived", "stream"), [("", "enriched"), (FAILURE, "failed"), (FAILURE_OF_OTHERS, "enriched")]
)
def test_a_line_is_what_it_was(derived: str, stream: str) -> None:
    values = {**LINE, "derived_contexts": derived}
    line = encode([values.get(field.name, "") for field in FIELDS])
    for row in (runtime_error(line, "refused"), parsing_error(line, {"type": "NotTSV"})):
        assert restore(json.loads(row)) == Original(stream, line)  # type: ignore[arg-type]
    assert restore(json.loads(parsing_error(b"no event\nnor this", {"type": "NotTSV"}))) == Original(
        "enriched", b"no event\nnor this", 2
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "not a bad row"),
        ([], "not a bad row"),
        ({"schema": "iglu:a/b", "data": {}}, "not a bad row"),
        (json.loads(too_large(b"x" * 900, 1_000, 0)), "a size_violation quotes only the beginning of its original"),
        (
            {"schema": "iglu:com.acme/strange/jsonschema/1-0-0", "data": {"payload": ""}},
            "strange is no type of bad row that is known",
        ),
        (
            json.loads(bad_row("schema_violations", Processor("x", "1.0.0"), {}, {"raw": None})),
            "its payload is not that of a schema_violations: KeyError: 'enriched'",
        ),
        (
            json.loads(bad_row("generic_error", Processor("x", "1.0.0"), {}, "")),
            "its payload is no record, but the body of a request that could not be read",
        ),
        (
            json.loads(bad_row("generic_error", Processor("x", "1.0.0"), {}, "bm90IHRocmlmdA==")),
            "its payload is no record, but the body of a request that could not be read",
        ),
    ],
)
def test_what_can_not_be_turned_back_says_why(document: Any, reason: str) -> None:
    assert restore(document) == Impossible(reason)


def test_an_original_has_one_id_however_its_row_is_written() -> None:
    row = json.loads(enrich(REFUSED["adapter_failures"]).bad[0].body)
    found = _restored(row)
    other = {"data": dict(reversed(row["data"].items())), "schema": row["schema"]}
    assert message(found, 1).message_id == message(_restored(other), 2).message_id
    mended = {**row, "data": {**row["data"], "payload": {**row["data"]["payload"], "body": "y"}}}
    assert message(_restored(mended), 1).message_id != message(found, 1).message_id
    assert message(found, 1).headers == {"payloads": 1}


def test_all_rows_of_one_record_have_one_original() -> None:
    found = restored(enrich(record(path="/a/b/c", network_userid="x")))
    assert len(found) == 2
    assert len({message(one, 1).message_id for one in found}) == 1


@pytest.mark.parametrize("sent", [*REQUESTS.values(), *REFUSED.values()])
def test_what_fails_again_has_the_same_original(sent: bytes) -> None:
    """Or doing it again would make a second event of what has no id of its own."""
    first = restored(enrich(sent, enrichments=[FAILING]))
    later = [restored(enrich(one.body, enrichments=[FAILING], etl_ms=ETL_MS + 1)) for one in first]
    assert later == [[one] for one in first]


def test_a_batch_that_met_a_bug_counts_its_payloads() -> None:
    batch = pack([post(GOOD), post(GOOD)], "gzip")
    row = json.loads(bad_row("generic_error", Processor("x", "1.0.0"), {}, b64encode(batch).decode()))
    found = _restored(row)
    assert found == Original("raw", batch, 2)
    made = message(found, 7)
    assert (made.headers, made.timestamp_ms) == ({"payloads": 2}, 7)


@pytest.mark.parametrize(("stream", "type_"), [("enriched", "enriched-tsv"), ("failed", "failed-tsv")])
def test_a_message_of_lines_is_like_those_of_the_enricher(stream: Any, type_: str) -> None:
    made = message(Original(stream, b"x\ny", 2), 1)
    assert (made.type, made.content_type, made.headers) == (type_, "text/tab-separated-values", {"events": 2})


RAW: dict[str, Any] = {
    "parameters": [{"name": "e", "value": "pv"}],
    "loaderName": "x",
    "userId": None,
    "timestamp": "2026-01-02T03:04:05.006Z",
    "ipAddress": "192.0.2.7",
    "useragent": None,
    "refererUri": None,
    "hostname": None,
    "headers": [],
}


def _payload(enriched: Any = None, **raw: Any) -> CollectorPayload:
    """What a row of an event becomes, read again."""
    payload = {"raw": {**RAW, **raw}, "enriched": enriched or {}}
    (found,) = read(_restored(json.loads(bad_row("schema_violations", Processor("x", "1.0.0"), {}, payload))).body, 9)
    assert isinstance(found, CollectorPayload)
    return found


@pytest.mark.parametrize(
    ("pairs", "event_id", "querystring"),
    [
        ([("e", "pv")], None, "e=pv"),
        ([("e", "pv")], EVENT_ID, f"e=pv&eid={EVENT_ID}"),
        ([("eid", ""), ("e", "pv")], EVENT_ID, f"e=pv&eid={EVENT_ID}"),
        ([("eid", None), ("e", "pv")], EVENT_ID, f"e=pv&eid={EVENT_ID}"),
        ([("eid", "mine"), ("e", "pv")], EVENT_ID, "eid=mine&e=pv"),
        ([("url", "https://a/b?c&d"), ("\u2603", None)], None, "url=https%3A%2F%2Fa%2Fb%3Fc%26d&%E2%98%83"),
        ([(None, "a"), ("b", "\ud83d")], None, "=a&b=%3F"),
        ([], None, None),
    ],
)
def test_the_query_of_an_event(pairs: list[tuple[str, str]], event_id: str | None, querystring: str | None) -> None:
    parameters = [{"name": name, "value": value} for name, value in pairs]
    found = _payload({"event_id": event_id}, parameters=parameters)
    assert (found.querystring, found.ip_address, found.path) == (querystring, "192.0.2.7", "/i")


def test_a_request_without_a_query_may_have_none() -> None:
    (row,) = enrich(REFUSED["tracker_protocol_violations"]).bad
    document = json.loads(row.body)
    document["data"]["payload"]["querystring"] = None
    (found,) = read(_restored(document).body, 9)
    assert isinstance(found, CollectorPayload)
    assert found.querystring is None


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-01-02T03:04:05.006Z", 1_767_323_045_006),
        ("2026-01-02T03:04:05Z", 1_767_323_045_000),
        ("2026-01-02 03:04:05.600", 1_767_323_045_600),
    ],
)
def test_a_time_is_what_it_was(text: str, milliseconds: int) -> None:
    assert _payload(timestamp=text).timestamp == milliseconds


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.006789Z", "2026-01-02T03:04:05-0500"])
def test_a_time_in_another_form_is_none(text: str) -> None:
    payload = {"raw": {**RAW, "timestamp": text}, "enriched": {}}
    found = restore(json.loads(bad_row("schema_violations", Processor("x", "1.0.0"), {}, payload)))
    assert isinstance(found, Impossible)
    assert f"{text} is no time" in found.reason
