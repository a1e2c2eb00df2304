"""Which complaints are the fast engine's. That they are jsonschema's as well: test_differential.py."""

from typing import Any

import jsonschema_rs
import pytest

from enricher.iglu.complaint import certain_reports
from enricher.iglu.prepare import prepare

SCHEMA = {
    "type": "object",
    "properties": {
        "z": {"type": "string", "maxLength": 2},
        "a": {"type": "object", "properties": {"b": {"type": "integer", "minimum": 0}}, "additionalProperties": False},
        "list": {"type": "array", "items": {"type": "string"}},
        "when": {"type": "string", "format": "date-time"},
        "named": {"patternProperties": {"^x": {}}, "additionalProperties": False},
        "other": {"$ref": "#/properties/z"},
    },
    "required": ["z", "y"],
}


def complaints(instance: Any) -> list[str] | None:
    prepared = prepare(SCHEMA)
    assert prepared.fast is not None
    found = certain_reports(jsonschema_rs.Draft4Validator(prepared.fast), prepared.record, instance)
    return None if found is None else [report.message for report in found]


def test_they_come_in_the_order_of_the_schema_properties_first() -> None:
    assert complaints({"c": 1, "a": {"b": -1, "c": 1, "d": 2}, "z": "long"}) == [
        "$.z: may only be 2 characters long",
        "$.a.b: must have a minimum value of 0",
        "$.a.c: is not defined in the schema and the schema does not allow additional properties",
        "$.a.d: is not defined in the schema and the schema does not allow additional properties",
        "$.y: is missing but it is required",
    ]


def test_each_is_told_once() -> None:
    assert complaints({}) == ["$.z: is missing but it is required", "$.y: is missing but it is required"]


@pytest.mark.parametrize("other", [{"list": [1]}, {"when": "soon"}, {"named": {"a": 1}}, {"other": 1}], ids=str)
def test_one_that_is_not_certain_leaves_all_to_jsonschema(other: dict[str, Any]) -> None:
    assert complaints({"z": "z"}) is not None
    assert complaints({"z": "z", **other}) is None
