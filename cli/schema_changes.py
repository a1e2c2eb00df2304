"""Which differences between two versions of a schema refuse data that the older one accepted."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from shared.iglu.registry import Document

Change = tuple[str, str]

_ALL_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_EXACT: Final = ("pattern", "format", "multipleOf", "allOf", "anyOf", "oneOf", "not", "$ref", "dependencies")


def breaking(older: Document, newer: Document, place: str = "$") -> Iterator[Change]:
    """Place in the schema and what changed there. What can't be compared counts as breaking when it differs."""
    for check in _CHECKS:
        yield from ((place, change) for change in check(older, newer))
    for name, before in older.get("properties", {}).items():
        after = newer.get("properties", {}).get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from breaking(before, after, f"{place}.properties.{name}")
    items, new_items = older.get("items"), newer.get("items")
    if isinstance(items, dict) and isinstance(new_items, dict):
        yield from breaking(items, new_items, f"{place}.items")


def _types(older: Document, newer: Document) -> Iterator[str]:
    lost = _accepted(older) - _accepted(newer)
    if lost:
        yield f"no longer accepts {', '.join(sorted(lost))}"


def _accepted(schema: Document) -> frozenset[str]:
    types = schema.get("type")
    if types is None:
        return frozenset(map(_type_of, schema["enum"])) if "enum" in schema else _ALL_TYPES
    kinds = frozenset({types} if isinstance(types, str) else types)
    return kinds | {"integer"} if "number" in kinds else kinds


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}.get(type(value), "object")


def _bounds(older: Document, newer: Document) -> Iterator[str]:
    for keywords, sign in ((_UPPER, 1), (_LOWER, -1)):
        for keyword in keywords:
            before, after = older.get(keyword), newer.get(keyword)
            if after is not None and (before is None or sign * (after - before) < 0):
                yield f"{keyword} goes from {'none' if before is None else before} to {after}"


def _values(older: Document, newer: Document) -> Iterator[str]:
    if "enum" not in newer:
        return
    lost = [value for value in older.get("enum", []) if value not in newer["enum"]]
    if "enum" not in older:
        yield "only some values are left"
    elif lost:
        yield f"no longer accepts {', '.join(map(repr, lost))}"


def _properties(older: Document, newer: Document) -> Iterator[str]:
    for name in newer.get("required", []):
        if name not in older.get("required", []):
            yield f"{name} becomes required"
    if newer.get("additionalProperties", True) is False:
        if older.get("additionalProperties", True) is not False and _is_object(older):
            yield "no longer accepts additional properties"
        for name in older.get("properties", {}):
            if name not in newer.get("properties", {}) and "patternProperties" not in newer:
                yield f"{name} is no longer among the properties"


def _is_object(schema: Document) -> bool:
    return "object" in _accepted(schema)


def _others(older: Document, newer: Document) -> Iterator[str]:
    for keyword in _EXACT:
        before, after = older.get(keyword), newer.get(keyword)
        widened = keyword == "anyOf" and before is not None and all(branch in (after or []) for branch in before)
        if keyword in newer and before != after and not widened:
            yield f"{keyword} {'changes' if keyword in older else 'is new'}"


_CHECKS: Final[tuple[Callable[[Any, Any], Iterator[str]], ...]] = (_types, _bounds, _values, _properties, _others)
