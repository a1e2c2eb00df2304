"""Tracker parameters → columns, from FIELDS plus the few special cases."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from enricher import values as v
from shared.event import FIELDS, INDEX, Field


class AtomicError(NamedTuple):
    """A column that cannot be what was sent. `path` is the parameter's name where parsing failed, else the column's."""

    path: str
    value: str | None
    message: str
    keyword: str = "atomic_field_parse_error"


@dataclass(slots=True, init=False)
class _Rule:
    """convert: None for plain text. preferred: the parameter whose value wins where both came."""

    column: int
    convert: Callable[[str], v.Converted] | None
    preferred: str | None

    def __init__(self, column: int, convert: Callable[[str], v.Converted] | None, preferred: str | None) -> None:
        self.column = column
        self.convert = convert
        self.preferred = preferred


class _Pair(NamedTuple):
    first: int
    second: int


_CONVERTERS: Final[dict[str, Callable[[str], v.Converted] | None]] = {
    "text": None,
    "int": v.integer,
    "decimal": v.decimal,
    "bool": v.boolean,
    "timestamp": v.timestamp,
    "uuid": v.uuid,
}
_SPECIAL: Final[dict[str, Callable[[str], v.Converted]]] = {"e": v.event_type, "p": v.platform, "ip": v.ip_address}


def _rules(field: Field) -> dict[str, _Rule]:
    convert = _CONVERTERS[field.kind]
    preferred, *others = field.params
    rules = {preferred: _Rule(INDEX[field.name], _SPECIAL.get(preferred, convert), None)}
    return rules | {other: _Rule(INDEX[field.name], convert, preferred) for other in others}


#: JSON columns are filled after validation.
_MAPPED: Final = [field for field in FIELDS if field.params and field.kind != "json"]
_RULES: Final = {name: rule for field in _MAPPED if field.part is None for name, rule in _rules(field).items()}
_PAIRS: Final = {
    first.params[0]: _Pair(INDEX[first.name], INDEX[second.name])
    for first in _MAPPED
    if first.part == 0
    for second in _MAPPED
    if second.part == 1 and second.params == first.params
}


def apply(parameters: dict[str, str | None], values: list[str]) -> list[AtomicError]:
    """Fill the columns; every parameter that does not fit is reported and leaves its column as it was.

    A parameter without `=` is as good as absent, one with an empty text clears its column.
    """
    errors: list[AtomicError] = []
    rules = _RULES
    for name, value in parameters.items():
        if value is None:
            continue
        rule = rules.get(name)
        if rule is None:
            if name in _PAIRS:
                _apply_pair(name, value, values, errors)
            continue
        convert, preferred = rule.convert, rule.preferred
        result = v.tsv_safe(value) if convert is None else convert(value)
        if isinstance(result, v.Refused):
            errors.append(AtomicError(name, value, result.message))
        elif preferred is None or parameters.get(preferred) is None:
            values[rule.column] = result
    return errors


def _apply_pair(name: str, value: str, values: list[str], errors: list[AtomicError]) -> None:
    first, second = _PAIRS[name]
    result = v.dimensions(value)
    if isinstance(result, v.Refused):
        errors.append(AtomicError(name, value, result.message))
    else:
        values[first], values[second] = result
