"""Infers which event specifications an event fulfils, and attaches their names."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field, ValidationError

from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Patch, Resources
from enricher.enrichments.parts.files import Located, asset, present
from enricher.enrichments.parts.parameters import IgluUri, Parameters
from enricher.enrichments.parts.text import entity
from enricher.iglu.compiled import issues, verdict
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "event_spec_enrichment_config", "jsonschema", 1, 0
)

_OUTPUT = "iglu:com.snowplowanalytics.snowplow/event_specification/jsonschema/1-0-4"
_DECLARED = "iglu:com.snowplowanalytics.snowplow/event_specification/"
_EVENT_NAME = INDEX["event_name"]
_TEXTS = tuple(
    (f"page_{part}", INDEX[f"page_{part}"])
    for part in ("url", "title", "referrer", "urlscheme", "urlhost", "urlpath", "urlquery", "urlfragment")
)
_PORT = (("page_urlport", INDEX["page_urlport"]),)
_OFFSETS = tuple(
    (f"pp_{axis}offset_{bound}", INDEX[f"pp_{axis}offset_{bound}"]) for axis in "xy" for bound in ("min", "max")
)


class Modelled(NamedTuple):
    """The schema that a kind of event is judged by, and its properties that are numbers: column and place."""

    schema: str
    numbers: tuple[tuple[str, int], ...]


_MODELLED = {
    name: Modelled(f"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-0", numbers)
    for name, numbers in (("page_view", _PORT), ("page_ping", _PORT + _OFFSETS))
}


class Config(Located):
    database: str
    """Name of the file: JSON, `{"eventSpecs": […]}`."""


class Described(Parameters):
    """What a tool wrote into the file: keys of later versions are passed over."""

    model_config = ConfigDict(extra="ignore")


class WantedEntity(Described):
    schema_key: IgluUri = Field(alias="schemaKey")
    min_cardinality: int | None = Field(None, alias="minCardinality")
    max_cardinality: int | None = Field(None, alias="maxCardinality")
    constraint: dict[str, Any] | None = None


class Specification(Described):
    id: str
    name: str
    version: int | None = None
    schema_key: IgluUri = Field(alias="schemaKey")
    constraint: dict[str, Any] | None = None
    entities: tuple[WantedEntity, ...] = ()


class File(Described):
    specifications: tuple[Specification, ...] = Field(alias="eventSpecs")


Check = Callable[[Any], bool]


class Requirement(NamedTuple):
    schema: str
    least: int
    most: float
    fits: Check | None

    def met(self, contexts: Mapping[str, Sequence[Any]]) -> bool:
        """contexts: the data of the tracker's entities by their schema."""
        schema, least, most, fits = self
        found = contexts.get(schema, ())
        return least <= len(found) <= most and (fits is None or all(map(fits, found)))


class Compiled(NamedTuple):
    """patch: attaches its name. fits, here and above: None where there is no constraint."""

    patch: Patch
    fits: Check | None
    requirements: tuple[Requirement, ...]


class State(NamedTuple):
    """by_schema: what an event of that schema may fulfil. counted: schemas of entities that any of them asks for."""

    by_schema: Mapping[str, Sequence[Compiled]]
    counted: frozenset[str]


def assets(config: Config) -> tuple[Asset, ...]:
    return (asset(config.uri, config.database, "event-specs.json"),)


def prepare(config: Config, resources: Resources) -> State:
    path = present(assets(config)[0], resources)
    try:
        return compiled(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError, RecursionError) as error:
        raise EnrichmentRefused(f"{path} is not a file of event specifications: {error}") from error


def compiled(document: Any) -> State:
    """The newest version of each id, and all without a version, by the schema they are about."""
    specifications = File.model_validate(document).specifications
    newest: dict[str, int] = {}
    for one in specifications:
        newest[one.id] = max(newest.get(one.id, -1), one.version if one.version is not None else -1)
    by_schema: dict[str, list[Compiled]] = {}
    for one in specifications:
        if one.version in (None, newest[one.id]):
            by_schema.setdefault(one.schema_key, []).append(_compiled(one))
    keys = {wanted.schema_key for one in specifications for wanted in one.entities}
    return State(by_schema, frozenset(key for key in keys if not key.startswith(_DECLARED)))


def _compiled(one: Specification) -> Compiled:
    named: dict[str, Any] = {"id": one.id, "name": one.name}
    if one.version is not None:
        named["version"] = one.version
    requirements = tuple(
        Requirement(
            wanted.schema_key,
            wanted.min_cardinality or 0,
            float("inf") if wanted.max_cardinality is None else wanted.max_cardinality,
            _check(wanted.constraint),
        )
        for wanted in one.entities
    )
    return Compiled(Patch(contexts=(entity(_OUTPUT, named),)), _check(one.constraint), requirements)


def _check(constraint: Mapping[str, Any] | None) -> Check | None:
    """Constraints mean what schemas of events mean. Raises ValueError."""
    if not constraint:
        return None
    document = dict(constraint)
    if found := issues(document):
        raise ValueError("; ".join(issue.message for issue in found))
    return verdict(document)


def enrich(draft: Draft, state: State) -> Patch | None:
    """An event that declares its specification itself is left alone."""
    candidates = state.by_schema.get(_schema(draft))
    if candidates is None:
        return None
    contexts: dict[str, list[Any]] = {}
    for sent in draft.contexts:
        if sent.schema in state.counted:
            contexts.setdefault(sent.schema, []).append(sent.data)
        elif sent.schema.startswith(_DECLARED):
            return None
    return _together(_fulfilled(candidates, contexts, draft))


def _fulfilled(candidates: Sequence[Compiled], contexts: Mapping[str, Sequence[Any]], draft: Draft) -> list[Patch]:
    found: list[Patch] = []
    data = None
    for one in candidates:
        for wanted in one.requirements:
            if not wanted.met(contexts):
                break
        else:
            data = data or _data(draft)
            if one.fits is None or one.fits(data):
                found.append(one.patch)
    return found


def _together(patches: Sequence[Patch]) -> Patch | None:
    if len(patches) < 2:
        return patches[0] if patches else None
    return Patch(contexts=[one for patch in patches for one in patch.contexts])


def _schema(draft: Draft) -> str:
    """Of the self-describing event, or the one that a page view or page ping is judged by; "" for others."""
    if draft.event is not None:
        return draft.event.schema
    modelled = _MODELLED.get(draft.values[_EVENT_NAME])
    return modelled.schema if modelled else ""


def _data(draft: Draft) -> Any:
    """Of the self-describing event, or what a page view or page ping would say as one; nulls are said too."""
    if draft.event is not None:
        return draft.event.data
    values = draft.values
    data: dict[str, Any] = {}
    for column, place in _TEXTS:
        data[column] = values[place] or None
    for column, place in _MODELLED[values[_EVENT_NAME]].numbers:
        data[column] = int(values[place]) if values[place] else None
    return data
