"""What the vectors about events ask of the pipeline: kind → check."""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from enricher.enrichments import yauaa
from enricher.enrichments.contract import Draft, Enrichment, Entity, Failure, Patch, Resources
from enricher.limits import AtomicLimits
from enricher.pipeline import Options, Outcome
from shared.event import INDEX
from tests.enricher.harness import PROCESSOR, Schemas, columns, enrich, record, rows
from tests.enricher.vector_values import Vector, milliseconds
from tests.vectors import vectors

SOME_ID = "8f5f2c5e-0000-4000-8000-000000000001"
_WRAPPED = ("contexts", "unstruct_event", "derived_contexts")
_SCRIPT_SCHEMA = "iglu:com.snowplowanalytics.snowplow/javascript_script_config/jsonschema/1-0-0"


def fixtures() -> dict[str, Any]:
    rows_ = (parameter.values[0] for parameter in vectors("enrich-core"))
    given = [row for row in rows_ if isinstance(row, dict) and row["kind"] == "fixture"]
    return {row["input"]["uri"]: row["expected"]["schema"] for row in given}


SCHEMAS = Schemas(fixtures())


# ---- enrichments that the vectors mention -------------------------------------------------------------------------


def _script(behaviour: Mapping[str, Any]) -> Enrichment | None:
    """A stand-in for a JavaScript enrichment that behaves as the vector says."""
    text = behaviour.get("javascript", "")

    def run(draft: Draft, _state: Any) -> Patch | None:
        if text.startswith("throws"):
            reason = "Javascript exception in <eval> at line number 3 at column number 10"
            return Patch(failures=(Failure(f"Error during execution of JavaScript function: [{reason}]"),))
        if text.startswith("calls event.drop()") or (draft.values[0] == "drop" and text.startswith("drops")):
            return Patch(drop=True)
        made = behaviour.get("javascript_returns", [])
        return Patch(contexts=[Entity(one["schema"], one["data"]) for one in made])

    known = {"javascript", "javascript_returns"} & set(behaviour)
    return Enrichment("javascript_script", "Javascript enrichment", _SCRIPT_SCHEMA, None, run) if known else None


def stand_ins(behaviour: Mapping[str, Any]) -> list[Enrichment]:
    script = _script(behaviour)
    found = [script] if script else []
    if behaviour.get("yauaa"):
        state = yauaa.prepare(yauaa.Config.model_validate({}), Resources(Path(), Path()))
        uri = yauaa.SCHEMA.text.replace("*", "0")
        found.insert(0, Enrichment("yauaa", "yauaa", uri, state, yauaa.enrich))
    return found


def _options(config: Mapping[str, Any]) -> Options:
    limits = AtomicLimits(config.get("atomicFieldsLimits", {}))
    return Options(
        PROCESSOR,
        lengths=limits,
        accept_long=config.get("acceptInvalid", False),
        emit_failed=config.get("emitFailed", True),
    )


# ---- whole events -------------------------------------------------------------------------------------------------


def _record(collector: Mapping[str, Any], parameters: Mapping[str, str] | None) -> bytes:
    moment = collector.get("timestamp")
    nuid = collector["nuid"]
    query = collector.get("querystring")
    if query is None and parameters:
        query = "&".join(f"{name}={quote(value.replace('<uuid>', SOME_ID))}" for name, value in parameters.items())
    vendor, version = collector.get("vendor", "com.snowplowanalytics.snowplow"), collector.get("version", "tp2")
    path = collector.get("path") or f"{vendor}/{version}"
    return record(
        collector=collector["collector"],
        encoding=collector["encoding"],
        timestamp=milliseconds(moment) if moment else collector.get("timestamp_ms", 0),
        ip_address=collector["ip"],
        user_agent=collector["ua"],
        referer_uri=collector["referer"],
        headers=collector["headers"],
        network_userid=SOME_ID if nuid == "<random uuid>" else nuid,
        hostname=collector.get("hostname"),
        body=collector.get("body"),
        content_type=collector.get("contentType"),
        path=path,
        querystring=query,
    )


def _run(row: Vector, **more: Any) -> Outcome:
    given = row["input"]
    return enrich(
        _record(given["collector"], given.get("params")),
        schemas=SCHEMAS,
        options=_options(given.get("config", {})),
        enrichments=stand_ins(given.get("enrichments", {})),
        **more,
    )


def enriched(row: Vector) -> None:
    if "step" in row.get("expected", row.get("error", {})):
        _collector_version(row)
        return
    outcome = _run(row)
    if row["flavor"] == "opensnowcat" and row.get("error", {}).get("badrow") == "enrichment_failures":
        _expect_as_older(outcome, row["error"])
        return
    if "error" in row:
        _expect_badrow(outcome, row["error"])
        return
    expected = row["expected"]
    if "outputs" in expected:
        assert [*outcome.enriched, *outcome.failed, *outcome.bad] == []
    elif "badrow" in expected:
        _expect_badrow(outcome, expected)
        _expect_failed(outcome, expected["failed_event"])
    else:
        assert not outcome.bad, rows(outcome)
        (line,) = outcome.enriched
        _expect_columns(columns(line.body), expected)


def _collector_version(row: Vector) -> None:
    """A vector of one step: whether the step complains, whatever else is wrong with the event."""
    outcome = _run({**row, "input": {**row["input"], "params": {"e": "pv"}}})
    complaints = [
        message["message"].get("field") for bad in rows(outcome) for message in bad["data"]["failure"]["messages"]
    ]
    assert ("v_collector" in complaints) == ("error" in row)


def _expect_badrow(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    assert not outcome.enriched
    (bad,) = rows(outcome)
    assert f"/{expected['badrow']}/" in bad["schema"]
    messages = bad["data"]["failure"]["messages"]
    assert len(messages) == expected.get("count", len(messages))
    for message, wanted in zip(messages, expected.get("badrow_messages", messages), strict=True):
        assert wanted["schemaKey"] == message["schemaKey"] if "schemaKey" in wanted else True
    for message, wanted in zip(messages, expected.get("messages", []), strict=False):
        assert message["schemaKey"] == wanted["schemaKey"]
        assert all(text in json.dumps(message["error"]) or text in str(message) for text in wanted["error_contains"])
    if "message_shape" in expected:
        shapes = {"Simple": {"error"}, "IgluError": {"schemaKey", "error"}}
        inner = [message.get("message", message) for message in messages]
        assert all(set(one) == shapes[expected["message_shape"]] for one in inner)


def _expect_as_older(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    """The older flavour calls an enrichment failure what the newer one, and we, call a violation of a schema."""
    assert not outcome.enriched
    (bad,) = rows(outcome)
    assert "/schema_violations/" in bad["schema"]
    messages = bad["data"]["failure"]["messages"]
    reports = [report for message in messages for report in message["error"].get("dataReports", [])]
    found = {(report["path"], report["message"].casefold()) for report in reports}
    for wanted in expected.get("messages", []):
        assert _as_newer(wanted["message"]) <= found
    if expected.get("message_shape") == "IgluError":
        assert all("schemaKey" in message for message in messages)


def _as_newer(message: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Path and message of the report that says the same; none for a heading."""
    if "field" in message:
        return {(message["field"], message["expectation"].casefold())}
    match = re.fullmatch(r"Field (\w+) longer than maximum allowed size (\d+)", message["error"])
    return {(match[1], f"field is longer than maximum allowed size {match[2]}")} if match else set()


def _expect_failed(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    (line,) = outcome.failed
    found = columns(line.body)
    derived = entities(found, "derived_contexts")
    checks: dict[str, Callable[[Any], None]] = {
        "unstruct_schema": lambda uri: _equal(json.loads(found["unstruct_event"])["data"]["schema"], uri),
        "context_schemas": lambda uris: _equal([one["schema"] for one in entities(found, "contexts")], uris),
        "derived_contexts": lambda wanted: _alike(derived, wanted),
        "first_failure": lambda wanted: _alike([derived[0]], [{"schema": derived[0]["schema"], "data": wanted}]),
        "derived_contexts_schemas_prefix": lambda uris: _begin(derived, uris),
        "failure_entities": lambda count: _equal(len(derived), count),
    }
    for name, wanted in expected.items():
        if name in checks:
            checks[name](wanted)
        else:
            _equal(found.get(name), wanted)


def _equal(got: Any, wanted: Any) -> None:
    assert got == wanted


def entities(found: Mapping[str, str], column: str) -> list[Any]:
    entities: list[Any] = json.loads(found[column])["data"] if column in found else []
    return entities


def _begin(derived: Sequence[Any], uris: Sequence[str]) -> None:
    for one, uri in zip(derived, uris, strict=False):
        assert one["schema"].startswith(uri.removesuffix("*"))


def _alike(derived: Sequence[Any], wanted: Sequence[Any]) -> None:
    """Vectors leave out who failed and when, and their reports are in no particular order."""
    assert len(derived) == len(wanted)
    for one, other in zip(derived, wanted, strict=True):
        assert one["schema"] == other["schema"]
        for key, value in other["data"].items():
            if key == "errors":
                assert in_any_order(one["data"][key]) == in_any_order(value)
            elif not str(value).startswith("<"):
                assert one["data"][key] == value


def in_any_order(reports: Sequence[Any]) -> list[str]:
    return sorted(json.dumps(report, sort_keys=True) for report in reports)


def _expect_columns(found: Mapping[str, str], expected: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        if name == "derived_contexts_contains":
            assert value in found["derived_contexts"]
        elif name in INDEX:
            _expect_column(name, found, value)


def _expect_column(name: str, found: Mapping[str, str], value: Any) -> None:
    """The flavours list validation_info in different orders."""
    if name == "derived_contexts" and value is not None:
        assert in_any_order(entities(found, name)) == in_any_order(value["data"])
    elif name in _WRAPPED and value is not None:
        assert json.loads(found[name]) == value
    elif not str(value).startswith("<"):
        assert found.get(name, "") == ("" if value is None else str(value)), name


def end_to_end(row: Vector) -> None:
    special = _RECORDS.get(str(row["input"]["collector"].get("records")))
    if special is not None:
        special(row)
        return
    if row["input"].get("record_base64"):
        _in_base64(row)
        return
    clock = row["input"].get("etl_clock")
    outcome = _run(row, **({"etl_ms": milliseconds(clock)} if clock else {}))
    expected = row["expected"]
    if "good" in expected:
        assert (len(outcome.enriched), len(outcome.bad)) == (expected["good"], expected["bad"]), rows(outcome)
    elif "outputs" in expected:
        assert len(outcome.enriched) == expected["outputs"].count("good")
        assert len(outcome.bad) == expected["outputs"].count("bad")
    elif "failed_event" in expected:
        _expect_failed_end_to_end(outcome, expected)
    else:
        (line,) = outcome.enriched
        _expect_columns(columns(line.body), expected)


def _expect_failed_end_to_end(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    wanted = dict(expected["failed_event"])
    wanted["derived_contexts"] = wanted["derived_contexts"]["data"]
    wanted.pop("output_attributes")
    _expect_failed(outcome, wanted)
    (bad,) = rows(outcome)
    failure, payload = bad["data"]["failure"], bad["data"]["payload"]
    assert failure["timestamp"] == expected["badrow"]["failure"]["timestamp"]
    for message, other in zip(failure["messages"], expected["badrow"]["failure"]["messages"], strict=True):
        assert message["schemaKey"] == other["schemaKey"]
        assert in_any_order(message["error"]["dataReports"]) == in_any_order(other["error"]["dataReports"])
    raw = json.dumps(expected["badrow"]["payload.raw"]).replace("<uuid>", SOME_ID)
    assert payload["raw"] == json.loads(raw)
    for name, value in expected["badrow"]["payload.enriched"].items():
        assert name == "derived_contexts_is_the_failure_entity" or payload["enriched"][name] == value


def _in_base64(row: Vector) -> None:
    text = base64.b64encode(_record(row["input"]["collector"], row["input"]["params"]))
    (bad,) = rows(enrich(text, schemas=SCHEMAS))
    assert row["error"]["badrow"] in bad["schema"]


def _empty_and_good(row: Vector) -> None:
    good = enrich(_record(row["input"]["collector"], {"e": "pv"}), schemas=SCHEMAS)
    empty = enrich(b"", schemas=SCHEMAS)
    assert len(good.enriched) + len(empty.enriched) == row["expected"]["good"]
    assert len(good.bad) + len(empty.bad) == row["expected"]["bad"]


def _dropping(row: Vector) -> None:
    records = [_record(row["input"]["collector"], {"e": "pv", **more}) for more in ({}, {"aid": "drop"})]
    outcome = enrich(*records, schemas=SCHEMAS, enrichments=stand_ins(row["input"]["enrichments"]))
    assert len(outcome.enriched) == row["expected"]["good"]
    assert outcome.dropped == row["expected"]["dropped"]
    assert not outcome.bad


_RECORDS: dict[str, Callable[[Vector], None]] = {
    str(["<0 bytes>", "minimal page view"]): _empty_and_good,
    str(["page view", "page view with aid=drop"]): _dropping,
}


CHECKS: dict[str, Callable[[Vector], None]] = {"e2e": end_to_end, "enrich": enriched}
