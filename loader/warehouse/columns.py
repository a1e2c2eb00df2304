"""Schema columns: where self-describing data goes, which type hints it gets, and what a batch needs changed.

One column per schema major: `contexts_<vendor>_<name>_<model>`, an array with one JSON document per entity, and
`unstruct_event_<vendor>_<name>_<model>`, one JSON document or NULL. A hint fixes the type of one path, so that it
can be grouped and compared without a cast; paths without hint keep whatever type a value has.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from loader.warehouse.contract import Column
from shared.schema import SchemaKey, column_suffix

Family = Literal["contexts", "unstruct_event"]

#: Path → ClickHouse type.
Hints = Mapping[str, str]

#: Schemas with more properties get no hints: every hint is a stored subcolumn.
MOST_HINTS = 100

#: Every entity and event carries the version it was sent with under this key.
VERSION_KEY = "_schema_version"

#: Beyond the cap of columns, data goes here: one JSON document per row, keyed by column suffix.
CATCH_ALL: dict[Family, Column] = {
    "contexts": Column("contexts", "JSON(max_dynamic_paths=0)"),
    "unstruct_event": Column("unstruct_event", "Nullable(JSON(max_dynamic_paths=0))"),
}

_SCALARS = {"string": "String", "integer": "Int64", "number": "Float64", "boolean": "Bool"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)  # a hundred longer ones would be no statement
_HINT = re.compile(r"(?:`(?P<quoted>[^`]+)`|(?P<bare>\w+)) (?P<type>Nullable\(\w+\))(?:, |\)|$)", re.ASCII)
_LARGEST, _SMALLEST = 2**63 - 1, -(2**63)


class SchemaColumn(NamedTuple):
    """The column of one schema major."""

    family: Family
    suffix: str

    @property
    def name(self) -> str:
        return f"{self.family}_{self.suffix}"

    @classmethod
    def of(cls, family: Family, key: SchemaKey) -> "SchemaColumn":
        return cls(family, column_suffix(key.vendor, key.name, key.model))


class Plan(NamedTuple):
    """What a table needs before a batch can go in.

    add: columns to create. drop: (column, path) of hints that a version of the schema
    contradicts. catch_all: columns that are beyond the cap; their data goes to the CATCH_ALL columns.
    """

    add: tuple[Column, ...]
    drop: tuple[tuple[str, str], ...]
    catch_all: frozenset[SchemaColumn]


def plan(
    existing: Mapping[str, str], wanted: Mapping[SchemaColumn, Sequence[Mapping[str, Any]]], most_columns: int
) -> Plan:
    """Compare a table with the schemas of a batch.

    existing: name → type of the table's columns. wanted: the batch's columns with the schema documents of all known
    versions of that major (none: no hints). most_columns: cap on schema columns in the table.
    """
    missing = sorted(column for column in wanted if column.name not in existing)
    free = max(0, most_columns - sum(map(is_schema_column, existing)))
    fitting, beyond = missing[:free], missing[free:]
    add = [Column(column.name, column_type(column.family, hints(wanted[column]))) for column in fitting]
    add += [catch_all for family, catch_all in CATCH_ALL.items() if _needed(family, beyond, existing)]
    drop = [
        (column.name, path)
        for column, documents in sorted(wanted.items())
        if column.name in existing
        for path in contradicted(hints_of(existing[column.name]), documents)
    ]
    return Plan(tuple(add), tuple(drop), frozenset(beyond))


def _needed(family: Family, beyond: Iterable[SchemaColumn], existing: Mapping[str, str]) -> bool:
    return CATCH_ALL[family].name not in existing and any(column.family == family for column in beyond)


def is_schema_column(name: str) -> bool:
    """Whether a column of the events table holds the data of one schema."""
    return name.startswith(("contexts_", "unstruct_event_"))


def hints(documents: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The paths whose type is the same, and one scalar, in all versions; none where there are too many."""
    documents = list(documents)
    names = {name for document in documents for name in _properties(document)}
    if not documents or len(names) > MOST_HINTS:
        return {}
    types = {name: _type(name, documents) for name in sorted(names)}
    found = {name: hint for name, hint in types.items() if hint is not None}
    return {VERSION_KEY: "Nullable(String)", **found}


def contradicted(existing: Hints, documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hinted paths that some version declares otherwise: its values would be refused or, worse, coerced."""
    return [
        path
        for path, hint in existing.items()
        if any(path in _properties(document) for document in documents) and _type(path, documents) != hint
    ]


def _properties(document: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = document.get("properties")
    return properties if isinstance(properties, dict) else {}


def _type(name: str, documents: Iterable[Mapping[str, Any]]) -> str | None:
    declared = {_scalar(_properties(document)[name]) for document in documents if name in _properties(document)}
    scalar = declared.pop() if len(declared) == 1 else None
    return f"Nullable({scalar})" if scalar and _NAME.fullmatch(name) else None


def _scalar(schema: Any) -> str | None:
    """ClickHouse type of a property with exactly one scalar type beside null; None where it has another or none."""
    if not isinstance(schema, dict):
        return None
    declared = schema.get("type")
    names = {declared} if isinstance(declared, str) else set(declared) if isinstance(declared, list) else set()
    names -= {"null"}
    scalar = _SCALARS.get(names.pop()) if len(names) == 1 else None
    return None if scalar == "Int64" and not _fits(schema) else scalar


def _fits(schema: Mapping[str, Any]) -> bool:
    bounds = [schema.get("minimum", 0), schema.get("maximum", 0)]
    return all(not isinstance(bound, (int, float)) or _SMALLEST <= bound <= _LARGEST for bound in bounds)


def column_type(family: Family, hints: Hints) -> str:
    """The type of a schema column with these hints, as DDL."""
    inner = ", ".join([*(f"`{path}` {hint}" for path, hint in hints.items()), "max_dynamic_paths=0"])
    return f"Array(JSON({inner}))" if family == "contexts" else f"Nullable(JSON({inner}))"


def hints_of(column_type: str) -> dict[str, str]:
    """The hints in a type as `system.columns` writes it."""
    inner = column_type.partition("JSON(")[2]
    return {match["quoted"] or match["bare"]: match["type"] for match in _HINT.finditer(inner)}


def without_hint(name: str, column_type_: str, path: str) -> str:
    """The type of column `name` with one hint less."""
    kept = {hinted: hint for hinted, hint in hints_of(column_type_).items() if hinted != path}
    return column_type("contexts" if name.startswith("contexts") else "unstruct_event", kept)
