"""A schema document made ready for the two engines.

Both get the same draft-4 schema without annotations, with patterns translated, patterns that can't be compiled left
out, and references to other documents replaced by a schema that accepts everything (what Iglu clients do). The fast
engine gets formats it knows nothing about as patterns or as calls of ours.

The fast engine may refuse what jsonschema accepts, never the other way round. Where a stricter part would make the
whole laxer (below `not`, `oneOf`, in the names of `patternProperties`), only exact equivalents will do; a schema that
has none there gets no fast engine.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from enricher.iglu.formats import CHECKS, EXACT, FAST_PATTERNS
from enricher.iglu.patterns import translate

JsonSchema = dict[str, Any]

_ONE: Final = frozenset({"additionalItems", "additionalProperties", "items", "not"})
_LIST: Final = frozenset({"allOf", "anyOf", "items", "oneOf"})
_MAP: Final = frozenset({"$defs", "definitions", "dependencies", "patternProperties", "properties"})
_ANNOTATIONS: Final = frozenset(
    {"$schema", "$supersededBy", "default", "description", "examples", "id", "self", "title"}
)
_IN_PLACE: Final = frozenset({"allOf", "anyOf", "oneOf"})

#: Keyword of ours, which the engines ignore: keyword → the author's text, where a report quotes it.
AS_WRITTEN: Final = "evnt-as-written"

#: Where references from places that need exact equivalents may lead.
_DEFINITIONS: Final = ("#/definitions/", "#/$defs/")

#: Prefix of the formats that the fast engine calls us back for.
FORMAT_PREFIX: Final = "evnt-"


class Prepared(NamedTuple):
    """fast: None where only jsonschema can judge. patterns: translated pattern → as its author wrote it."""

    record: JsonSchema
    fast: JsonSchema | None
    patterns: dict[str, str]
    dead_ends: tuple[str, ...]


def prepare(document: JsonSchema) -> Prepared:
    """`document` conforms to the draft-4 metaschema."""
    patterns: dict[str, str] = {}
    record = _copy(document, lambda schema: _for_record(schema, patterns))
    try:
        fast: JsonSchema | None = _fast(record, patterns, exact=False)
    except _NoFastEquivalent:
        fast = None
    return Prepared(record, fast, patterns, tuple(_dead_ends(record)))


def exactly(prepared: Prepared) -> JsonSchema | None:
    """A schema with which the fast engine refuses nothing that jsonschema accepts either; None where there is none."""
    try:
        return _fast(prepared.record, prepared.patterns, exact=True)
    except _NoFastEquivalent:
        return None


class _NoFastEquivalent(Exception):
    pass


def _copy(schema: JsonSchema, change: Callable[[JsonSchema], JsonSchema]) -> JsonSchema:
    """The schema with `change` applied to it and, after that, to every schema in it."""
    changed = change(schema)
    return {keyword: _copy_value(keyword, changed[keyword], change) for keyword in sorted(changed, key=_order)}


def _copy_value(keyword: str, value: Any, change: Callable[[JsonSchema], JsonSchema]) -> Any:
    if keyword in _LIST and isinstance(value, list):
        return [_copy(member, change) for member in value]
    if keyword in _ONE and isinstance(value, dict):
        return _copy(value, change)
    if keyword in _MAP and isinstance(value, dict):
        return {name: _copy(part, change) if isinstance(part, dict) else part for name, part in value.items()}
    return value


def _order(keyword: str) -> tuple[bool, str]:
    """Violations are reported in this order: those of `properties` first, then by keyword."""
    return keyword != "properties", keyword


def _for_record(schema: JsonSchema, patterns: dict[str, str]) -> JsonSchema:
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        return {}
    kept = {keyword: value for keyword, value in schema.items() if keyword not in _ANNOTATIONS}
    if not isinstance(kept.get("format", ""), str):
        del kept["format"]
    if "pattern" in kept:
        kept.update(_translated("pattern", kept.pop("pattern"), patterns))
    if "patternProperties" in kept:
        named = kept["patternProperties"].items()
        kept["patternProperties"] = {
            new: part for name, part in named for new in _translated(name, name, patterns).values()
        }
    return kept | _as_written(schema)


def _as_written(schema: JsonSchema) -> JsonSchema:
    quoted = {
        keyword: "".join(map(compact, value if isinstance(value, list) else [value]))
        for keyword, value in schema.items()
        if keyword in ("not", "oneOf")
    }
    return {AS_WRITTEN: quoted} if quoted else {}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _translated(keyword: str, author: str, patterns: dict[str, str]) -> dict[str, str]:
    pattern = translate(author)
    if pattern is None:
        return {}
    patterns[pattern.text] = author
    return {keyword: pattern.text}


def _fast(schema: JsonSchema, patterns: dict[str, str], *, exact: bool) -> JsonSchema:
    """The record schema as the fast engine gets it."""
    out: JsonSchema = {}
    for keyword, value in schema.items():
        strict = exact or keyword in ("not", "oneOf")
        if keyword == "pattern":
            _add_pattern(out, _fast_pattern(value, patterns))
        elif keyword == "$ref" and exact and not str(value).startswith(_DEFINITIONS):
            raise _NoFastEquivalent
        elif keyword == "format":
            _add_format(out, value, exact=exact)
        elif keyword == "patternProperties":
            out[keyword] = {
                _fast_pattern(name, patterns): _fast(part, patterns, exact=exact) for name, part in value.items()
            }
        else:
            out[keyword] = _fast_value(keyword, value, patterns, exact=strict)
    return out


def _fast_value(keyword: str, value: Any, patterns: dict[str, str], *, exact: bool) -> Any:
    if keyword in _LIST and isinstance(value, list):
        return [_fast(member, patterns, exact=exact) for member in value]
    if keyword in _ONE and isinstance(value, dict):
        return _fast(value, patterns, exact=exact)
    if keyword in ("$defs", "definitions"):  # may be referred to from anywhere
        exact = True
    if keyword in _MAP and isinstance(value, dict):
        return {
            name: _fast(part, patterns, exact=exact) if isinstance(part, dict) else part for name, part in value.items()
        }
    return value


def _fast_pattern(text: str, patterns: dict[str, str]) -> str:
    pattern = translate(patterns[text])
    if pattern is None or pattern.fast is None:
        raise _NoFastEquivalent
    return pattern.fast


def _add_format(out: JsonSchema, name: Any, *, exact: bool) -> None:
    if name in FAST_PATTERNS and (name in EXACT or not exact):
        _add_pattern(out, FAST_PATTERNS[name])
    elif name in CHECKS:
        out["format"] = FORMAT_PREFIX + name


def _add_pattern(out: JsonSchema, pattern: str) -> None:
    out.setdefault("allOf", []).append({"pattern": pattern})


def _dead_ends(root: JsonSchema) -> Iterator[str]:
    """References that lead to no schema, or back to themselves without going down into the instance."""
    known = {id(schema) for schema in _schemas(root)}
    for schema in _schemas(root):
        if "$ref" in schema and _loops(root, schema, known, frozenset()):
            yield str(schema["$ref"])


def _schemas(schema: JsonSchema) -> Iterator[JsonSchema]:
    yield schema
    for keyword, value in schema.items():
        for part in _parts(keyword, value):
            yield from _schemas(part)


def _parts(keyword: str, value: Any) -> list[JsonSchema]:
    if keyword in _LIST and isinstance(value, list):
        return value
    if keyword in _ONE and isinstance(value, dict):
        return [value]
    if keyword in _MAP and isinstance(value, dict):
        return [part for part in value.values() if isinstance(part, dict)]
    return []


def _loops(root: JsonSchema, schema: JsonSchema, known: set[int], seen: frozenset[str]) -> bool:
    if "$ref" in schema:
        reference = schema["$ref"]
        target = _resolve(root, reference)
        if target is None or id(target) not in known or reference in seen:
            return True
        return _loops(root, target, known, seen | {reference})
    beside = [part for keyword in _IN_PLACE for part in schema.get(keyword, [])]
    beside += [schema["not"]] if "not" in schema else []
    beside += [part for part in schema.get("dependencies", {}).values() if isinstance(part, dict)]
    return any(_loops(root, part, known, seen) for part in beside)


def _resolve(root: JsonSchema, reference: Any) -> JsonSchema | None:
    """The schema that a local reference (`#/definitions/a`) points to."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    place: Any = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            place = place[int(name)] if name.isdecimal() and int(name) < len(place) else None
        else:
            place = place.get(name) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else None
