"""Envelopes told valid by hand: arrays of flat objects of texts and anything, as both tracker envelopes are.

The fast engine copies an instance before it looks at it, and of an envelope most is data that it has no say in.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from enricher.remembered import remembered

_ANY: Final = 0
_TEXT: Final = 1
_MATCHING: Final = 2

_ARRAY_KEYWORDS: Final = frozenset(("type", "items", "minItems"))
_ROW_KEYWORDS: Final = frozenset(("type", "properties", "required", "additionalProperties"))
_TEXT_KEYWORDS: Final = frozenset(("type", "pattern"))
_REMEMBERED: Final = 4_096


class Rows:
    """members: what may be in a row, of which kind. least: number of rows. otherwise: who else may say valid."""

    def __init__(
        self,
        members: dict[str, int],
        patterns: dict[str, Callable[[str], bool]],
        required: Sequence[str],
        least: int,
        otherwise: Callable[[Any], bool],
    ) -> None:
        self._members: Final = members
        self._patterns: Final = patterns
        self._required: Final = list(required)
        self._least: Final = least
        self._otherwise: Final = otherwise

    def is_valid(self, instance: Any) -> bool:
        return self._is_plainly_valid(instance) or self._otherwise(instance)

    def _is_plainly_valid(self, instance: Any) -> bool:
        if not isinstance(instance, list) or len(instance) < self._least:
            return False
        return all(isinstance(row, dict) and self._is_row(row) for row in instance)

    def _is_row(self, row: dict[str, Any]) -> bool:
        members = self._members
        for name, value in row.items():
            kind = members.get(name)
            if kind is None:
                return False
            if kind != _ANY and not isinstance(value, str):
                return False
            if kind == _MATCHING and not self._patterns[name](value):
                return False
        return all(name in row for name in self._required)


def rows(schema: dict[str, Any], otherwise: Callable[[Any], bool]) -> Callable[[Any], bool] | None:
    """Whether an instance is valid, as `otherwise` or sooner; None for a schema of another form.

    schema: as jsonschema judges by it, its patterns in Python's syntax.
    """
    row = schema.get("items")
    if schema.get("type") != "array" or not _ARRAY_KEYWORDS.issuperset(schema) or not isinstance(row, dict):
        return None
    properties = row.get("properties", {})
    kinds = {name: _kind(part) for name, part in properties.items()}
    closed = row.get("additionalProperties") is False and _ROW_KEYWORDS.issuperset(row)
    if row.get("type") != "object" or not closed or None in kinds.values():
        return None
    members = {name: kind for name, kind in kinds.items() if kind is not None}
    patterns = {name: _matcher(properties[name]["pattern"]) for name, kind in members.items() if kind == _MATCHING}
    return Rows(members, patterns, row.get("required", ()), schema.get("minItems", 0), otherwise).is_valid


def _kind(part: dict[str, Any]) -> int | None:
    if not part:
        return _ANY
    if part.get("type") != "string" or not _TEXT_KEYWORDS.issuperset(part):
        return None
    return _MATCHING if "pattern" in part else _TEXT


def _matcher(pattern: str) -> Callable[[str], bool]:
    """The same few URIs come again and again."""
    search = re.compile(pattern).search
    return remembered(_REMEMBERED)(lambda text: search(text) is not None)
