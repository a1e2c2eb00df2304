"""Texts of query strings and forms as JSON values, for senders whose schemas want more than texts."""

import re
from datetime import datetime
from typing import Literal

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_LONGEST_INTEGER = 400
#: Letters of Joda's date patterns that senders' formats consist of.
_DATE_PARTS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}

JsonValue = str | int | bool | None


def json_value(text: str | None, kind: Literal["bool", "int"] | None = None, date: str | None = None) -> JsonValue:
    """Empty is null; what does not convert stays a text. date: pattern such as `yyyy-MM-dd`, in UTC."""
    if not text:
        return None
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "int" and _INTEGER.fullmatch(text) and len(text) < _LONGEST_INTEGER:
        return int(text)
    return text if date is None else iso_date(text, date)


def iso_date(text: str, pattern: str) -> str:
    """`2020-09-02` becomes `2020-09-02T00:00:00.000Z`."""
    form = re.sub("|".join(_DATE_PARTS), lambda match: _DATE_PARTS[match[0]], pattern)
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - it is UTC by definition and printed so
    except ValueError:
        return text
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
