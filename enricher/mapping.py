"""Tracker parameters → columns, from FIELDS plus the few special cases."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from enricher import values as v
from shared.event import FIELDS, INDEX, Field


class AtomicError(NamedTuple):
    """A column that cannot be what was sent. `path` is the parameter's name where parsing failed, else the column's."""

    path: str
    value: str | None
    message: str
    keyword: str = "atomic_field_parse_error"


class _Rule(NamedTuple):
    """convert: None for plain text. preferred: the parameter whose value wins where both came."""

    column: int
    convert: Callable[[str], v.Converted] | None
    preferred: str | None


class _Pair(NamedTuple):
    first: int
    second: int


_CONVERTERS: dict[str, Callable[[str], v.Converted] | None] = {
    "text": None,
    "int": v.integer,
    "decimal": v.decimal,
    "bool": v.boolean,
    "timestamp": v.timestamp,
    "uuid": v.uuid,
}
_SPECIAL: dict[str, Callable[[str], v.Converted]] = {"e": v.event_type, "p": v.platform, "ip": v.ip_address}


def _rules(field: Field) -> dict[str, _Rule]:
    convert = _CONVERTERS[field.kind]
    preferred, *others = field.params
    rules = {preferred: _Rule(INDEX[field.name], _SPECIAL.get(preferred, convert), None)}
    return rules | {other: _Rule(INDEX[field.name], convert, preferred) for other in others}


#: JSON columns are filled after validation.
_MAPPED = [field for field in FIELDS if field.params and field.kind != "json"]
_RULES = {name: rule for field in _MAPPED if field.part is None for name, rule in _rules(field).items()}
_PAIRS = {
    first.params[0]: _Pair(INDEX[first.name], INDEX[second.name])
    for first in _MAPPED
    if first.part == 0
    for second in _MAPPED
    if second.part == 1 and second.params == first.params
}


def apply(parameters: Mapping[str, str | None], values: list[str]) -> list[AtomicError]:
    """Fill the columns; every parameter that does not fit is reported and leaves its column as it was.

    A parameter without `=` is as good as absent, one with an empty text clears its column.
    """
    errors: list[AtomicError] = []
    for name, value in parameters.items():
        rule = _RULES.get(name)
        if value is None:
            continue
        if rule is None:
            if name in _PAIRS:
                _apply_pair(name, value, values, errors)
            continue
        column, convert, preferred = rule
        if convert is None:
            if preferred is None or parameters.get(preferred) is None:
                values[column] = value if value.isprintable() else v.tsv_safe(value)
            continue
        result = convert(value)
        if isinstance(result, v.Refused):
            errors.append(AtomicError(name, value, result.message))
        elif preferred is None or parameters.get(preferred) is None:
            values[column] = result
    return errors


def _apply_pair(name: str, value: str, values: list[str], errors: list[AtomicError]) -> None:
    first, second = _PAIRS[name]
    result = v.dimensions(value)
    if isinstance(result, v.Refused):
        errors.append(AtomicError(name, value, result.message))
    else:
        values[first], values[second] = result
