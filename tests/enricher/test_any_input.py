"""What holds of the pipeline whatever comes in: nothing lost, nothing doubled, no bug."""

import json
from pathlib import Path
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from enricher.enrichments import event_fingerprint
from enricher.enrichments.contract import Resources
from enricher.outcome import Outcome
from shared.event import FIELDS, WIDTH
from shared.payload_reader import decode as payloads
from shared.tsv import decode
from tests.enricher.harness import (
    GOOD,
    enrich,
    enrichment,
    post,
    record,
    rows,
)
from tests.enricher.peer import transform

PARAMETERS = sorted({name for field in FIELDS for name in field.params})


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["schema", "data", "x"]), inner),
    max_leaves=8,
).map(json.dumps)


uris = st.sampled_from(
    [
        "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
        "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0",
        "iglu:com.acme/nothing/jsonschema/1-0-0",
        "iglu:x",
    ]
)


entities = st.builds(lambda uri, data: {"schema": uri, "data": data}, uris, st.just({"id": "x"}) | st.none())


wrappers = st.builds(
    lambda uri, data: json.dumps({"schema": uri, "data": data}), uris, entities | st.lists(entities, max_size=3)
)


values = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.sampled_from(["pv", "ue", "web", "1", "0", "null", "1x2", "", "http://a.example/?_sp=a.b", "\ud800", "\t\n"]),
    json_texts,
    wrappers,
)


parameters = st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=5), values, max_size=12)


FINGERPRINT = enrichment(
    event_fingerprint.enrich,
    state=event_fingerprint.prepare(event_fingerprint.Config.model_validate({}), Resources(Path(), Path())),
)


def judge(outcome: Outcome) -> None:
    """Nothing lost, nothing doubled; every line is one, and peers read it."""
    assert len(outcome.enriched) - outcome.side + outcome.dropped + len(outcome.bad) == outcome.events + outcome.refused
    for line in (*outcome.enriched, *outcome.failed):
        assert b"\n" not in line.body
        assert len(decode(line.body)) == WIDTH
        read = transform(line.body)
        assert read["v_etl"] == "evnt-enrich-0.1.0"
        assert len(read["event_id"]) == 36
    for row in rows(outcome):
        assert row["data"]["processor"] == {"artifact": "evnt-enrich", "version": "0.1.0"}
        assert "generic_error" not in row["schema"], row["data"]["failure"]


@settings(deadline=None, max_examples=80)
@given(st.lists(parameters, min_size=1, max_size=3))
def test_any_parameters_by_post(events: list[dict[str, str]]) -> None:
    sent = [{**event, "e": event.get("e", "pv"), "p": event.get("p", "web"), "tv": "t"} for event in events]
    judge(enrich(post(*sent), enrichments=[FINGERPRINT]))


@settings(deadline=None, max_examples=80)
@given(parameters)
def test_any_parameters_by_get(event: dict[str, str]) -> None:
    pairs = [f"{_quoted(name)}={_quoted(value)}" for name, value in event.items()]
    judge(enrich(record(querystring="&".join(pairs)), enrichments=[FINGERPRINT]))


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["/i", "/com.snowplowanalytics.snowplow/tp2", "/r/tp2", "/com.snowplowanalytics.iglu/v1", "/x/y"]),
    st.none() | st.text(max_size=30),
    st.none() | st.text(max_size=30) | json_texts | wrappers,
    st.none() | st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"]),
)
def test_any_request(path: str, querystring: str | None, body: str | None, content_type: str | None) -> None:
    judge(enrich(record(path=path, querystring=querystring, body=body, content_type=content_type)))


@settings(deadline=None, max_examples=120)
@given(st.binary(max_size=60) | st.integers(0, 400).map(lambda cut: post(GOOD)[:cut]))
def test_any_bytes(message: bytes) -> None:
    outcome = enrich(message)
    judge(outcome)
    assert outcome.payloads == len(list(payloads(message)))
