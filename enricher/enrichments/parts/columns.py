"""Columns as scripts see and set them: numbers where the column is one, texts elsewhere."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from enricher.values import tsv_safe, uuid
from shared.event import KINDS, Kind

_INT = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_LARGEST = 2**31 - 1
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
    if column not in KINDS:
        raise ValueError(f"there is no column {column}")
    if value is None:
        return ""
    kind = KINDS[column]
    if kind == "bool":
        return _bool(column, value)
    if kind == "json":
        raise ValueError(f"{column}: entities can't be set as a text")
    text = _text(column, value)
    if kind == "timestamp":
        return _moment(column, text)
    fits, expected = _RULES.get(column) or _RULES.get(kind, _ANYTHING)
    if not fits(text):
        raise ValueError(f"{column}: {text} is not {expected}")
    return text


def _is_integer(text: str) -> bool:
    return bool(_INT.fullmatch(text)) and -_LARGEST - 1 <= int(text) <= _LARGEST


#: Kind of a column, or a single column → what its texts must be. Session ids are the tracker's to choose.
_RULES: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "int": (_is_integer, "an integer of 32 bits"),
    "decimal": (_DECIMAL.fullmatch, "a number"),
    "float": (_DECIMAL.fullmatch, "a number"),
    "event_id": (lambda text: isinstance(uuid(text), str), "a UUID"),
}
_ANYTHING: tuple[Callable[[str], Any], str] = (lambda _: True, "")


def _moment(column: str, text: str) -> str:
    """`yyyy-MM-dd HH:mm:ss.SSS` in UTC of any way to write a time that ISO 8601 knows."""
    try:
        moment = datetime.fromisoformat(text)
        at = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{column}: {text} is not a time") from error
    return at.isoformat(" ", "milliseconds")


def _bool(column: str, value: Any) -> str:
    if value not in (True, False, "1", "0"):
        raise ValueError(f"{column}: {value} is neither 1 nor 0")
    return str(int(value))


def _text(column: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | Decimal):
        return tsv_safe(str(value))
    raise ValueError(f"{column}: a column holds a text or a number, not {type(value).__name__}")
