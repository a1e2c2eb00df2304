"""The enrichments that vectors about events mention: real where they give its parameters, played where they tell."""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from enricher.enrichments import ORDER, Step
from enricher.enrichments.contract import Draft, Enrichment, Entity, Failure, Patch, Resources
from enricher.enrichments.loading import validated
from shared.event import INDEX

_SCRIPT = "javascript_script"
_SCRIPT_SCHEMA = "iglu:com.snowplowanalytics.snowplow/javascript_script_config/jsonschema/1-0-0"
_APP_ID = INDEX["app_id"]

Behaviour = Callable[[Draft], Patch | None]


def stand_ins(behaviour: Mapping[str, Any]) -> list[Enrichment]:
    """In the order in which they run, with what is part of the protocol."""
    told = [(name, one) for name, several in behaviour.items() for one in _each(name, several)]
    made = [_make(name, one) for name, one in told if one not in (None, False)]
    made += [_built_in(step) for step in ORDER if step.always and all(one.name != step.name for one in made)]
    places = [step.name for step in ORDER]
    return sorted(made, key=lambda one: places.index(one.name))


def _each(name: str, told: Any) -> list[Any]:
    """A list is several of the same; of what is returned it is the entities, and it may be an only parameter."""
    whole = name == "javascript_returns" or _only_parameter(name) is not None
    return told if isinstance(told, list) and not whole else [told]


def _built_in(step: Step) -> Enrichment:
    """As it runs where no configuration names it: its failures name no enrichment."""
    made = _real(step.name, step.default or {}, "")
    made.schema_uri = None
    return made


def _make(name: str, told: Any) -> Enrichment:
    if name == "javascript_returns":
        entities = [Entity(one["schema"], one["data"]) for one in told]
        return _played(lambda _: Patch(contexts=entities))
    if name == "javascript" and isinstance(told, str):
        return _script(told)
    only = _only_parameter(name)
    if only is not None and isinstance(told, str | list):
        told = {only: told}
    told = {} if told is True else told
    assert isinstance(told, dict), f"nothing plays {name}: {told}"
    return _real(name, told, _step(name).module.SCHEMA.text.replace("*", "0"))


def _only_parameter(name: str) -> str | None:
    """What a text or a list says that stands for a whole configuration."""
    return next((only for start, only in _ONLY_PARAMETER.items() if name.startswith(start)), None)


_ONLY_PARAMETER = {"http_header_extractor": "headersPattern", "cookie_extractor": "cookies"}


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
    parameters = configuration.get("parameters", configuration)
    beside = {key: configuration[key] for key in _BESIDE if key in configuration}
    config, problems = validated(step, {**parameters, **beside})
    assert not problems, problems
    state = step.module.prepare(config, Resources(Path(), Path()))
    identifier = getattr(step.module, "IDENTIFIER", name)
    return Enrichment(step.name, identifier, uri, state, step.module.enrich, getattr(step.module, "ask", None))


#: Options of a configuration that stand beside its parameters.
_BESIDE = ("emitEvent", "anonymousOnly")


def _step(name: str) -> Step:
    found = [step for step in ORDER if name in (step.name, *(criterion.name for criterion in step.criteria))]
    assert found, f"there is no enrichment {name}"
    return found[0]
