"""Self-describing events, contexts and derived contexts: opened, validated each alone, written in canonical form.

Plain functions of what is known: one that meets an unknown schema raises, and is called again once it is known.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from enricher import base64url, jsontext
from enricher.enrichments.contract import Entity
from enricher.iglu.contract import InvalidSchema, NotResolved, Resolution, Schema
from enricher.selfdescribing import Family, SelfDescribing, family, self_describing
from enricher.violations import CriterionMismatch, Invalid, NotIglu, NotJson, Violation
from shared.event import INDEX
from shared.schema import SchemaCriterion

#: What is known of a schema without asking anybody: Resolver.cached.
Cached = Callable[[str], Resolution | None]


class UnknownSchema(Exception):
    """Somebody must be asked for the schemas of these Iglu URIs before the same call can succeed.

    All that one text needs are named at once: each call reads the text anew.
    """

    def __init__(self, uris: Iterable[str]) -> None:
        self.uris = list(uris)
        super().__init__(*self.uris)


class Schemas(dict[str, Resolution]):
    """Resolutions by Iglu URI, the same for everything inside one raw message. Answers are put in by who asked.

    Looking up a URI that is neither here nor cached raises UnknownSchema.
    """

    def __init__(self, cached: Cached) -> None:
        super().__init__()
        self._cached = cached

    def __missing__(self, uri: str) -> Resolution:
        resolution = self._cached(uri)
        if resolution is None:
            raise UnknownSchema([uri])
        self[uri] = resolution
        return resolution

    def first_of(self, uri: str, values: Iterable[Any]) -> Resolution:
        """What is known of uri; where nothing is, every unknown schema of these self-describing values is named."""
        try:
            return self[uri]
        except UnknownSchema:
            found = [each.uri for each in map(self_describing, values) if isinstance(each, SelfDescribing)]
            raise UnknownSchema(each for each in dict.fromkeys(found) if not self._knows(each)) from None

    def _knows(self, uri: str) -> bool:
        return uri in self or self._cached(uri) is not None


UNSTRUCT_EVENT: Final = family(SchemaCriterion("com.snowplowanalytics.snowplow", "unstruct_event", "jsonschema", 1, 0))
CONTEXTS: Final = family(SchemaCriterion("com.snowplowanalytics.snowplow", "contexts", "jsonschema", 1, 0))
_VALIDATION_INFO: Final = "iglu:com.snowplowanalytics.iglu/validation_info/jsonschema/1-0-0"

_EVENT_HEAD: Final = '{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":'
_CONTEXTS_HEAD: Final = '{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":'


@dataclass(slots=True, init=False)
class Checked:
    """What is left after validation. text: of the whole column, "" where nothing is left.

    infos: entities that say which schema stood in for a superseded one.
    """

    entities: list[Entity]
    text: str
    violations: list[Violation]
    infos: list[Entity]

    def __init__(self) -> None:
        self.entities = []
        self.text = ""
        self.violations = []
        self.infos = []


def sent_text(parameters: dict[str, str | None], encoded: str, plain: str) -> str | None:
    """The JSON that the tracker sent, the base64 form preferred."""
    value = parameters.get(encoded)
    return parameters.get(plain) if value is None else base64url.decode(value)


def check_event(text: str, schemas: Schemas, max_depth: int) -> Checked:
    """The text of `ue_pr` or `ue_px`."""
    checked = Checked()
    opened = _open("unstruct", text, UNSTRUCT_EVENT, schemas, max_depth, checked)
    if opened is None:
        return checked
    document, data, exact = opened
    _check("unstruct", [data], [exact], document, schemas, checked)
    if checked.entities:
        as_sent = _as_sent(document, text, _EVENT_HEAD, [data], checked)
        checked.text = as_sent or event_text(checked.entities[0])
    return checked


def check_contexts(text: str, schemas: Schemas, max_depth: int) -> Checked:
    """The text of `co` or `cx`: an invalid entity is left out, its siblings stay."""
    checked = Checked()
    opened = _open("contexts", text, CONTEXTS, schemas, max_depth, checked)
    if opened is None:
        return checked
    document, data, exact = opened
    _check("contexts", data, exact, document, schemas, checked)
    head = f'{{"schema":"{document.value["schema"]}","data":'
    as_sent = _as_sent(document, text, head, data, checked)
    checked.text = _CONTEXTS_HEAD + as_sent[len(head) :] if as_sent else contexts_text(checked.entities)
    return checked


def recheck(source: str, entities: Sequence[Entity], schemas: Schemas) -> Checked:
    """Entities that enrichments made or changed."""
    checked = Checked()
    for entity in entities:
        resolution = schemas.get(entity.schema)
        if resolution is not None and entity.judged is resolution:
            checked.entities.append(entity)
            continue
        if resolution is None:
            found = self_describing({"schema": entity.schema, "data": entity.data})
            if isinstance(found, str):
                checked.violations.append(NotIglu(source, {"schema": entity.schema, "data": entity.data}, found))
                continue
            made = ({"schema": each.schema, "data": each.data} for each in entities)
            resolution = schemas.first_of(entity.schema, made)
        _judge(source, entity, resolution, None, checked)
        if checked.entities and checked.entities[-1] is entity:
            entity.judged = resolution
    return checked


Opened = tuple[jsontext.Document, Any, Any]


def _open(source: str, text: str, wanted: Family, schemas: Schemas, max_depth: int, checked: Checked) -> Opened | None:
    """The data inside a valid wrapper, plain and with number literals, or None and why."""
    document = jsontext.parse(text, max_depth)
    if isinstance(document, jsontext.Malformed):
        checked.violations.append(NotJson(source, text, document.message))
        return None
    wrapper = self_describing(document.value)
    if isinstance(wrapper, str):
        checked.violations.append(NotIglu(source, _kept(document, document.value, document.exact), wrapper))
        return None
    if not wanted.has(wrapper.uri):
        data = _kept(document, wrapper.data, document.exact["data"])
        checked.violations.append(CriterionMismatch(source, wrapper.uri, wanted.text, data))
        return None
    invalid = judge(source, wrapper, schemas[wrapper.uri], document.levels)
    if invalid is not None:
        checked.violations.append(invalid._replace(data=_kept(document, wrapper.data, document.exact["data"])))
        return None
    return document, wrapper.data, document.exact["data"]


def _check(
    source: str, values: list[Any], exact: list[Any], document: jsontext.Document, schemas: Schemas, checked: Checked
) -> None:
    """Entities as the tracker sent them, each alone."""
    for position, value in enumerate(values):
        uri = value.get("schema") if isinstance(value, dict) else None
        resolution = schemas.get(uri) if isinstance(uri, str) else None
        if resolution is None or "data" not in value:
            found = self_describing(value)
            if isinstance(found, str):
                checked.violations.append(NotIglu(source, _kept(document, value, exact[position]), found))
                continue
            resolution = schemas.first_of(found.uri, values)
        text = None if document.exact is document.value else _literal_text(exact[position])
        _judge(source, Entity(value["schema"], value["data"], text), resolution, document.levels, checked)


def _kept(document: jsontext.Document, value: Any, exact: Any) -> Any:
    """What is told of as it was sent: `exact` where a literal must be kept."""
    return value if document.exact is document.value else jsontext.verbatim(exact)


def _literal_text(exact: Any) -> str:
    return jsontext.render({"schema": exact["schema"], "data": exact["data"]}, literals=True)


def _judge(source: str, entity: Entity, resolution: Resolution, levels: int | None, checked: Checked) -> None:
    if not isinstance(resolution, Schema):
        checked.violations.append(_without_schema(source, entity.schema, resolution, _as_written(entity)))
        return
    reports = resolution.reports(entity.data, levels)
    if reports:
        found = Invalid(source, entity.schema, reports, _as_written(entity), resolution.superseded_by)
        checked.violations.append(found)
        return
    if resolution.superseded_by is None:
        checked.entities.append(entity)
        return
    info = {"originalSchema": entity.schema, "validatedWith": resolution.superseded_by}
    checked.infos.append(Entity(_VALIDATION_INFO, info))
    checked.entities.append(_renamed(entity, resolution.key.uri))


def _as_written(entity: Entity) -> Any:
    """The data, with their literals where these must be kept."""
    if entity.text is None:
        return entity.data
    head = f'{{"schema":"{entity.schema}","data":'
    return msgspec.Raw(entity.text[len(head) : -1].encode("utf-8", "replace"))


def _renamed(entity: Entity, uri: str) -> Entity:
    if entity.text is None:
        return Entity(uri, entity.data)
    head = f'{{"schema":"{entity.schema}",'
    return Entity(uri, entity.data, f'{{"schema":"{uri}",' + entity.text[len(head) :])


def judge(source: str, sent: SelfDescribing, resolution: Resolution, levels: int | None) -> Invalid | None:
    """Whether the data conforms to what its URI resolved to. levels: at most so many it has, where that is known."""
    if not isinstance(resolution, Schema):
        return _without_schema(source, sent.uri, resolution, sent.data)
    reports = resolution.reports(sent.data, levels)
    return Invalid(source, sent.uri, reports, sent.data, resolution.superseded_by) if reports else None


def _without_schema(source: str, uri: str, resolution: InvalidSchema | NotResolved, data: Any) -> Invalid:
    superseded_by = resolution.superseded_by if isinstance(resolution, InvalidSchema) else None
    return Invalid(source, uri, resolution, data, superseded_by)


# ---- writing ------------------------------------------------------------------------------------------------------


def _as_sent(document: jsontext.Document, text: str, head: str, items: list[Any], checked: Checked) -> str | None:
    """The tracker's own text where it already is what we would write: all valid, in our order, nothing renamed."""
    if not document.canonical or checked.violations or checked.infos or not items or not text.startswith(head):
        return None
    if len(document.value) != 2:
        return None
    for item in items:
        if len(item) != 2 or next(iter(item)) != "schema":
            return None
    return text


def entity_text(entity: Entity) -> str:
    return entity.text or jsontext.render({"schema": entity.schema, "data": entity.data})


def contexts_text(entities: Iterable[Entity]) -> str:
    """The column, "" for no entities."""
    joined = ",".join([entity_text(entity) for entity in entities])
    return f"{_CONTEXTS_HEAD}[{joined}]}}" if joined else ""


def event_text(entity: Entity) -> str:
    return f"{_EVENT_HEAD}{entity_text(entity)}}}"


def uris(values: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The schemas in the JSON columns of a finished event: of the self-describing event, and of all entities."""
    event, *columns = (values[INDEX[name]] for name in ("unstruct_event", "contexts", "derived_contexts"))
    entities = [entity["schema"] for column in columns if column for entity in json.loads(column)["data"]]
    return json.loads(event)["data"]["schema"] if event else None, tuple(entities)
