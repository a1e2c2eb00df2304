"""What api_request and sql_query take from an event: a column, or a value inside an entity."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import Field, field_validator, model_validator

from enricher.enrichments.contract import Draft, EnrichmentRefused, Entity
from enricher.enrichments.parts.jsonpath import InvalidPath, compiled
from enricher.enrichments.parts.parameters import Parameters
from enricher.selfdescribing import family
from shared.event import INDEX
from shared.schema import SchemaCriterion

#: What an event has for an input; MISSING where it has nothing.
Pick = Callable[[Draft], Any]

MISSING = object()


class Column(Parameters):
    field: str
    """Name of a column of the event."""


class Inside(Parameters):
    field: str
    """`unstruct_event`, `contexts` or `derived_contexts`."""
    schema_criterion: str = Field(alias="schemaCriterion")
    """Which entities are looked at: `iglu:com.acme/user/jsonschema/1-*-*`. The first that matches is used."""
    json_path: str = Field(alias="jsonPath")
    """JSONPath within the entity's data."""

    @field_validator("schema_criterion")
    @classmethod
    def _criterion(cls, text: str) -> str:
        criterion(text)
        return text


class Input(Parameters):
    pojo: Column | None = None
    """A column."""
    json_: Inside | None = Field(None, alias="json")
    """A value inside an entity."""

    @model_validator(mode="after")
    def _either(self) -> "Input":
        if self.pojo and self.json_:
            raise ValueError("Either json or pojo input must be specified, both provided")
        if not self.pojo and not self.json_:
            raise ValueError("Either json or pojo input must be specified, none provided")
        return self


Key = TypeVar("Key")
OneInput = TypeVar("OneInput", bound=Input)


def criterion(text: str) -> SchemaCriterion:
    """`iglu:vendor/name/format/1-*-*`. Raises ValueError."""
    head, _, version = text.removeprefix("iglu:").rpartition("/")
    names = head.split("/")
    parts = version.split("-")
    if not text.startswith("iglu:") or len(names) != 3 or len(parts) != 3:
        raise ValueError(f"not a schema criterion: {text}")
    numbers = [None if part == "*" else int(part) if part.isdecimal() else -1 for part in parts]
    if -1 in numbers:
        raise ValueError(f"not a schema criterion: {text}")
    return SchemaCriterion(names[0], names[1], names[2], *numbers)


def entities_of(draft: Draft, field: str) -> Sequence[Entity]:
    if field == "unstruct_event":
        return (draft.event,) if draft.event else ()
    return draft.contexts if field == "contexts" else draft.derived


def picks(inputs: Iterable[OneInput], picked: Callable[[OneInput], tuple[Key, Pick]]) -> tuple[tuple[Key, Pick], ...]:
    """Each input under its name. Raises EnrichmentRefused with everything that is wrong."""
    found: list[tuple[Key, Pick]] = []
    problems: list[str] = []
    for one in inputs:
        try:
            found.append(picked(one))
        except EnrichmentRefused as refused:
            problems.append(str(refused))
    if problems:
        raise EnrichmentRefused("; ".join(problems))
    return tuple(found)


def pick(key: str, wanted: Input) -> Pick:
    """Raises EnrichmentRefused for a column, field or path that can't be."""
    return _inside(key, wanted.json_) if wanted.json_ else _named(key, wanted.pojo.field if wanted.pojo else "")


def _named(key: str, name: str) -> Pick:
    if name not in INDEX:
        raise EnrichmentRefused(f"Error accessing POJO input field [{key}]: there is no column {name}")
    position = INDEX[name]
    return lambda draft: draft.values[position] or MISSING


def _inside(key: str, inside: Inside) -> Pick:
    if inside.field not in ("unstruct_event", "contexts", "derived_contexts"):
        raise EnrichmentRefused(f"Error accessing JSON input field [{key}]: there is no JSON column {inside.field}")
    try:
        path = compiled(inside.json_path)
    except InvalidPath as error:
        raise EnrichmentRefused(f"Error in JSON input [{key}]: {inside.json_path}: {error}") from error
    matches = family(criterion(inside.schema_criterion)).has
    return lambda draft: _first(entities_of(draft, inside.field), matches, path.find)


def _first(entities: Sequence[Entity], matches: Callable[[str], bool], find: Callable[[Any], list[Any]]) -> Any:
    return next((wrapped(find(one.data)) for one in entities if matches(one.schema)), MISSING)


def wrapped(hits: list[Any]) -> Any:
    """One hit is itself, none and several are an array."""
    return hits[0] if len(hits) == 1 else hits
