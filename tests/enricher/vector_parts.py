"""What the vectors about parts of events ask of the pipeline: kind → check."""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from enricher import base64url
from enricher.enrichments import cross_navigation, pii
from enricher.enrichments.contract import Draft, Enrichment, Patch, Resources
from enricher.iglu.contract import NotResolved
from enricher.options import Options
from enricher.outcome import Outcome
from enricher.request import FormatViolation, Request, read
from enricher.values import format_timestamp
from enricher.violations import (
    EnrichmentError,
    enrichment_message,
)
from shared.badrow import Processor
from shared.event import INDEX, WIDTH
from shared.payload import CollectorPayload
from shared.payload_reader import decode
from tests.enricher.harness import PROCESSOR, Schemas, columns, enrich, post, record, rows
from tests.enricher.stand_ins import stand_ins
from tests.enricher.vector_events import SCHEMAS, fixtures, query_string
from tests.enricher.vector_rows import SOME_ID, alike, entities
from tests.enricher.vector_values import Check, Vector


def schema(row: Vector) -> None:
    given = row["input"]
    parameters = {"e": "ue", "p": "web", "tv": "t"}
    texts = (("ue_pr", "unstruct_event"), ("co", "contexts"))
    parameters |= {name: given[key] for name, key in texts if given.get(key) is not None}
    made = [{"schema": one["schema"], "data": one["data"]} for one in given.get("derived_contexts", [])]
    enrichments = stand_ins({"javascript_returns": made})
    schemas = Schemas(fixtures(), max_depth=given.get("iglu_max_json_depth", 50))
    outcome = enrich(post(parameters), schemas=schemas, enrichments=enrichments)
    line = (outcome.enriched or outcome.failed)[0]
    found = columns(line.body)
    if "error" in row:
        _expect_violations(outcome, found, row)
    else:
        assert not outcome.bad
        _expect_entities(found, row["expected"])


def _expect_violations(outcome: Outcome, found: Mapping[str, str], row: Vector) -> None:
    """The older flavour tells of contexts before it tells of the self-describing event."""
    order: Callable[[list[str]], list[str]] = sorted if row["flavor"] == "opensnowcat" else list
    expected = row["error"]
    (bad,) = rows(outcome)
    messages = bad["data"]["failure"]["messages"]
    assert "/schema_violations/" in bad["schema"]  # the older flavour: enrichment_failures, for derived contexts
    if "violations" in expected:
        assert order([_name(message) for message in messages]) == order(expected["violations"])
    assert len(messages) == expected.get("count", len(messages))
    failures = [one["data"] for one in entities(found, "derived_contexts") if "/failure/" in one["schema"]]
    if "source" in expected:
        sources = {error["source"] for failure in failures for error in failure["errors"]}
        assert sources == {*_listed(expected["source"])}
    if "data" in expected:
        wanted = expected["data"] if len(failures) > 1 else [expected["data"]]
        assert all(map(_is_data, failures, wanted))
        assert len(failures) == len(wanted)
    kept = {"kept_unstruct": "unstruct_schema", "kept_contexts": "context_schemas"}
    _expect_entities(found, {kept[name]: expected[name] for name in kept if name in expected})


def _is_data(failure: Mapping[str, Any], wanted: Any) -> bool:
    """A text that is no JSON is under its source's name in the entity, and bare in what upstream makes that of."""
    bare = isinstance(wanted, str) and failure["failureType"] == "NotJSON"
    found = [*failure["data"].values()] if bare else [failure["data"]]
    return bool(found == [wanted])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
    derived = [one["schema"] for one in entities(found, "derived_contexts")]
    made = [uri for uri in derived if "/failure/" not in uri and "/validation_info/" not in uri]
    infos = [one for one in entities(found, "derived_contexts") if "/validation_info/" in one["schema"]]
    for name, wanted in expected.items():
        match name:
            case "unstruct" | "unstruct_schema":
                assert event == wanted
            case "context_schemas":
                assert (contexts or made) == (wanted or [])
            case "derived_schemas":
                assert made == (wanted or [])
            case "validation_info" if isinstance(wanted, dict):
                assert [info["data"] for info in infos] == [wanted]
            case "validation_info":
                assert infos == (wanted or [])
            case _:
                pytest.fail(f"nothing checks {name}")


def adapter(row: Vector) -> None:
    """Parameters are seen through an enrichment, which is handed them."""
    given = row["input"]
    key = given["vendor"], given["version"]
    query = "&".join(query_string({name: value}) for name, value in given["querystring"])
    fields = {"querystring": query or None, "body": given["body"], "content_type": given["contentType"]}
    seen: list[Any] = []

    def see(draft: Draft, _state: Any) -> Patch | None:
        seen.append(dict(draft.parameters))
        return None

    enrichments = [Enrichment("see", "see", None, None, see)]
    outcome = enrich(record(path="/".join(key), **fields), schemas=SCHEMAS, enrichments=enrichments)
    if "expected" in row:
        wanted = row["expected"]["raw_events"]
        assert [_read(event) for event in seen] == [_read(event) for event in wanted]
        return
    (bad,) = rows(outcome)
    families = {"TrackerProtocolViolation": "tracker_protocol_violations", "AdapterFailure": "adapter_failures"}
    assert f"/{families[row['error']['family'].removesuffix('s')]}/" in bad["schema"]
    assert alike(bad["data"]["failure"]["messages"], row["error"]["messages"])


def _read(parameters: Mapping[str, str | None]) -> dict[str, Any]:
    """JSON as JSON; base64 without the line breaks and padding that the flavours' encoders add or leave out."""
    return {name: _content(name, value) for name, value in parameters.items()}


def _content(name: str, value: str | None) -> Any:
    if value is None or name not in ("co", "cx", "ue_pr", "ue_px"):
        return value
    text = base64url.decode(value) if name in ("cx", "ue_px") else value
    try:
        return json.loads(text)
    except ValueError:
        return text


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
        uri = cross_navigation.SCHEMA.text.replace("*", "0")
        named = Enrichment(
            "cross_navigation", cross_navigation.IDENTIFIER, uri if attach else None, None, lambda _: None
        )
        message = enrichment_message(EnrichmentError(named, failure))
        assert alike(message["enrichment"], row["error"].get("enrichment", message["enrichment"]))
        return
    for name, wanted in row["expected"].items():
        if name == "cross_navigation_context":
            context = [{"schema": one.schema, "data": one.data} for one in patch.contexts]
            assert context == ([] if wanted is None else [wanted])
        else:
            assert patch.fields.get(name, "") == (wanted or "")


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
    """The vector's parent id is no UUID, but must be one for us; what was hashed is the enrichment's own matter."""
    values = [""] * WIDTH
    values[INDEX["event_id"]] = SOME_ID
    values[INDEX["v_etl"]] = "sce-test-suite-1.0.0"
    draft = Draft(values, {}, CollectorPayload())
    if row["expected"].get("event", "") is None:
        strategy = {"pseudonymize": {"hashFunction": "SHA-256", "salt": "s"}}
        config = pii.Config.model_validate(
            {"pii": [{"pojo": {"field": "user_id"}}], "strategy": strategy, "emitEvent": True}
        )
        assert pii.enrich(draft, pii.prepare(config, Resources(Path(), Path()))) is None
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
    if "expected" in row:
        (payload,) = decode(message)
        _expect_request(read(payload), row["expected"])
        return
    (bad,) = rows(enrich(message, schemas=SCHEMAS))
    assert row["error"]["badrow"] in bad["schema"]
    assert bad["data"]["failure"]["loader"] == row["error"].get("loader", "thrift")
    assert base64.b64decode(bad["data"]["payload"]) == message


def _expect_request(request: Request | list[FormatViolation], expected: Mapping[str, Any]) -> None:
    assert isinstance(request, Request), request
    payload = request.payload
    made = {
        "api": {"vendor": request.vendor, "version": request.version},
        "querystring": [list(pair) for pair in request.query],
        "contentType": payload.content_type,
        "body": payload.body,
        "source": {"name": payload.collector, "encoding": payload.encoding, "hostname": payload.hostname},
        "context": {
            "timestamp": format_timestamp(payload.timestamp).replace(" ", "T") + "Z",
            "ipAddress": request.ip_address,
            "useragent": payload.user_agent,
            "refererUri": payload.referer_uri,
            "headers": payload.headers or [],
            "userId": request.network_userid,
        },
    }
    assert made == expected


_EVENT = "event event_format event_name event_vendor event_version platform v_etl contexts_prefix unstruct_event"
CHECKS: dict[str, Check] = {
    "adapter": Check(adapter, "body contentType querystring vendor version", "raw_events", "family messages"),
    "cross_domain": Check(
        cross_domain,
        "page_query cross_navigation_enrichment",
        "refr_domain_userid refr_dvce_tstamp cross_navigation_context",
        "type field value expectation enrichment",
    ),
    "etl_version": Check(etl_version, "processor", "v_etl"),
    "fixture": Check(fixture, "uri", "schema self_in_file"),
    "pii_event": Check(pii_event, "pii platform event_id processor", _EVENT),
    "schema": Check(
        schema,
        "unstruct_event contexts derived_contexts iglu_max_json_depth",
        "unstruct unstruct_schema context_schemas derived_schemas validation_info",
        "badrow violations count source data kept_unstruct kept_contexts",
    ),
    "size": Check(size, "app_id maxRecordSize", "good bad bad_size_max badrow"),
    "thrift": Check(
        thrift,
        "thrift_base64 message_text try_base64_decoding",
        "api querystring contentType body source context",
        "badrow count loader message",
    ),
}
