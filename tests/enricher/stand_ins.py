"""The enrichments that vectors about events mention: real where they give its parameters, played where they tell."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from enricher.enrichments import ORDER, Step, yauaa
from enricher.enrichments.contract import Draft, Enrichment, Entity, Failure, Patch, Resources
from enricher.enrichments.loading import validated
from shared.event import INDEX

_SCRIPT = "javascript_script"
_SCRIPT_SCHEMA = "iglu:com.snowplowanalytics.snowplow/javascript_script_config/jsonschema/1-0-0"
_APP_ID = INDEX["app_id"]

Behaviour = Callable[[Draft], Patch | None]


def stand_ins(behaviour: Mapping[str, Any]) -> list[Enrichment]:
    """In the order in which they run."""
    made = [_make(name, told) for name, told in behaviour.items() if told not in (None, False)]
    places = [step.name for step in ORDER]
    return sorted(made, key=lambda one: places.index(one.name))


def _make(name: str, told: Any) -> Enrichment:
    if name == "javascript_returns":
        entities = [Entity(one["schema"], one["data"]) for one in told]
        return _played(lambda _: Patch(contexts=entities))
    if name == "javascript" and isinstance(told, str):
        return _script(told)
    if name == "yauaa" and told is True:
        return _real("yauaa", {}, yauaa.SCHEMA.text.replace("*", "0"))
    assert isinstance(told, dict), f"nothing plays {name}: {told}"
    return _real(name, told, f"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-0")


def _script(told: str) -> Enrichment:
    """What a script does, in words; or the script itself."""
    if "function" in told:
        source = base64.urlsafe_b64encode(told.encode()).decode()
        return _real(_SCRIPT, {"script": source}, _SCRIPT_SCHEMA)
    known = [behaviour for start, behaviour in _BEHAVIOURS.items() if told.startswith(start)]
    assert known, f"nothing plays a script that {told}"
    return _played(known[0])


def _throw(_: Draft) -> Patch:
    reason = "Javascript exception in <eval> at line number 3 at column number 10"
    return Patch(failures=(Failure(f"Error during execution of JavaScript function: [{reason}]"),))


def _drop(_: Draft) -> Patch:
    return Patch(drop=True)


def _drop_some(draft: Draft) -> Patch | None:
    return Patch(drop=True) if draft.values[_APP_ID] == "drop" else None


_BEHAVIOURS: dict[str, Behaviour] = {
    "throws": _throw,
    "calls event.drop()": _drop,
    "drops when app_id is drop": _drop_some,
}


def _played(behaviour: Behaviour) -> Enrichment:
    return Enrichment(_SCRIPT, "Javascript enrichment", _SCRIPT_SCHEMA, None, lambda draft, _: behaviour(draft))


def _real(name: str, told: Mapping[str, Any], uri: str) -> Enrichment:
    """`told`: its parameters, or the configuration that they are part of."""
    step = _step(name)
    configuration = told.get("data", told)
    config, problems = validated(step, configuration.get("parameters", configuration))
    assert not problems
    state = step.module.prepare(config, Resources(Path(), Path()))
    identifier = getattr(step.module, "IDENTIFIER", name)
    return Enrichment(step.name, identifier, uri, state, step.module.enrich, getattr(step.module, "ask", None))


def _step(name: str) -> Step:
    found = [step for step in ORDER if step.name in (name, f"{name}_enrichment_config")]
    assert found, f"there is no enrichment {name}"
    return found[0]
