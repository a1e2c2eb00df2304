"""Compares what came of an event with what a vector says: bad rows, failed events, columns."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from enricher.outcome import Outcome
from shared.event import INDEX
from tests.enricher.harness import columns, rows

SOME_ID = "8f5f2c5e-0000-4000-8000-000000000001"
_WRAPPED = ("contexts", "unstruct_event", "derived_contexts")


def alike(found: Any, wanted: Any) -> bool:
    """`<…>` in a vector stands for any text; reports and parameters are in no particular order."""
    match wanted:
        case str() if re.fullmatch("<.*>", wanted):
            return isinstance(found, str)
        case dict():
            same_keys = isinstance(found, dict) and found.keys() == wanted.keys()
            return same_keys and all(alike(_sorted(key, found[key]), _sorted(key, wanted[key])) for key in wanted)
        case list():
            same_length = isinstance(found, list) and len(found) == len(wanted)
            return same_length and all(map(alike, found, wanted))
    return bool(found == wanted)


def _sorted(key: str, value: Any) -> Any:
    in_any_order = key in ("errors", "dataReports", "parameters", "schemaIssues") and isinstance(value, list)
    return sorted(value, key=lambda one: json.dumps(one, sort_keys=True)) if in_any_order else value


def entities(found: Mapping[str, str], column: str) -> list[Any]:
    entities: list[Any] = json.loads(found[column])["data"] if column in found else []
    return entities


# ---- bad rows -----------------------------------------------------------------------------------------------------


def expect_badrow(flavor: str, outcome: Outcome, expected: Mapping[str, Any]) -> None:
    """`badrow` is the type, or all that is known of the row; of several rows, of each."""
    assert outcome.bad
    assert not outcome.enriched or expected.get("good")
    for bad in rows(outcome):
        _expect_row(flavor, bad, expected)
    if "bad" in expected:
        assert len(outcome.bad) == expected["bad"]
    else:
        assert len(outcome.bad) in (1, expected.get("count"))


def _expect_row(flavor: str, bad: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    kind, details = expected["badrow"], {}
    if isinstance(kind, dict):
        kind, details = kind["type"], kind
    failure, payload = bad["data"]["failure"], bad["data"]["payload"]
    messages = failure.get("messages", [])
    if flavor == "opensnowcat" and kind == "enrichment_failures" and "/schema_violations/" in bad["schema"]:
        _expect_as_older(messages, expected)
        return
    assert f"/{kind}/" in bad["schema"]
    _expect_messages(messages, expected)
    _expect_details(failure, payload, details)


def _expect_messages(messages: Sequence[Mapping[str, Any]], expected: Mapping[str, Any]) -> None:
    wanted = expected.get("messages", expected.get("badrow_messages"))
    if wanted is not None:
        for message, one in zip(messages, wanted, strict=True):
            _expect_message(message, one)
    if "message_shape" in expected:
        shapes = {
            "Simple": {"error"},
            "IgluError": {"schemaKey", "error"},
            "InputData": {"field", "value", "expectation"},
        }
        inner = [message.get("message", message) for message in messages]
        assert all(set(one) == shapes[expected["message_shape"]] for one in inner)
    if messages:
        assert len(messages) == expected.get("count", len(messages))


def _expect_message(message: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    said = json.dumps(message, ensure_ascii=False) + str(message)
    for name, value in wanted.items():
        if name == "error_contains":
            assert all(text in said for text in value), said
        else:
            assert alike(message[name], value)


def _expect_details(failure: Any, payload: Any, details: Mapping[str, Any]) -> None:
    for name, value in details.items():
        match name:
            case "type":
                pass
            case "failure":
                assert all(alike(_sorted(key, failure[key]), value[key]) for key in value)
            case "payload.raw":
                assert alike(payload["raw"], json.loads(json.dumps(value).replace("<uuid>", SOME_ID)))
            case "payload.enriched":
                assert all(_is_enriched(payload["enriched"], name, one) for name, one in value.items())
            case _:
                raise AssertionError(f"nothing reads {name}")


def _is_enriched(found: Mapping[str, Any], name: str, wanted: Any) -> bool:
    if name == "derived_contexts_is_the_failure_entity":
        return ["/failure/" in one["schema"] for one in json.loads(found["derived_contexts"])["data"]] == [True]
    return bool(found[name] == wanted)


_PARAMETERS = {"contexts": ("co", "cx"), "unstruct": ("ue_pr", "ue_px")}


def _expect_as_older(messages: Sequence[Mapping[str, Any]], expected: Mapping[str, Any]) -> None:
    """The older flavour calls an enrichment failure what the newer one, and we, call a violation of a schema."""
    found: set[tuple[str, str]] = set()
    for message in messages:
        if isinstance(message["error"], str):
            found |= {(name, message["error"].casefold()) for name in _PARAMETERS.get(message.get("field", ""), ())}
        else:
            found |= {(one["path"], one["message"].casefold()) for one in message["error"].get("dataReports", [])}
    for wanted in expected.get("messages", []):
        assert _as_newer(wanted["message"]) <= found
    if expected.get("message_shape") == "IgluError":
        assert all("schemaKey" in message for message in messages)


_OLDER = {
    "not recognized as an event type": "not a valid event type",
    "not recognized as a tracking platform": "not a valid platform",
}


def _as_newer(message: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Path and message of the report that says the same; none for a heading."""
    if "field" in message:
        return {(message["field"], _OLDER.get(message["expectation"], message["expectation"].casefold()))}
    match = re.fullmatch(r"Field (\w+) longer than maximum allowed size (\d+)", message["error"])
    return {(match[1], f"field is longer than maximum allowed size {match[2]}")} if match else set()


# ---- columns ------------------------------------------------------------------------------------------------------


def expect_failed(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    (line,) = outcome.failed
    found = columns(line.body)
    derived = entities(found, "derived_contexts")
    checks: dict[str, Callable[[Any], bool]] = {
        "unstruct_schema": lambda uri: json.loads(found["unstruct_event"])["data"]["schema"] == uri,
        "context_schemas": lambda uris: [one["schema"] for one in entities(found, "contexts")] == uris,
        "derived_contexts": lambda wanted: _entities_alike(derived, wanted),
        "first_failure": lambda wanted: _entities_alike(
            derived[:1], [{"schema": derived[0]["schema"], "data": wanted}]
        ),
        "derived_contexts_schemas_prefix": lambda uris: _begin(derived, uris),
        "failure_entities": lambda count: len([one for one in derived if "/failure/" in one["schema"]]) == count,
        "output_attributes": lambda _: True,  # a message holds many events
    }
    for name, wanted in expected.items():
        if name in checks:
            assert checks[name](wanted), (name, wanted, found)
        else:
            expect_column(name, found, wanted)


def _begin(derived: Sequence[Any], uris: Sequence[str]) -> bool:
    found = [one["schema"] for one in derived[: len(uris)]]
    return len(found) == len(uris) and all(map(str.startswith, found, [uri.removesuffix("*") for uri in uris]))


def _entities_alike(derived: Sequence[Any], wanted: Any) -> bool:
    """Vectors may leave out who failed and when."""
    listed = wanted["data"] if isinstance(wanted, dict) else wanted
    return len(derived) == len(listed) and all(map(_entity_alike, derived, listed))


def _entity_alike(one: Any, wanted: Any) -> bool:
    optional = ("timestamp", "componentName", "componentVersion") if "/failure/" in one["schema"] else ()
    left_out = [name for name in optional if name not in wanted["data"]]
    data = {name: value for name, value in one["data"].items() if name not in left_out}
    return alike({"schema": one["schema"], "data": data}, wanted)


def expect_column(name: str, found: Mapping[str, str], value: Any) -> None:
    """The flavours list validation_info in different orders."""
    if name == "derived_contexts_contains":
        assert value in found["derived_contexts"]
        return
    assert name in INDEX, f"nothing reads {name}"
    if name == "derived_contexts" and value is not None:
        document = json.loads(found[name])
        assert alike(
            document | {"data": _sorted("errors", document["data"])}, value | {"data": _sorted("errors", value["data"])}
        )
    elif name in _WRAPPED and value is not None:
        assert json.loads(found[name]) == value
    elif not str(value).startswith("<"):
        assert found.get(name, "") == ("" if value is None else str(value)), name
