"""Every type of bad row that the enricher makes is valid against its own published schema, and keeps the original."""

import base64
import json
import zlib
from collections.abc import Callable
from encodings import _cache  # what Python remembers of names
from typing import Any

import pytest

from enricher.badrows import BadRows
from enricher.enrichments.contract import Draft, Enrichment, Failure, Patch
from enricher.iglu.contract import InvalidSchema, NotResolved
from enricher.limits import AtomicLimits
from enricher.options import Options
from enricher.outcome import Outcome
from enricher.request import FormatViolation
from shared.event import FIELDS
from shared.rawmessage import pack
from tests.enricher.harness import GOOD, PROCESSOR, Schemas, enrich, post, record, rows
from tests.vectors import folder

SCHEMAS = Schemas()
CENTRAL = folder("EVNT_IGLU_CENTRAL", "../shared/iglu-central")
URI = "iglu:com.acme/nothing/jsonschema/1-0-0"


def fails(draft: Draft, _state: Any) -> Patch:
    return Patch(failures=[Failure("x" * 2_000), Failure("y" * 2_000, "f" * 200, "value")])


def breaks(draft: Draft, _state: Any) -> Patch:
    raise ZeroDivisionError("a bug of ours")


def through(enrich_: Callable[..., Patch]) -> list[Enrichment]:
    return [Enrichment("test", "test", "iglu:com.acme/test_config/jsonschema/1-0-0", None, enrich_)]


def unstruct(text: str) -> Outcome:
    return enrich(post({**GOOD, "e": "ue", "ue_pr": text}))


def superseded(successor: dict[str, Any]) -> Outcome:
    """Data that don't conform to what stands in for their schema."""
    made_up = {URI: {"type": "object", "$supersededBy": "1-0-1"}, URI[:-1] + "1": successor}
    return enrich(post({**GOOD, "ue_pr": wrapped({"schema": URI, "data": {}})}), schemas=Schemas(made_up))


def wrapped(entity: object) -> str:
    schema = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
    return json.dumps({"schema": schema, "data": entity})


CASES: dict[str, Callable[[], Outcome]] = {
    "truncated Thrift": lambda: enrich(record()[:40]),
    "no bytes": lambda: enrich(b""),
    "another schema": lambda: enrich(record(schema=None)),
    "no path": lambda: enrich(record(path=None)),
    "odd path": lambda: enrich(record(path="/a/b/c")),
    "bad user id": lambda: enrich(record(network_userid="me")),
    "illegal query": lambda: enrich(record(querystring="a=|" + "x" * 2_000)),
    "four problems at once": lambda: enrich(record(querystring="|", path="/", network_userid="me", schema="x")),
    "unknown encoding": lambda: enrich(record(encoding="klingon")),
    "unknown vendor": lambda: enrich(record(path="/com.acme/v9", querystring="a=b")),
    "empty pixel": lambda: enrich(record(path="/i")),
    "no event in a POST": lambda: enrich(record(path="/com.snowplowanalytics.snowplow/tp2")),
    "body is no JSON": lambda: enrich(post(GOOD, body="{")),
    "batch of another version": lambda: enrich(zlib.compress(b"\2\1", wbits=31)),
    "batch without an end": lambda: enrich(pack([record()], "gzip")[:40]),
    "payload of a batch too large": lambda: enrich(
        pack([record(body="x" * 20_000)], "zstd"), options=Options(PROCESSOR, longest_payload=20_000)
    ),
    "body is not self-describing": lambda: enrich(post(GOOD, body="[1, 2]")),
    "body of another schema": lambda: enrich(post(GOOD, body=json.dumps({"schema": URI, "data": 1}))),
    "event without what is required": lambda: enrich(post({"e": "pv"})),
    "redirect to nowhere": lambda: enrich(record(path="/r/tp2", querystring="a=b")),
    "number that is none": lambda: enrich(post({**GOOD, "vid": "x", "se_va": "y", "res": "1x", "eid": "z"})),
    "unstruct is no JSON": lambda: unstruct("{"),
    "unstruct is not self-describing": lambda: unstruct("1"),
    "unstruct of a broken version": lambda: unstruct(wrapped({"schema": URI[:-5] + "0-0-0", "data": {}})),
    "unstruct without wrapper": lambda: unstruct(json.dumps({"schema": URI, "data": {}})),
    "unknown schema": lambda: unstruct(wrapped({"schema": URI, "data": {}})),
    "data against a superseding schema": lambda: superseded({"required": ["a"]}),
    "superseding schema that is none": lambda: superseded({"type": "thing"}),
    "over-long column": lambda: enrich(post({**GOOD, "tna": "x" * 200})),
    "no event type": lambda: enrich(record(querystring="aid=x")),
    "enrichment that fails": lambda: enrich(post(GOOD), enrichments=through(fails)),
    "enrichment that breaks": lambda: enrich(post(GOOD), enrichments=through(breaks)),
    "event too large": lambda: enrich(
        post({**GOOD, "page": "x" * 20_000}), options=Options(PROCESSOR, 10_000, accept_long=True)
    ),
    "bad row too large": lambda: enrich(post({**GOOD, "page": "x" * 20_000}), options=Options(PROCESSOR, 10_000)),
}


@pytest.mark.skipif(not CENTRAL.exists(), reason=f"{CENTRAL} is not on this machine")
@pytest.mark.parametrize("name", CASES)
def test_is_valid_against_its_own_schema(name: str) -> None:
    outcome = CASES[name]()
    assert outcome.bad
    for row in rows(outcome):
        schema = SCHEMAS.resolve(row["schema"])
        assert not isinstance(schema, (NotResolved, InvalidSchema)), row["schema"]
        assert schema.reports(row["data"]) == ()


@pytest.mark.parametrize("name", CASES)
def test_nothing_comes_out_twice_or_not_at_all(name: str) -> None:
    outcome = CASES[name]()
    assert not outcome.enriched
    assert len(outcome.bad) == outcome.refused + outcome.events


@pytest.mark.parametrize("successor", [{"required": ["a"]}, {"type": "thing"}])
def test_the_version_that_judged_comes_first(successor: dict[str, Any]) -> None:
    (row,) = rows(superseded(successor))
    (message,) = row["data"]["failure"]["messages"]
    assert message["schemaKey"] == URI
    assert list(message["error"].items())[:2] == [("supersededBy", "1-0-1"), ("error", "ValidationError")]


def test_all_types_are_among_the_cases() -> None:
    made = {row.type for case in CASES.values() for row in case().bad}
    assert made == {
        "collector_payload_format_violation",
        "adapter_failures",
        "tracker_protocol_violations",
        "schema_violations",
        "enrichment_failures",
        "size_violation",
        "generic_error",
    }


@pytest.mark.parametrize(
    "encoding",
    [
        "klingon",
        "",
        "hex",
        "rot13",
        "idna",
        "utf-7",
        "unicode_escape",
        "undefined",
        "utf-8\0",
        "utf 8",
        "utf8\x0b",
        "punycode",
    ],
)
def test_what_is_no_charset_is_named(encoding: str) -> None:
    (row,) = rows(enrich(record(encoding=encoding, querystring="e=pv&page=%C3%BC")))
    assert row["data"]["failure"]["message"] == {"error": f"error deserializing raw event: {encoding}"}


def test_one_record_can_violate_the_format_in_four_ways() -> None:
    messages = [row["data"]["failure"]["message"] for row in rows(CASES["four problems at once"]())]
    assert [message.get("payloadField") for message in messages] == ["querystring", "path", "networkUserId", None]
    assert messages[3]["error"].endswith("failed: found x")


@pytest.mark.parametrize("name", ["truncated Thrift", "odd path", "enrichment that breaks"])
def test_a_record_is_kept_whole(name: str) -> None:
    originals = {
        "truncated Thrift": record()[:40],
        "odd path": record(path="/a/b/c"),
        "enrichment that breaks": post(GOOD),
    }
    (row,) = rows(CASES[name]())
    assert base64.b64decode(row["data"]["payload"]) == originals[name]


def test_a_batch_that_is_none_is_kept_whole() -> None:
    (versions,) = rows(CASES["batch of another version"]())
    failure = {"error": "Unsupported versions in compressed record header: 2, 1"}
    assert versions["data"]["failure"]["message"] == failure
    (end,) = rows(CASES["batch without an end"]())
    assert end["data"]["failure"]["message"] == {"error": "corrupt compressed payload"}
    assert base64.b64decode(end["data"]["payload"]) == pack([record()], "gzip")[:40]


def test_a_payload_too_large_is_kept_with_its_batch() -> None:
    (row,) = rows(CASES["payload of a batch too large"]())
    expectation = "Collector payload will exceed maximum allowed size of 20000 after Zstd decompression"
    assert row["data"]["failure"]["expectation"] == expectation
    assert row["data"]["failure"]["actualSizeBytes"] == len(record(body="x" * 20_000))
    assert base64.b64decode(row["data"]["payload"]) == pack([record(body="x" * 20_000)], "zstd")


def test_a_refused_request_is_kept_whole() -> None:
    body = json.dumps({"schema": URI, "data": "ü" * 3_000})
    (row,) = rows(enrich(post(GOOD, body=body, headers=["Host: a", "Cookie: b=c"], querystring="x=1&x=2&y")))
    payload = row["data"]["payload"]
    assert payload["body"] == body
    assert payload["headers"] == ["Host: a", "Cookie: b=c"]
    assert payload["querystring"] == [
        {"name": "x", "value": "1"},
        {"name": "x", "value": "2"},
        {"name": "y", "value": None},
    ]


def test_the_parameters_of_a_failed_event_are_kept_whole() -> None:
    sent = {**GOOD, "vid": "x", "cx": "A" * 5_000, "page": "Grüße"}
    (row,) = rows(enrich(post(sent)))
    raw = row["data"]["payload"]["raw"]
    assert {pair["name"]: pair["value"] for pair in raw["parameters"]} == sent
    assert (raw["loaderName"], raw["userId"]) == ("test-collector", None)


_SOURCE = "encoding hostname timestamp ipAddress useragent refererUri headers"
_NAMES = {
    "request": f"vendor version querystring contentType body collector {_SOURCE} networkUserId",
    "event": f"vendor version parameters contentType loaderName {_SOURCE} userId",
}


def test_names_are_in_upstreams_order() -> None:
    """A size violation quotes the beginning of a row: what it shows of it depends on this."""
    (request,) = rows(enrich(post(GOOD, content_type="text/plain")))
    (event,) = rows(enrich(post({**GOOD, "vid": "x"})))
    assert " ".join(request["data"]["payload"]) == _NAMES["request"]
    assert " ".join(event["data"]["payload"]["raw"]) == _NAMES["event"]


def test_columns_are_typed_as_upstream_types_them() -> None:
    sent = {**GOOD, "vid": "7", "tid": "8", "se_va": "1.50", "f_pdf": "1", "res": "3x4", "ti_qu": "x"}
    (row,) = rows(enrich(post(sent)))
    enriched = row["data"]["payload"]["enriched"]
    assert list(enriched) == [field.name for field in FIELDS]
    names = ("domain_sessionidx", "txn_id", "se_value", "br_features_pdf", "dvce_screenwidth", "app_id")
    assert [enriched[name] for name in names] == [7, "8", "1.50", 1, 3, None]


def test_an_oversized_event_quotes_a_tenth() -> None:
    (row,) = rows(CASES["event too large"]())
    failure = row["data"]["failure"]
    assert failure["expectation"] == "Enriched event exceeds the maximum allowed size of 10000 bytes"
    assert failure["actualSizeBytes"] > failure["maximumAllowedSizeBytes"] == 10_000
    assert len(row["data"]["payload"]) == 1_000


def test_limits_name_known_columns() -> None:
    with pytest.raises(KeyError, match="txn_id"):
        AtomicLimits({"txn_id": 5})


def test_rows_of_one_message_do_not_fill_the_memory_with_what_they_repeat() -> None:
    made = BadRows(PROCESSOR, 0, 1_000_000, most=300_000)
    found = [made.format_violation(FormatViolation(f"reason {number}"), b"x" * 20_000) for number in range(100)]
    whole = [row for row in found if row.type == "collector_payload_format_violation"]
    cut = [json.loads(row.body)["data"] for row in found if row.type == "size_violation"]
    assert 10 < len(whole) < 20
    assert len(whole) + len(cut) == 100
    assert "reason 99" in cut[-1]["payload"]
    assert max(len(data["payload"]) for data in cut) <= 1_000


def test_made_up_charsets_are_not_remembered() -> None:
    before = len(_cache)
    for number in range(20):
        assert len(rows(enrich(record(encoding=f"made-up-{number}", querystring="e=pv")))) == 1
    assert len(_cache) == before
