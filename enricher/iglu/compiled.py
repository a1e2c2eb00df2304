"""Schema documents into CompiledSchema: what is no schema is told, the engines are made."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, partial
from math import inf, isfinite
from typing import Any, Final

import jsonschema_rs
from jsonschema import Draft4Validator, validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from referencing.jsonschema import EMPTY_REGISTRY, SchemaRegistry

from enricher.iglu.complaint import certain_reports
from enricher.iglu.contract import InvalidSchema, Report, SchemaIssue
from enricher.iglu.engine import CompiledSchema
from enricher.iglu.formats import CHECKS, format_checker
from enricher.iglu.prepare import FORMAT_PREFIX, JsonSchema, compact, exactly, prepare
from enricher.iglu.reports import TOO_LONG, additional, translate
from enricher.iglu.rows import rows
from shared.schema import SchemaKey

#: Levels of an instance, leaves included, that Snowplow's enrich accepts by default.
MAX_JSON_DEPTH: Final = 50

_OF_OURS: Final = tuple(FORMAT_PREFIX + name for name in CHECKS)


def compile_schema(
    key: SchemaKey, document: Any, superseded_by: str | None = None, max_depth: int = MAX_JSON_DEPTH
) -> CompiledSchema | InvalidSchema:
    try:
        found = issues(document)
        return InvalidSchema(found, superseded_by) if found else _compiled(key, document, superseded_by, max_depth)
    except RecursionError:
        return InvalidSchema((SchemaIssue("$", "$: is nested too deep"),), superseded_by)


def _compiled(key: SchemaKey, document: JsonSchema, superseded_by: str | None, max_depth: int) -> CompiledSchema:
    prepared = prepare(document)
    engine = _fast_engine(prepared.fast)
    return CompiledSchema(
        key,
        superseded_by,
        None if engine is None else rows(prepared.record, engine.is_valid) or engine.is_valid,
        _nothing if engine is None else partial(certain_reports, engine, prepared.record),
        _Record(prepared.record, prepared.patterns),
        max_depth,
        valid_is_shallow=_deepest(prepared.record) <= max_depth,
    )


def verdict(document: JsonSchema) -> Callable[[Any], bool]:
    """Whether an instance conforms to a schema that has no issues, for who wants no reports: a no is as cheap as a yes,
    but where only jsonschema can judge. Levels are not counted."""
    prepared = prepare(document)
    engine = _fast_engine(exactly(prepared))
    record = _Record(prepared.record, prepared.patterns)
    is_valid = engine.is_valid if engine else lambda instance: not record(instance)

    def conforms(instance: Any) -> bool:
        try:
            return is_valid(instance)
        except (ValueError, OverflowError, RecursionError):  # not JSON (half characters): jsonschema judges
            return not record(instance)

    return conforms


def _nothing(_: Any) -> None:
    return None


class _Record:
    """jsonschema's verdict on an instance that is not too deep; the validator is made when it is first needed."""

    def __init__(self, schema: JsonSchema, patterns: dict[str, str]) -> None:
        self._schema = schema
        self._patterns = patterns
        self._engine: Validator | None = None

    def __call__(self, instance: Any) -> tuple[Report, ...]:
        if self._engine is None:
            self._engine = _record_engine()(self._schema, format_checker=format_checker(), registry=_NOTHING_REMOTE)
        try:
            return translate(self._engine.iter_errors(instance), self._patterns)
        except ValueError:  # Python prints no integer of more than 4,300 digits, jsonschema's messages do
            return (TOO_LONG,)


def issues(document: Any) -> tuple[SchemaIssue, ...]:
    """What keeps a document from being a draft-4 schema; empty where it is one."""
    if not _is_plainly_a_schema(document):
        faults = translate(_record_engine()(Draft4Validator.META_SCHEMA).iter_errors(document), {})
        if faults:
            return tuple(SchemaIssue(fault.path, fault.message) for fault in faults)
    dead_ends = dict.fromkeys(prepare(document).dead_ends)
    return tuple(SchemaIssue("$", f"$.$ref: {reference} can not be resolved") for reference in dead_ends)


def _deepest(schema: JsonSchema) -> float:
    """Levels of the deepest instance that may conform."""
    types = schema.get("type")
    containers = {"object", "array"} & set([types] if isinstance(types, str) else types or ["object"])
    if "$ref" in schema or (types is None and "enum" not in schema):
        return inf
    return max([1.0, *(_deepest_object(schema) if kind == "object" else _deepest_array(schema) for kind in containers)])


def _deepest_object(schema: JsonSchema) -> float:
    if schema.get("additionalProperties") is not False or "patternProperties" in schema:
        return inf
    return 1 + max(map(_deepest, schema.get("properties", {}).values()), default=0)


def _deepest_array(schema: JsonSchema) -> float:
    items = schema.get("items")
    return 1 + _deepest(items) if isinstance(items, dict) else inf


def _is_plainly_a_schema(document: Any) -> bool:
    try:
        return _fast_metaschema().is_valid(document)
    except (ValueError, OverflowError, RecursionError):
        return False


def _fast_engine(schema: JsonSchema | None) -> jsonschema_rs.Draft4Validator | None:
    if schema is None:
        return None
    text = compact(schema)  # where formats are given, the engine takes twice the time, used or not
    formats = {name: CHECKS[name[len(FORMAT_PREFIX) :]] for name in _OF_OURS if f'"{name}"' in text}
    try:
        return jsonschema_rs.Draft4Validator(schema, validate_formats=True, formats=formats or None, offline=True)
    except ValueError:
        return None


@cache
def _fast_metaschema() -> jsonschema_rs.Draft4Validator:
    return jsonschema_rs.Draft4Validator(Draft4Validator.META_SCHEMA, validate_formats=False, offline=True)


@cache
def _record_engine() -> type[Validator]:
    """jsonschema's draft 4, but: `multipleOf` calculates in decimals, `uniqueItems` does not compare each item with
    every other one, what is not finite is no number, texts that conform are passed over quickly, what is missing is one
    error, and additional properties are judged in their own order: a set has another one in every process."""
    finite = Draft4Validator.TYPE_CHECKER.redefine("number", _is_number)
    engine: type[Validator] = validators.extend(  # type: ignore[no-untyped-call]
        Draft4Validator,
        validators={
            "additionalProperties": _additional_properties,
            "dependencies": _dependencies,
            "multipleOf": _multiple_of,
            "properties": _properties,
            "required": _required,
            "uniqueItems": _unique_items,
        },
        type_checker=finite,
    )
    return engine


def _is_number(checker: Any, value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, float) and isfinite(value)


def _properties(validator: Any, properties: dict[str, Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Descending costs most of a verdict, and in an instance that does not conform nearly all properties do."""
    if isinstance(instance, dict):
        for name, part in properties.items():
            if name in instance and not _conforms(validator, instance[name], part):
                yield from validator.descend(instance[name], part, path=name, schema_path=name)


def _required(validator: Any, names: list[str], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict) and not all(name in instance for name in names):
        yield ValidationError("a property is missing")


def _dependencies(validator: Any, needs: dict[str, Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    present = [need for name, need in needs.items() if isinstance(instance, dict) and name in instance]
    if not all(name in instance for need in present if isinstance(need, list) for name in need):
        yield ValidationError("a property that another one needs is missing")
    for need in present:
        if isinstance(need, dict):
            yield from validator.descend(instance, need)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    extra = additional(instance, schema)
    if isinstance(allowed, dict):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and extra:
        yield ValidationError("there are additional properties")


_OF_TEXTS: Final = frozenset(("type", "description", "enum", "minLength", "maxLength", "format"))
_OF_INTEGERS: Final = frozenset(("type", "description", "minimum", "maximum"))


def _conforms(validator: Any, value: Any, schema: JsonSchema) -> bool:
    """Texts and integers only, and certain where it says so: everything else takes a closer look."""
    if type(value) is int and _OF_INTEGERS.issuperset(schema):
        return _admits(schema, "integer") and schema.get("minimum", -inf) <= value <= schema.get("maximum", inf)
    return type(value) is str and _OF_TEXTS.issuperset(schema) and _is_conforming_text(validator, value, schema)


def _admits(schema: JsonSchema, name: str) -> bool:
    types = schema.get("type", name)
    return bool(types == name or (type(types) is list and name in types))


def _is_conforming_text(validator: Any, value: str, schema: JsonSchema) -> bool:
    return (
        _admits(schema, "string")
        and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", inf)
        and ("enum" not in schema or value in schema["enum"])
        and ("format" not in schema or validator.format_checker.conforms(value, schema["format"]))
    )


def _multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """19.99 is a multiple of 0.01: what both texts say, not what binary fractions make of them."""
    if validator.is_type(instance, "number") and (_exact(instance) / _exact(factor)).denominator != 1:
        yield ValidationError(f"{instance!r} is not a multiple of {factor}")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and validator.is_type(instance, "array") and len({*map(_hashable, instance)}) < len(instance):
        yield ValidationError("the items are not unique")


#: Larger integers can be chosen so that Python hashes all of them to the same number, and then compares each with each.
_PLAINLY_HASHED: Final = 2**60


def _hashable(value: Any) -> Any:
    """Equal for equal JSON values: 1 and 1.0 are, true and 1 are not."""
    if isinstance(value, dict):
        return frozenset((name, _hashable(part)) for name, part in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and abs(value) > _PLAINLY_HASHED:
        return int, hex(value)
    return (bool, value) if isinstance(value, bool) else value


def _exact(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))


_NOTHING_REMOTE: Final[SchemaRegistry] = EMPTY_REGISTRY
