"""Rows of a database as entities: how many may come, and what becomes of labels and values."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NoReturn

from pydantic import Field

from enricher.enrichments.contract import Entity
from enricher.enrichments.parts.parameters import IgluUri, Parameters


class JsonOutput(Parameters):
    schema_: IgluUri = Field(alias="schema")
    """Iglu URI of the entity that is attached."""
    describes: Literal["ALL_ROWS", "EVERY_ROW"]
    """One entity for all rows, or one for each."""
    property_names: Literal["AS_IS", "CAMEL_CASE", "PASCAL_CASE", "SNAKE_CASE", "LOWER_CASE", "UPPER_CASE"] = Field(
        alias="propertyNames"
    )
    """How column labels become property names."""


Expected = Literal["EXACTLY_ONE", "AT_MOST_ONE", "AT_LEAST_ONE", "AT_LEAST_ZERO"]


class Output(Parameters):
    expected_rows: Expected = Field(alias="expectedRows")
    """How many rows are right; another number is a failure."""
    json_: JsonOutput = Field(alias="json")
    """What is attached."""


def miscounted(expected: Expected, count: int) -> str | None:
    """Why this number of rows is wrong, None where it is right."""
    wrong = {
        "EXACTLY_ONE": count != 1 and "exactly one row was expected",
        "AT_MOST_ONE": count > 1 and "at most one row was expected",
        "AT_LEAST_ONE": count < 1 and "at least one row was expected. 0 given instead",
        "AT_LEAST_ZERO": False,
    }[expected]
    return f"SQL Query Enrichment: {wrong}" if wrong else None


def contexts(output: Output, rows: Sequence[Mapping[str, Any]]) -> list[Entity]:
    """The entities of rows whose number is right."""
    rename = RENAMES[output.json_.property_names]
    objects = [{rename(label): value(cell) for label, cell in row.items()} for row in rows]
    if output.json_.describes == "ALL_ROWS" and output.expected_rows in ("AT_LEAST_ONE", "AT_LEAST_ZERO"):
        return [Entity(output.json_.schema_, objects)]
    return [Entity(output.json_.schema_, one) for one in objects]


def value(cell: Any) -> Any:
    """A database value as JSON; what JSON has no type for is read as JSON where its text is that."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if cell is None or isinstance(cell, bool | int | float | str | dict):
        return cell
    if isinstance(cell, list):
        return [value(item) for item in cell]
    if isinstance(cell, datetime):
        return cell.isoformat()
    if isinstance(cell, date):
        return f"{cell.isoformat()}T00:00:00.000Z"
    return parsed(cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell))


def parsed(text: str) -> Any:
    """NaN and its like are no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _camel(label: str) -> str:
    return re.sub(r"_([a-z\d])", lambda found: found[1].upper(), label)


def _pascal(label: str) -> str:
    camel = _camel(label)
    return camel[:1].upper() + camel[1:]


def _snake(label: str) -> str:
    return re.sub(r"[A-Z\d]", lambda found: f"_{found[0].lower()}", label)


#: How a column label becomes a property name.
RENAMES: dict[str, Callable[[str], str]] = {
    "AS_IS": str,
    "CAMEL_CASE": _camel,
    "PASCAL_CASE": _pascal,
    "SNAKE_CASE": _snake,
    "LOWER_CASE": str.lower,
    "UPPER_CASE": str.upper,
}
