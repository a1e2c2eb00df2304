"""The enrichments that vectors about events mention: real where they give its parameters, played where they tell."""

import base64
from collections.abc import Callable, Mapping
from functools import partial
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
    told = [(name, one) for name, several in behaviour.items() for one in _each(name, several)]
    made = [_make(name, one) for name, one in told if one not in (None, False)]
    places = [step.name for step in ORDER]
    return sorted(made, key=lambda one: places.index(one.name))


def _each(name: str, told: Any) -> list[Any]:
    """A list is several of the same; of what is returned it is the entities."""
    return told if isinstance(told, list) and name != "javascript_returns" else [told]


def _make(name: str, told: Any) -> Enrichment:
    if name == "javascript_returns":
        entities = [Entity(one["schema"], one["data"]) for one in told]
        return _played(lambda _: Patch(contexts=entities))
    if name == "javascript" and isinstance(told, str):
        return _script(told)
    if name == "yauaa" and told is True:
        return _real("yauaa", {}, yauaa.SCHEMA.text.replace("*", "0"))
    if isinstance(told, str) and name in _ONLY_PARAMETER:
        told = {_ONLY_PARAMETER[name]: told}
    assert isinstance(told, dict), f"nothing plays {name}: {told}"
    return _real(name, told, f"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-0")


#: What a text says that stands for a whole configuration.
_ONLY_PARAMETER = {"http_header_extractor": "headersPattern"}


def _script(told: str) -> Enrichment:
    """What a script does, in words; or the script itself."""
    if "function" in told:
        source = base64.urlsafe_b64encode(told.encode()).decode()
        return _real(_SCRIPT, {"script": source}, _SCRIPT_SCHEMA)
    known = [behaviour for start, behaviour in _BEHAVIOURS.items() if told.startswith(start)]
    if not known and "invalid" in told:
        known = [partial(_spoil, event="unstruct" in told, contexts="context" in told)]
    assert known, f"nothing plays a script that {told}"
    return _played(known[0])


def _throw(_: Draft) -> Patch:
    reason = "Javascript exception in <eval> at line number 3 at column number 10"
    return Patch(failures=(Failure(f"Error during execution of JavaScript function: [{reason}]"),))


def _drop(_: Draft) -> Patch:
    return Patch(drop=True)


def _drop_some(draft: Draft) -> Patch | None:
    return Patch(drop=True) if draft.values[_APP_ID] == "drop" else None


def _spoil(draft: Draft, *, event: bool, contexts: bool) -> Patch:
    """The self-describing event and the first entity no longer conform."""
    sent = _spoiled(draft.event) if event and draft.event else None
    entities = [_spoiled(draft.contexts[0]), *draft.contexts[1:]] if contexts else None
    return Patch(event=sent, entities=entities, revalidate=True)


def _spoiled(entity: Entity) -> Entity:
    return Entity(entity.schema, {**entity.data, "foo": "bar"})


_BEHAVIOURS: dict[str, Behaviour] = {
    "throws": _throw,
    "calls event.drop()": _drop,
    "event.drop()": _drop,
    "drops the event": _drop,
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
    found = [step for step in ORDER if name in (step.name, *(criterion.name for criterion in step.criteria))]
    assert found, f"there is no enrichment {name}"
    return found[0]
