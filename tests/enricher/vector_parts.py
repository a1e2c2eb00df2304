"""What the vectors about parts of events ask of the pipeline: kind → check."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from enricher.adapters import ADAPTERS, TRACKER_PROTOCOL
from enricher.enrichments import cross_navigation, pii
from enricher.enrichments.contract import Draft, Enrichment, Failure, Patch, Resources
from enricher.iglu.contract import NotResolved
from enricher.pipeline import Options, Outcome
from enricher.violations import (
    CriterionMismatch,
    EnrichmentError,
    Invalid,
    NotIglu,
    Violation,
    entity,
)
from shared.badrow import Processor
from shared.event import INDEX, WIDTH
from shared.payload import CollectorPayload
from tests.enricher.harness import PROCESSOR, Schemas, columns, enrich, post, record, rows
from tests.enricher.vector_events import SCHEMAS, SOME_ID, entities, fixtures, in_any_order, stand_ins
from tests.enricher.vector_values import Vector


def schema(row: Vector) -> None:
    given = row["input"]
    parameters = {"e": "ue", "p": "web", "tv": "t"}
    parameters |= {
        name: given[key] for name, key in (("ue_pr", "unstruct_event"), ("co", "contexts")) if given.get(key)
    }
    made = [{"schema": one["schema"], "data": one["data"]} for one in given.get("derived_contexts", [])]
    enrichments = stand_ins({"javascript_returns": made})
    schemas = Schemas(fixtures(), max_depth=given.get("iglu_max_json_depth", 50))
    outcome = enrich(post(parameters), schemas=schemas, enrichments=enrichments)
    line = (outcome.enriched or outcome.failed)[0]
    found = columns(line.body)
    if "error" in row:
        _expect_violations(outcome, found, row["error"])
    else:
        assert not outcome.bad
        _expect_entities(found, row["expected"])


def _expect_violations(outcome: Outcome, found: Mapping[str, str], expected: Mapping[str, Any]) -> None:
    (bad,) = rows(outcome)
    messages = bad["data"]["failure"]["messages"]
    assert "/schema_violations/" in bad["schema"]  # the older flavour: enrichment_failures, for derived contexts
    if "violations" in expected:
        assert [_name(message) for message in messages] == expected["violations"]
    assert len(messages) == expected.get("count", len(messages))
    failure = entities(found, "derived_contexts")[0]["data"]
    if "source" in expected:
        assert {error["source"] for error in failure["errors"]} == {expected["source"]}
    if "data" in expected:
        assert failure["data"] == expected["data"]
    kept = {"kept_unstruct": "unstruct_schema", "kept_contexts": "context_schemas"}
    _expect_entities(found, {kept[name]: expected[name] for name in kept if name in expected})


def _name(message: Mapping[str, Any]) -> str:
    match message:
        case {"schemaCriterion": _}:
            return "CriterionMismatch"
        case {"schemaKey": _, "error": {"error": error}}:
            return f"IgluError/{error}"
        case {"json": _, "error": error}:
            return f"NotIglu/{error}"
    return "NotJson"


def _expect_entities(found: Mapping[str, str], expected: Mapping[str, Any]) -> None:
    event = json.loads(found["unstruct_event"])["data"]["schema"] if "unstruct_event" in found else None
    contexts = [one["schema"] for one in entities(found, "contexts")]
    infos = [one for one in entities(found, "derived_contexts") if "/validation_info/" in one["schema"]]
    for name, wanted in expected.items():
        match name:
            case "unstruct" | "unstruct_schema":
                assert event == wanted
            case "context_schemas":
                assert contexts == (wanted or [])
            case "validation_info" if isinstance(wanted, dict):
                assert [info["data"] for info in infos] == [wanted]
            case "validation_info":
                assert infos == (wanted or [])
            case _:
                pytest.fail(f"nothing checks {name}")


def adapter(row: Vector) -> None:
    given = row["input"]
    query = "&".join(
        quote(name) if value is None else f"{quote(name)}={quote(value)}" for name, value in given["querystring"]
    )
    path = f"{given['vendor']}/{given['version']}"
    fields = {"path": path, "querystring": query or None, "body": given["body"], "content_type": given["contentType"]}
    if "error" in row:
        (bad,) = rows(enrich(record(**fields), schemas=SCHEMAS))
        family = "tracker_protocol_violations" if (given["vendor"], given["version"]) in TRACKER_PROTOCOL else "adapter"
        assert family in bad["schema"]
        got, wanted = bad["data"]["failure"]["messages"], row["error"]["messages"]
        assert [_in_order(message) for message in got] == [_in_order(message) for message in wanted]
    else:
        _expect_parameters(given, row["expected"]["raw_events"])


def _in_order(message: Mapping[str, Any]) -> dict[str, Any]:
    error = message.get("error")
    if isinstance(error, dict) and "dataReports" in error:
        return {**message, "error": {**error, "dataReports": in_any_order(error["dataReports"])}}
    return dict(message)


def _expect_parameters(given: Mapping[str, Any], wanted: Sequence[Mapping[str, str]]) -> None:
    """Seen through an enrichment, which is handed the parameters."""
    seen: list[Any] = []

    def see(draft: Draft, _state: Any) -> Patch | None:
        seen.append(dict(draft.parameters))
        return None

    key = given["vendor"], given["version"]
    assert key in ADAPTERS
    query = "&".join(f"{quote(name)}={quote(value or '')}" for name, value in given["querystring"])
    fields = {"path": "/".join(key), "querystring": query, "body": given["body"], "content_type": given["contentType"]}
    enrich(record(**fields), schemas=SCHEMAS, enrichments=[Enrichment("see", "see", None, None, see)])
    assert seen == list(wanted)


def cross_domain(row: Vector) -> None:
    given = row["input"]
    attach = given.get("cross_navigation_enrichment", False)
    state = cross_navigation.prepare(cross_navigation.Config(attach=attach), Resources(Path(), Path()))
    query = None if given["page_query"] is None else dict(given["page_query"])
    draft = Draft([""] * WIDTH, {}, CollectorPayload(), page_query=query)
    patch = cross_navigation.enrich(draft, state) or Patch()
    if "error" in row:
        (failure,) = patch.failures
        assert (failure.field, failure.value) == (row["error"]["field"], row["error"]["value"])
        assert failure.message.casefold() == row["error"]["expectation"].casefold()
        return
    for name, wanted in row["expected"].items():
        if name == "cross_navigation_context":
            context = [{"schema": one.schema, "data": one.data} for one in patch.contexts]
            assert context == ([] if wanted is None else [wanted])
        else:
            assert patch.fields.get(name, "") == (wanted or "")


def failure_entity(row: Vector) -> None:
    given = row["input"]
    made = entity(_problem(given), "<etl timestamp>", Processor(**given["processor"]))
    assert made.data == row["expected"]


def _problem(given: Mapping[str, Any]) -> Violation | EnrichmentError:
    if "enrichment" in given:
        info, message = given["enrichment"], given["message"]
        failure = (
            Failure(message["error"])
            if "error" in message
            else Failure(message["expectation"], message["field"], message["value"])
        )
        named = Enrichment("test", info["identifier"], info["schemaKey"], None, lambda *_: None)
        return EnrichmentError(named, failure)
    violation, source, data = given["violation"], given["source"], given["data"]
    match violation["type"]:
        case "NotIglu":
            return NotIglu(source, data, violation["error"])
        case "CriterionMismatch":
            return CriterionMismatch(source, violation["schemaKey"], violation["schemaCriterion"], data)
        case _:
            history = [{"repository": name, **seen} for name, seen in violation["lookupHistory"].items()]
            return Invalid(source, violation["schemaKey"], NotResolved(history), data)


def derived_order(row: Vector) -> None:
    """As many failing parameters of different phases as asked, and as many contexts of a script."""
    given = row["input"]
    email = {"emailAddress": "a@b.c", "emailAddress2": "d@e.f"}
    made = [{"schema": "iglu:com.acme/email_sent/jsonschema/1-0-0", "data": email}] * given["contexts"]
    broken = {"vid": "x", "ue_pr": "{", "co": "[", "url": "http://"}
    parameters = {"e": "pv", "p": "web", "tv": "t", **dict(list(broken.items())[: given["failures"]])}
    outcome = enrich(post(parameters), schemas=SCHEMAS, enrichments=stand_ins({"javascript_returns": made}))
    found = columns((outcome.enriched or outcome.failed)[0].body)
    names = [one["schema"].split("/")[1] for one in entities(found, "derived_contexts")]
    assert names == row["expected"]["schema_names"]
    assert all(first <= second for first, second in pairwise([name != "failure" for name in names]))


def fixture(row: Vector) -> None:
    assert not isinstance(SCHEMAS.resolve(row["input"]["uri"]), NotResolved)


def size(row: Vector) -> None:
    """An event above the limit: no line, one small bad row."""
    given = row["input"]
    limit = given["maxRecordSize"]
    text = given["app_id"].split(" ")[0] * int(given["app_id"].rsplit(" ", 1)[1])
    options = Options(PROCESSOR, max_bytes=limit, accept_long=True)
    outcome = enrich(post({"e": "pv", "p": "web", "tv": "t", "aid": text}), schemas=SCHEMAS, options=options)
    assert len(outcome.enriched) == row["expected"]["good"]
    assert len(outcome.bad) == row["expected"]["bad"]
    assert all(len(bad.body) <= row["expected"]["bad_size_max"] for bad in outcome.bad)


def etl_version(row: Vector) -> None:
    processor = Processor(**row["input"]["processor"])
    outcome = enrich(post({"e": "pv", "p": "web", "tv": "t"}), schemas=SCHEMAS, options=Options(processor))
    assert columns(outcome.enriched[0].body)["v_etl"] == row["expected"]["v_etl"]


def pii_event(row: Vector) -> None:
    """The vector's parent id is no UUID, but must be one for us."""
    values = [""] * WIDTH
    values[INDEX["event_id"]] = SOME_ID
    values[INDEX["v_etl"]] = "sce-test-suite-1.0.0"
    draft = Draft(values, {}, CollectorPayload())
    if row["expected"].get("event", "") is None:
        assert pii.enrich(draft, pii.State((), lambda text: text, "SHA-256", True, False)) is None
        return
    made = pii.identification(draft, [pii.Change("user_id", "u", "hash")], "SHA-256")
    for name, wanted in row["expected"].items():
        if name == "contexts_prefix":
            assert made["contexts"].startswith(wanted.replace('"id"', f'"{SOME_ID}"'))
        elif name != "unstruct_event":
            assert made[name] == wanted


def thrift(row: Vector) -> None:
    """What is no collector payload of ours is one format violation."""
    given = row["input"]
    message = base64.b64decode(given["thrift_base64"]) if "thrift_base64" in given else given["message_text"].encode()
    (bad,) = rows(enrich(message, schemas=SCHEMAS))
    assert row["error"]["badrow"] in bad["schema"]
    assert bad["data"]["failure"]["loader"] == row["error"].get("loader", "thrift")
    assert base64.b64decode(bad["data"]["payload"]) == message


CHECKS: dict[str, Callable[[Vector], None]] = {
    "adapter": adapter,
    "cross_domain": cross_domain,
    "derived_contexts_order": derived_order,
    "etl_version": etl_version,
    "failure_entity": failure_entity,
    "fixture": fixture,
    "pii_event": pii_event,
    "schema": schema,
    "size": size,
    "thrift": thrift,
}
