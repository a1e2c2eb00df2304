"""The pipeline as a whole: golden cases, and what events have to do with each other."""

import json
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from enricher.enrichments.contract import TURN, Answer, Draft, Enrichment, Entity, Patch, Query
from enricher.entities import Cached
from enricher.options import Options
from enricher.outcome import Outcome
from enricher.pipeline import Pipeline
from shared.event import FIELDS, INDEX
from shared.rawmessage import Method, pack
from shared.tsv import decode
from tests.enricher.harness import (
    ETL_MS,
    GOOD,
    MESSAGE_ID,
    PROCESSOR,
    Schemas,
    columns,
    enrich,
    enrichment,
    post,
    record,
    rows,
    run,
)
from tests.enricher.peer import transform

CASES = sorted((Path(__file__).parent / "cases").glob("*.yml"))


# ---- golden cases -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", CASES, ids=[file.stem for file in CASES])
def test_golden_case(file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    outcome = enrich(record(**case["request"]))
    assert [columns(line.body) for line in outcome.enriched] == case.get("enriched", [])
    assert [columns(line.body) for line in outcome.failed] == case.get("failed", [])
    bad = [{"type": row["schema"].split("/")[1], "failure": row["data"]["failure"]} for row in rows(outcome)]
    assert bad == case.get("bad", [])


def test_same_input_same_bytes() -> None:
    message = [post(GOOD, {**GOOD, "vid": "x"}), record(querystring="e=pv"), b"\x0b"]
    assert enrich(*message) == enrich(*message)


# ---- event ids ----------------------------------------------------------------------------------------------------


def ids(outcome: Outcome) -> list[str]:
    return [columns(line.body)["event_id"] for line in (*outcome.enriched, *outcome.failed)]


def test_missing_ids_are_distinct_and_follow_from_the_message() -> None:
    message = post(GOOD, GOOD), record(querystring="e=pv")
    first = ids(enrich(*message))
    assert len(set(first)) == 3
    assert ids(enrich(*message)) == first
    assert not set(ids(enrich(*message, message_id="01890a5d-ac96-774b-bcce-000000000000"))) & set(first)


def test_an_invalid_id_leaves_the_made_one() -> None:
    outcome = enrich(post({**GOOD, "eid": "x"}))
    assert ids(outcome) == ids(enrich(post(GOOD)))


# ---- isolation ----------------------------------------------------------------------------------------------------


def break_on(word: str) -> Enrichment:
    def enrich_(draft: Draft, _state: Any) -> Patch | None:
        if draft.parameters.get("aid") == word:
            raise ZeroDivisionError(word)
        return None

    return enrichment(enrich_)


def test_a_bug_costs_one_event() -> None:
    message = post({**GOOD, "aid": "fine"}, {**GOOD, "aid": "bug"}, {**GOOD, "aid": "fine too"})
    outcome = enrich(message, record(querystring="e=pv"), enrichments=[break_on("bug")])
    assert len(outcome.enriched) == 3
    (row,) = rows(outcome)
    assert row["schema"].endswith("generic_error/jsonschema/1-0-0")
    assert "ZeroDivisionError: bug" in row["data"]["failure"]["errors"][0]


def test_a_broken_tail_costs_the_tail() -> None:
    outcome = enrich(post(GOOD), record(querystring="e=pv"), record()[:-10])
    assert (len(outcome.enriched), len(outcome.bad), outcome.payloads) == (2, 1, 3)


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_a_compressed_batch_becomes_what_its_payloads_become(method: Method) -> None:
    sent = [post(GOOD, GOOD), record(querystring="e=pv"), record(path="/a/b/c"), post({**GOOD, "vid": "x"})] * 10
    plain, packed = enrich(*sent), enrich(pack(sent, method))
    assert plain == packed
    assert (packed.payloads, packed.events, len(packed.enriched), len(packed.bad)) == (40, 40, 30, 20)


def test_a_broken_batch_costs_what_could_not_be_read() -> None:
    large = post(GOOD, headers=["x" * 3_000])
    outcome = enrich(pack([post(GOOD), large, post(GOOD)], "gzip"), options=Options(PROCESSOR, longest_payload=3_000))
    assert (len(outcome.enriched), [row.type for row in outcome.bad]) == (2, ["size_violation"])
    outcome = enrich(zlib.compress(b"\1\1" + len(large).to_bytes(4, "big") + large + b"\0\0", wbits=31))
    assert (len(outcome.enriched), outcome.payloads) == (1, 2)
    assert [row.type for row in outcome.bad] == ["collector_payload_format_violation"]


def test_a_bug_of_who_answers_is_the_asking_events() -> None:
    pipeline = Pipeline(Schemas().cached, list, Options(PROCESSOR))
    steps = pipeline.process(post(GOOD), MESSAGE_ID, ETL_MS)
    assert next(steps).kind == "schema"
    with pytest.raises(StopIteration) as done:
        steps.throw(KeyError("registry"))
    outcome = done.value.value
    assert [bad.type for bad in outcome.bad] == ["generic_error"]
    assert (outcome.refused, outcome.events) == (1, 0), "the request counts, its events were never known"


def test_events_go_together_but_few_at_a_time() -> None:
    """Each takes a hundred times the memory of what it was sent in, and a message may hold a hundred thousand."""
    taken: list[tuple[str, str]] = []

    def seen(name: str) -> Enrichment:
        return enrichment(lambda draft, _: taken.append((name, draft.parameters["tna"])))

    names = [f"{payload}.{number}" for payload in range(3) for number in range(15)]
    sent = [post(*[{**GOOD, "tna": name} for name in names[start : start + 15]]) for start in range(0, 45, 15)]
    outcome = enrich(*sent, enrichments=[seen("first"), seen("second")])
    slices = [names[:16], names[16:32], names[32:]]
    assert taken == [(which, name) for some in slices for which in ("first", "second") for name in some]
    assert [columns(line.body)["name_tracker"] for line in outcome.enriched] == names
    assert (outcome.payloads, outcome.events) == (3, 45)


def test_user_agents_are_foreseen_some_payloads_at_a_time() -> None:
    """As events will have them, before the first of those events; few, since a payload may be a megabyte."""
    seen: list[list[str] | str] = []
    watching = enrichment(lambda draft, _: seen.append(draft.values[INDEX["useragent"]]))
    watching.foresee = lambda useragents, _: seen.append(list(useragents))
    small = [post(GOOD, user_agent=f"a\t{number}") for number in range(70)]
    outcome = enrich(*small, enrichments=[watching])
    assert outcome.events == 70
    names = [f"a    {number}" for number in range(70)]
    assert seen == [names[:64], *names[:64], names[64:], *names[64:]]
    seen.clear()
    large = [post({**GOOD, "page": "x" * 600_000}, user_agent=name) for name in "abc"]
    enrich(*large, enrichments=[watching])
    assert [one for one in seen if isinstance(one, list)] == [["a", "b"], ["c"]]


def test_a_bug_in_foresight_costs_nothing() -> None:
    sent = [post(GOOD, user_agent="a"), record(querystring="e=pv")]

    def fail(*_: object) -> None:
        raise KeyError("tables")

    blind, seeing = (enrichment(lambda *_: Patch(fields={"app_id": "x"})) for _ in range(2))
    seeing.foresee = fail
    assert enrich(*sent, enrichments=[seeing]) == enrich(*sent, enrichments=[blind])


def test_answers_that_no_cache_keeps_end_in_the_same_event() -> None:
    """A phase is gone through again for every schema; enrichments are asked once, and nothing is reported twice."""
    asked: list[str] = []
    page = Entity("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": 1})
    asking = enrichment(lambda _draft, _state, _answer: Patch(contexts=[page]), lambda *_: Query("http", "who?"))
    contexts = {
        "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
        "data": [{"schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2", "data": {}}],
    }

    def process(cached: Cached, schemas: Schemas) -> Outcome:
        def answer(query: Query) -> Answer:
            asked.append(query.question)
            return Answer("me")

        sent = post({**GOOD, "vid": "x", "co": json.dumps(contexts)})
        pipeline = Pipeline(cached, lambda: [asking], Options(PROCESSOR))
        return run(pipeline.process(sent, MESSAGE_ID, ETL_MS), schemas, answer)

    schemas = Schemas()
    forgetful, keeping = process(lambda _uri: None, schemas), process(schemas.cached, schemas)
    assert asked == ["who?", "who?"]
    assert forgetful == keeping
    (row,) = rows(forgetful)
    assert len(row["data"]["failure"]["messages"]) == 2, "the parameter and the entity"
    assert len(forgetful.failed) == 1


def test_many_unknown_schemas_in_one_event_are_asked_for_once_each() -> None:
    """The text is not read anew for each of them."""
    entities = [{"schema": f"iglu:com.acme/made_up_{number}/jsonschema/1-0-0", "data": {}} for number in range(10_000)]
    contexts = {"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": entities * 2}
    outcome = enrich(post({**GOOD, "co": json.dumps(contexts)}))
    assert [bad.type for bad in outcome.bad] == ["size_violation"], "20,000 messages are more than a bad row holds"


# ---- enrichments --------------------------------------------------------------------------------------------------


def test_the_latest_enrichment_comes_first() -> None:
    uri = "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0"
    made = [Entity(uri, {"id": f"6a2f0c3e-6f6f-4f0b-9a53-6d1a3e0b2f1{number}"}) for number in range(2)]
    attach = [enrichment(lambda _draft, entity: Patch(contexts=[entity]), state=entity) for entity in made]
    outcome = enrich(post(GOOD), enrichments=attach)
    derived = json.loads(columns(outcome.enriched[0].body)["derived_contexts"])["data"]
    assert [one["data"]["id"][-1] for one in derived] == ["1", "0"]
    assert outcome.enriched[0].entity_schemas == (uri, uri)


def test_an_enrichment_asks_and_is_answered() -> None:
    asking = enrichment(
        lambda _draft, _state, answer: Patch({"app_id": answer.value}), lambda draft, _state: Query("http", "who?")
    )
    schemas = Schemas()
    pipeline = Pipeline(schemas.cached, lambda: [asking], Options(PROCESSOR))
    outcome = run(pipeline.process(post(GOOD), MESSAGE_ID, ETL_MS), schemas, lambda query: Answer(query.question))
    assert columns(outcome.enriched[0].body)["app_id"] == "who?"


@pytest.mark.parametrize(("revalidate", "bad"), [(True, 1), (False, 0)])
def test_what_an_enrichment_replaced_is_validated_again(revalidate: bool, bad: int) -> None:
    entity = Entity("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": 1})
    patch = Patch(entities=[entity], revalidate=revalidate)
    outcome = enrich(post(GOOD), enrichments=[enrichment(lambda *_: patch)])
    assert len(outcome.bad) == bad


def test_side_events_are_lines_of_their_own() -> None:
    patch = Patch(side_events=[{"event": "pii_transformation", "app_id": "x"}])
    outcome = enrich(post(GOOD), enrichments=[enrichment(lambda *_: patch)])
    side = columns(outcome.enriched[1].body)
    assert outcome.side == 1
    assert (side["event"], side["v_etl"]) == ("pii_transformation", "evnt-enrich-0.1.0")
    assert len(set(ids(outcome))) == 2


def test_a_value_that_breaks_the_line_does_not() -> None:
    outcome = enrich(post(GOOD), enrichments=[enrichment(lambda *_: Patch({"geo_city": "a\tb\nc"}))])
    assert columns(outcome.enriched[0].body)["geo_city"] == "a    bc"


def test_without_a_failed_stream_only_the_bad_row_is_made() -> None:
    outcome = enrich(post({**GOOD, "vid": "x"}), options=Options(PROCESSOR, emit_failed=False))
    assert (outcome.failed, len(outcome.bad)) == ([], 1)


@pytest.mark.parametrize("emit_failed", [True, False])
def test_a_column_that_is_too_long_is_emptied_for_the_failed_stream_only(emit_failed: bool) -> None:
    outcome = enrich(post({**GOOD, "tna": "x" * 129}), options=Options(PROCESSOR, emit_failed=emit_failed))
    assert [columns(line.body).get("name_tracker") for line in outcome.failed] == [None] * emit_failed
    (row,) = rows(outcome)
    assert row["data"]["payload"]["enriched"]["name_tracker"] == (None if emit_failed else "x" * 129)


def test_what_stood_in_for_superseded_schemas_is_told_of_sent_ones_first() -> None:
    names = [f"iglu:com.acme/{name}/jsonschema/1-0-0" for name in ("made", "sent", "changed")]
    made_up = {uri: {"type": "object", "$supersededBy": "1-0-1"} for uri in names}
    schemas = Schemas({**made_up, **{uri.replace("1-0-0", "1-0-1"): {"type": "object"} for uri in names}})
    sent = {
        "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1",
        "data": [{"schema": names[1], "data": {}}],
    }
    patch = Patch(contexts=[Entity(names[0], {})], entities=[Entity(names[2], {})], revalidate=True)
    changed = [enrichment(lambda *_: patch)]
    outcome = enrich(post({**GOOD, "co": json.dumps(sent)}), schemas=schemas, enrichments=changed)
    derived = json.loads(columns(outcome.enriched[0].body)["derived_contexts"])["data"]
    told = [one["data"]["originalSchema"] for one in derived if "/validation_info/" in one["schema"]]
    assert told == [names[1], names[2], names[0]]


def test_the_line_of_everything_is_read_by_peers() -> None:
    """All parameters at once, each with a value of its kind."""
    by_kind = {"int": "7", "bool": "1", "decimal": "1.50", "timestamp": "1735787000000", "text": "x"}
    sent: dict[str, str] = {}
    for field in FIELDS:
        for name in field.params:
            sent[name] = "3x4" if field.part is not None else by_kind.get(field.kind, "")
    sent |= {"e": "pv", "p": "web", "eid": MESSAGE_ID, "sid": MESSAGE_ID, "url": "http://a.example/", "tr_cu": "EUR"}
    sent |= {"ti_cu": "EUR", "refr": "http://b.example/"}
    query = "&".join(f"{name}={quote(value)}" for name, value in sent.items() if value)
    outcome = enrich(record(querystring=query))
    assert not outcome.bad, rows(outcome)
    read = transform(outcome.enriched[0].body)
    assert (read["dvce_screenwidth"], read["se_value"], read["br_cookies"]) == (3, "1.50", True)
    assert decode(outcome.enriched[0].body)[INDEX["se_value"]] == "1.50"


def test_others_get_a_turn_between_the_events_of_a_large_message() -> None:
    schemas = Schemas()
    pipeline = Pipeline(schemas.cached, lambda: (), Options(PROCESSOR))
    asked: list[str] = []

    steps = noted(pipeline.process(post(*[GOOD] * 5_000), MESSAGE_ID, ETL_MS), asked)
    assert len(run(steps, schemas).enriched) == 5_000
    assert asked.count(TURN) == 2


def noted(steps: Generator[Query, Any, Outcome], asked: list[str]) -> Generator[Query, Any, Outcome]:
    """The same steps, and the kinds of their queries."""
    answer = None
    while True:
        try:
            query = steps.send(answer)
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome
        asked.append(query.kind)
        answer = yield query
