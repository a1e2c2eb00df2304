"""Replaces personal data by salted hashes, and can tell in an event of its own which value became which."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from enricher import jsontext
from enricher.enrichments.contract import Draft, EnrichmentRefused, Entity, Patch, Resources
from enricher.enrichments.parts.inputs import Column, Inside, criterion, entities_of
from enricher.enrichments.parts.jsonpath import InvalidPath, compiled
from enricher.enrichments.parts.md2 import md2
from enricher.enrichments.parts.parameters import Parameters
from enricher.remembered import remembered
from enricher.selfdescribing import family
from shared.event import INDEX
from shared.identity import uuid5
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow.enrichments", "pii_enrichment_config", "jsonschema", 2, 0)

_COLUMNS = frozenset(
    (
        "user_id",
        "user_ipaddress",
        "user_fingerprint",
        "domain_userid",
        "network_userid",
        "ip_organization",
        "ip_domain",
        "tr_orderid",
        "ti_orderid",
        "mkt_term",
        "mkt_content",
        "se_category",
        "se_action",
        "se_label",
        "se_property",
        "mkt_clickid",
        "refr_domain_userid",
        "domain_sessionid",
    )
)
_JSON_COLUMNS = ("unstruct_event", "contexts", "derived_contexts")
_VENDOR = "com.snowplowanalytics.snowplow"
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}

_REMEMBERED = 20_000

Hash = Callable[[str], str]

#: A JSON value → the value that takes its place, or the very same.
Mask = Callable[[Any], Any]


class Target(Parameters):
    pojo: Column | None = None
    """A column that may hold personal data."""
    json_: Inside | None = Field(None, alias="json")
    """Values inside entities."""

    @model_validator(mode="after")
    def _supported(self) -> "Target":
        if self.pojo and self.json_:
            raise ValueError("PII Configuration: pii field includes both 'pojo' and 'json', expected one of them")
        if self.pojo and self.pojo.field in _COLUMNS:
            return self
        if self.json_ and self.json_.field in _JSON_COLUMNS:
            return self
        said = self.pojo or self.json_
        why = f". The specified field {said.field} is not supported" if said else ""
        raise ValueError(f"PII Configuration: pii field does not include 'pojo' nor 'json' fields{why}")


class Pseudonymize(Parameters):
    hash_function: str = Field(alias="hashFunction")
    """MD2, MD5, SHA-1, SHA-256, SHA-384 or SHA-512."""
    salt: str
    """Appended to every value before it is hashed. Keep it secret, and keep it."""

    @model_validator(mode="after")
    def _known(self) -> "Pseudonymize":
        if self.hash_function not in ("MD2", *_HASHES):
            raise ValueError(f"Unknown function {self.hash_function}")
        return self


class Strategy(Parameters):
    pseudonymize: Pseudonymize
    """The only strategy there is."""


class Config(Parameters):
    pii: tuple[Target, ...]
    """What is hashed."""
    strategy: Strategy
    """How it is hashed."""
    emit_event: bool = Field(False, alias="emitEvent")
    """Emit an identification event for each event with changes, with the originals: mind who can read it."""
    anonymous_only: bool = Field(False, alias="anonymousOnly")
    """Hash only what was sent with the SP-Anonymous header."""


class ColumnTarget(NamedTuple):
    field: str
    place: int


class InsideTarget(NamedTuple):
    field: str
    json_path: str
    matches: Callable[[str], bool]
    changed: Callable[[Any, Mask], Any]


class State(NamedTuple):
    """Columns and entities don't meet, so each kind keeps the order of the configuration for itself."""

    columns: tuple[ColumnTarget, ...]
    insides: tuple[InsideTarget, ...]
    hashed: Hash
    masked: Mask
    function: str
    emit_event: bool
    anonymous_only: bool


class Change(NamedTuple):
    """One replaced value; `json_path` and `schema` where it lay inside an entity."""

    field: str
    original: str
    modified: str
    json_path: str | None = None
    schema: str | None = None


def prepare(config: Config, _: Resources) -> State:
    chosen = config.strategy.pseudonymize
    names = [target.pojo.field for target in config.pii if target.pojo]
    columns = tuple(ColumnTarget(name, INDEX[name]) for name in names)
    insides = tuple(_inside(target.json_) for target in config.pii if target.json_)
    hashed = hasher(chosen.hash_function, chosen.salt)
    function = chosen.hash_function
    return State(columns, insides, hashed, _mask(hashed), function, config.emit_event, config.anonymous_only)


def _inside(target: Inside) -> InsideTarget:
    try:
        path = compiled(target.json_path)
    except InvalidPath as error:
        raise EnrichmentRefused(f"PII Configuration: {target.json_path}: {error}") from error
    return InsideTarget(target.field, target.json_path, family(criterion(target.schema_criterion)).has, path.changed)


def hasher(function: str, salt: str) -> Hash:
    """Lower-case hexadecimal of the value with the salt behind it.

    A user's ids stand in several places of an event, and in all events of a session, so hashes are remembered.
    """
    if function == "MD2":
        return lambda value: md2((value + salt).encode("utf-8", "replace")).hex()
    make = partial(getattr(hashlib, _HASHES[function]), usedforsecurity=False)
    return remembered(_REMEMBERED)(lambda value: str(make((value + salt).encode("utf-8", "replace")).hexdigest()))


def _mask(hashed: Hash) -> Mask:
    """Hashes a text, and the texts of an array."""

    def masked(hit: Any) -> Any:
        if isinstance(hit, str):
            return hashed(hit)
        if isinstance(hit, list) and any(isinstance(item, str) for item in hit):
            return [hashed(item) if isinstance(item, str) else item for item in hit]
        return hit

    return masked


def enrich(draft: Draft, state: State) -> Patch | None:
    """A later target sees what an earlier one wrote."""
    if state.anonymous_only and not _is_anonymous(draft.payload.headers or ()):
        return None
    changes: list[Change] | None = [] if state.emit_event else None
    fields = _columns(draft, state, changes)
    replaced = _insides(draft, state, changes)
    return _patch(draft, state, fields, replaced, changes) if fields or replaced else None


def _is_anonymous(lines: Sequence[str]) -> bool:
    return any(line[:12].lower() == "sp-anonymous" for line in lines)


def _columns(draft: Draft, state: State, changes: list[Change] | None) -> dict[str, str]:
    fields: dict[str, str] = {}
    values, hashed = draft.values, state.hashed
    for field, place in state.columns:
        original = fields.get(field) or values[place]
        if original:
            fields[field] = modified = hashed(original)
            if changes is not None:
                changes.append(Change(field, original, modified))
    return fields


def _insides(draft: Draft, state: State, changes: list[Change] | None) -> dict[str, list[Entity]]:
    replaced: dict[str, list[Entity]] = {}
    mask = state.masked
    for target in state.insides:
        field, _, matches, changed = target
        before = replaced.get(field) or entities_of(draft, field)
        for place, entity in enumerate(before):
            if matches(entity.schema):
                if changes is not None:
                    mask = _recording(entity.schema, target, state.hashed, changes)
                masked = changed(entity.data, mask)
                if masked is not entity.data:
                    replaced.setdefault(field, list(before))[place] = Entity(entity.schema, masked)
    return replaced


def _recording(schema: str, target: InsideTarget, hashed: Hash, changes: list[Change]) -> Mask:
    def recorded(value: str) -> str:
        modified = hashed(value)
        changes.append(Change(target.field, value, modified, target.json_path, schema))
        return modified

    return _mask(recorded)


def _patch(
    draft: Draft,
    state: State,
    fields: dict[str, str],
    replaced: dict[str, list[Entity]],
    changes: list[Change] | None,
) -> Patch:
    """Hashes need not fit the formats that schemas ask for, so what the tracker sent is not validated again."""
    event = replaced.get("unstruct_event")
    return Patch(
        fields,
        event=event[0] if event else None,
        entities=replaced.get("contexts"),
        derived=replaced.get("derived_contexts"),
        revalidate=False,
        side_events=(identification(draft, changes, state.function),) if changes else (),
    )


def transformation(changes: Sequence[Change], function: str) -> dict[str, Any]:
    """The self-describing identification event: what became what, the last change first, without the salt."""
    pojo = [_record(change) for change in reversed(changes) if change.json_path is None]
    json = [_record(change) for change in reversed(changes) if change.json_path is not None]
    pii = {**({"pojo": pojo} if pojo else {}), **({"json": json} if json else {})}
    data = {"pii": pii, "strategy": {"pseudonymize": {"hashFunction": function}}}
    return {
        "schema": f"iglu:{_VENDOR}/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": f"iglu:{_VENDOR}/pii_transformation/jsonschema/1-0-0", "data": data},
    }


def _record(change: Change) -> dict[str, str]:
    record = {
        "fieldName": change.field,
        "originalValue": change.original,
        "modifiedValue": change.modified,
    }
    if change.json_path is not None and change.schema is not None:
        record |= {"jsonPath": change.json_path, "schema": change.schema}
    return record


def identification(draft: Draft, changes: Sequence[Change], function: str) -> Mapping[str, str]:
    """A complete event that points to its parent. Its id follows from the parent's, so a replay makes the same one."""
    values = draft.values
    parent = values[INDEX["event_id"]]
    now = values[INDEX["etl_tstamp"]]
    pointer = {"schema": f"iglu:{_VENDOR}/parent_event/jsonschema/1-0-0", "data": {"parentEventId": parent}}
    contexts = {"schema": f"iglu:{_VENDOR}/contexts/jsonschema/1-0-0", "data": [pointer]}
    copied = {name: values[INDEX[name]] for name in ("app_id", "collector_tstamp", "etl_tstamp", "v_etl")}
    return {
        **copied,
        "platform": "srv",
        "event": "pii_transformation",
        "event_id": uuid5(parent, "pii_transformation") if parent else "",
        "event_vendor": _VENDOR,
        "event_name": "pii_transformation",
        "event_format": "jsonschema",
        "event_version": "1-0-0",
        "derived_tstamp": now,
        "true_tstamp": now,
        "unstruct_event": jsontext.render(transformation(changes, function)),
        "contexts": jsontext.render(contexts),
    }
