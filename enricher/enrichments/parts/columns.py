"""Columns as scripts see and set them: numbers where the column is one, texts elsewhere."""

import re
from typing import Any

from enricher.enrichments.parts.text import tsv_safe
from shared.event import FIELDS, INDEX, Kind

_KINDS: dict[str, Kind] = {field.name: field.kind for field in FIELDS}
_INT = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def typed(kind: Kind, text: str) -> Any:
    """A column's text as a script sees it. Decimals are numbers too: exact digits stay in the column."""
    try:
        if kind in ("int", "bool"):
            return int(text)
        return float(text) if kind in ("decimal", "float") else text
    except ValueError:
        return text


def written(column: str, value: Any) -> str:
    """A script's value as the column's text, None as null. Raises ValueError where it does not fit the column."""
    if column not in INDEX:
        raise ValueError(f"there is no column {column}")
    if value is None:
        return ""
    kind = _KINDS[column]
    if kind == "bool":
        return _bool(column, value)
    text = _text(column, value)
    if kind == "int" and not _INT.fullmatch(text):
        raise ValueError(f"{column}: {text} is not an integer")
    if kind in ("decimal", "float") and not _DECIMAL.fullmatch(text):
        raise ValueError(f"{column}: {text} is not a number")
    return text


def _bool(column: str, value: Any) -> str:
    if value not in (True, False, "1", "0"):
        raise ValueError(f"{column}: {value} is neither 1 nor 0")
    return str(int(value))


def _text(column: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return tsv_safe(str(value))
    raise ValueError(f"{column}: a column holds a text or a number, not {type(value).__name__}")
