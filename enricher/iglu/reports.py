"""jsonschema's errors in the words, paths and targets of the validator inside Snowplow's Iglu client.

One jsonschema error may be several reports there (properties that are additional or missing); what is reported about
`anyOf` and `oneOf` are the violations of their branches.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Any, Final, NamedTuple

from jsonschema.exceptions import ValidationError

from enricher.iglu.contract import Report
from enricher.iglu.formats import PATTERNS, QUOTED
from enricher.iglu.prepare import AS_WRITTEN, compact

TOO_DEEP: Final = Report("Maximum allowed JSON depth exceeded", "/", None, ())
TOO_LONG: Final = Report("Maximum allowed number length exceeded", "/", None, ())

#: Reports of one instance: a body of a hundred thousand wrong items costs no more than this.
MOST_REPORTS: Final = 1_000

_BOUNDS: Final = {
    "maximum": "must have a maximum value of {}",
    "minimum": "must have a minimum value of {}",
    "maxLength": "may only be {} characters long",
    "minLength": "must be at least {} characters long",
    "maxItems": "there must be a maximum of {} items in the array",
    "minItems": "there must be a minimum of {} items in the array",
    "maxProperties": "may only have a maximum of {} properties",
    "minProperties": "should have a minimum of {} properties",
}


class Fault(NamedTuple):
    """What is read of an error. instance: the part that violates `keyword` of `schema`. value: of the keyword."""

    keyword: str
    path: str
    value: Any
    instance: Any
    schema: Any
    message: str
    context: list[ValidationError]


def translate(errors: Iterable[ValidationError], patterns: dict[str, str]) -> tuple[Report, ...]:
    """In the order of the errors; what two branches complain about is told twice. `patterns`: translated pattern → as
    its author wrote it."""
    found: list[Report] = []
    for error in errors:
        found += _reports(error, patterns)
        if len(found) >= MOST_REPORTS:
            break
    return tuple(found[:MOST_REPORTS])


def _reports(error: ValidationError, patterns: dict[str, str]) -> Iterator[Report]:
    keyword, value = str(error.validator), error.validator_value
    path = path_text(error.absolute_path)
    context = list(error.context or ())
    return told(Fault(keyword, path, value, error.instance, error.schema, error.message, context), patterns)


def told(fault: Fault, patterns: dict[str, str]) -> Iterator[Report]:
    """One fault in the words of Snowplow's validator. `patterns`: as for `translate`."""
    keyword, path, value = fault.keyword, fault.path, fault.value
    if keyword in _BRANCHES:
        yield from _BRANCHES[keyword](fault, patterns)
    elif keyword in _BOUNDS:
        yield _report(path, keyword, _BOUNDS[keyword], str(value))
    elif keyword == "pattern":
        yield _report(path, keyword, "does not match the regex pattern {}", patterns.get(str(value), str(value)))
    else:
        yield from _OTHERS.get(keyword, _unknown)(fault)


def _report(path: str, keyword: str, text: str, *targets: str) -> Report:
    return Report(f"{path}: {text.format(*targets)}", path, keyword, targets)


def path_text(steps: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _type(fault: Fault) -> Iterator[Report]:
    wanted, found = fault.value, _type_name(fault.instance)
    if isinstance(wanted, str):
        yield _report(fault.path, "type", "{} found, {} expected", found, wanted)
    else:
        listed = f"[{', '.join(map(str, wanted))}]"
        yield _report(fault.path, "unionType", "{} found, but {} is required", found, listed)


def _type_name(value: Any) -> str:
    names: dict[type, str] = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}
    if isinstance(value, float):
        return "number" if isfinite(value) else "unknown"
    return "null" if value is None else names.get(type(value), "unknown")


def _required(fault: Fault) -> Iterator[Report]:
    for name in fault.value:
        if name not in fault.instance:
            yield Report(f"{fault.path}.{name}: is missing but it is required", fault.path, "required", (name,))


def _additional_properties(fault: Fault) -> Iterator[Report]:
    text = "is not defined in the schema and the schema does not allow additional properties"
    for name in additional(fault.instance, fault.schema):
        yield Report(f"{fault.path}.{name}: {text}", fault.path, "additionalProperties", (name,))


def additional(instance: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Names that the schema says nothing about, in the order of the instance."""
    known, patterns = schema.get("properties", {}), "|".join(schema.get("patternProperties", {}))
    return [name for name in instance if name not in known and not (patterns and re.search(patterns, name))]


def _additional_items(fault: Fault) -> Iterator[Report]:
    for index in range(len(fault.schema.get("items", [])), len(fault.instance)):
        yield Report(f"{fault.path}[{index}]: no validator found at this index", fault.path, "items", (str(index),))


def _enum(fault: Fault) -> Iterator[Report]:
    values = ", ".join(_plain(value) for value in fault.value)
    yield _report(fault.path, "enum", "does not have a value in the enumeration {}", f"[{values}]")


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if isinstance(value, (dict, list)) else json.dumps(value)


def _format(fault: Fault) -> Iterator[Report]:
    name = fault.value
    if name in ("date", "date-time"):
        yield _report(fault.path, "dateTime", "{} is an invalid {}", fault.instance, name)
    elif name == "uuid":
        yield _report(fault.path, "uuid", "{} is an invalid {}", fault.instance, name)
    elif name == "email":  # upstream mixes the two up
        yield _report(fault.path, "format", "does not match the {} pattern {}", fault.instance, name)
    else:
        pattern = QUOTED.get(name) or PATTERNS.get(name, name)
        yield _report(fault.path, "format", "does not match the {} pattern {}", name, pattern)


def _multiple_of(fault: Fault) -> Iterator[Report]:
    yield _report(fault.path, "multipleOf", "must be multiple of {}", repr(float(fault.value)))


def _unique_items(fault: Fault) -> Iterator[Report]:
    yield _report(fault.path, "uniqueItems", "the items in the array must be unique")


def _not(fault: Fault) -> Iterator[Report]:
    yield _report(
        fault.path, "not", "should not be valid to the schema {}", f'"not" : {fault.schema[AS_WRITTEN]["not"]}'
    )


def _dependencies(fault: Fault) -> Iterator[Report]:
    pairs = ", ".join(f"{name}={_members(needs)}" for name, needs in fault.value.items())
    yield _report(fault.path, "dependencies", "has an error with dependencies {}", f"{{{pairs}}}")


def _members(needs: Any) -> str:
    return f"[{', '.join(needs)}]" if isinstance(needs, list) else compact(needs)


def _unknown(fault: Fault) -> Iterator[Report]:
    yield Report(f"{fault.path}: {fault.message}", fault.path, fault.keyword, ())


def _any_of(fault: Fault, patterns: dict[str, str]) -> Iterator[Report]:
    for branch in _by_branch(fault):
        yield from translate(branch, patterns)


def _one_of(fault: Fault, patterns: dict[str, str]) -> Iterator[Report]:
    branches = _by_branch(fault)
    if not branches:
        text = "should be valid to one and only one of schema, but more than one are valid: {}"
        yield _report(fault.path, "oneOf", text, fault.schema[AS_WRITTEN]["oneOf"])
        return
    found = [report for branch in branches for report in translate(_looked_at(branch), patterns)]
    for telling_little in ("required", "additionalProperties"):
        found = [report for report in found if report.keyword != telling_little] or found
    yield from found


def _looked_at(branch: list[ValidationError]) -> list[ValidationError]:
    """Upstream does not look into the properties of a branch of `oneOf` that misses one of them."""
    passed_over = {(*_place(error), "properties") for error in branch if _misses_a_property(error)}
    return [error for error in branch if not any(_place(error)[: len(place)] == place for place in passed_over)]


def _place(error: ValidationError) -> tuple[str | int, ...]:
    """Of the keyword's schema, below the keyword that has the branches."""
    return tuple(error.relative_schema_path)[:-1]


def _misses_a_property(error: ValidationError) -> bool:
    if error.validator != "required" or error.relative_path:
        return False
    schema: Any = error.schema
    known = schema.get("properties", {})
    instance: Any = error.instance
    return any(name in known and name not in instance for name in schema["required"])


def _by_branch(fault: Fault) -> list[list[ValidationError]]:
    branches: dict[Any, list[ValidationError]] = {}
    for error in fault.context:
        branches.setdefault(error.relative_schema_path[0], []).append(error)
    return list(branches.values())


_BRANCHES: Final[dict[str, Callable[[Fault, dict[str, str]], Iterator[Report]]]] = {
    "anyOf": _any_of,
    "oneOf": _one_of,
}
_OTHERS: Final[dict[str, Callable[[Fault], Iterator[Report]]]] = {
    "type": _type,
    "required": _required,
    "additionalProperties": _additional_properties,
    "additionalItems": _additional_items,
    "enum": _enum,
    "format": _format,
    "multipleOf": _multiple_of,
    "uniqueItems": _unique_items,
    "not": _not,
    "dependencies": _dependencies,
}
