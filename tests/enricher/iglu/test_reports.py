"""Violations in the words, paths and targets of Snowplow's validator."""

from typing import Any

import pytest

from enricher.iglu.compiled import compile_schema
from enricher.iglu.contract import InvalidSchema
from enricher.iglu.engine import CompiledSchema
from enricher.iglu.reports import MOST_REPORTS
from shared.schema import SchemaKey
from tests.growth import grows_with_size

KEY = SchemaKey("com.acme", "cart", "jsonschema", "1-0-0")


def schema(document: dict[str, Any], **options: Any) -> CompiledSchema:
    compiled = compile_schema(KEY, document, **options)
    assert not isinstance(compiled, InvalidSchema)
    return compiled


def reports(document: dict[str, Any], instance: Any) -> list[tuple[str, str, str | None, tuple[str, ...]]]:
    return [report[:] for report in schema(document).reports(instance)]


def of(part: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}}


CASES: list[tuple[dict[str, Any], Any, str, str, tuple[str, ...]]] = [
    ({"type": "string"}, 1, "integer found, string expected", "type", ("integer", "string")),
    (
        {"type": ["string", "null"]},
        1.5,
        "number found, but [string, null] is required",
        "unionType",
        ("number", "[string, null]"),
    ),
    ({"type": "integer"}, 1.0, "number found, integer expected", "type", ("number", "integer")),
    ({"type": "number"}, True, "boolean found, number expected", "type", ("boolean", "number")),
    ({"type": "array"}, {}, "object found, array expected", "type", ("object", "array")),
    ({"type": "number"}, float("inf"), "unknown found, number expected", "type", ("unknown", "number")),
    ({"enum": ["x", 1, None]}, "y", "does not have a value in the enumeration [x, 1, null]", "enum", ("[x, 1, null]",)),
    ({"maxLength": 2}, "abc", "may only be 2 characters long", "maxLength", ("2",)),
    ({"minLength": 2}, "a", "must be at least 2 characters long", "minLength", ("2",)),
    ({"maximum": 5}, 6, "must have a maximum value of 5", "maximum", ("5",)),
    ({"minimum": 0.5}, 0, "must have a minimum value of 0.5", "minimum", ("0.5",)),
    ({"pattern": r"^\d+$"}, "x", r"does not match the regex pattern ^\d+$", "pattern", (r"^\d+$",)),
    ({"format": "uuid"}, "x", "x is an invalid uuid", "uuid", ("x", "uuid")),
    ({"format": "date-time"}, "x", "x is an invalid date-time", "dateTime", ("x", "date-time")),
    ({"format": "email"}, "x", "does not match the x pattern email", "format", ("x", "email")),
    ({"format": "alpha"}, "1", "does not match the alpha pattern ^[a-zA-Z]+$", "format", ("alpha", "^[a-zA-Z]+$")),
    ({"minItems": 1}, [], "there must be a minimum of 1 items in the array", "minItems", ("1",)),
    ({"maxItems": 1}, [1, 2], "there must be a maximum of 1 items in the array", "maxItems", ("1",)),
    ({"minProperties": 1}, {}, "should have a minimum of 1 properties", "minProperties", ("1",)),
    ({"multipleOf": 0.01}, 0.005, "must be multiple of 0.01", "multipleOf", ("0.01",)),
    ({"uniqueItems": True}, [1, 1], "the items in the array must be unique", "uniqueItems", ()),
    (
        {"not": {"type": "null"}},
        None,
        'should not be valid to the schema "not" : {"type":"null"}',
        "not",
        ('"not" : {"type":"null"}',),
    ),
    (
        {"not": {"type": "string", "description": "of any kind", "enum": ["x", "é"]}},
        "x",
        'should not be valid to the schema "not" : {"type":"string","description":"of any kind","enum":["x","é"]}',
        "not",
        ('"not" : {"type":"string","description":"of any kind","enum":["x","é"]}',),
    ),
    (
        {"anyOf": [{"type": "string"}]},
        1,
        "integer found, string expected",
        "type",
        ("integer", "string"),
    ),
]


@pytest.mark.parametrize(("part", "value", "message", "keyword", "targets"), CASES)
def test_a_violation_reads_as_it_does_upstream(
    part: dict[str, Any], value: Any, message: str, keyword: str, targets: tuple[str, ...]
) -> None:
    assert reports(of(part), {"a": value}) == [(f"$.a: {message}", "$.a", keyword, targets)]


def test_an_approximate_format_names_its_pattern() -> None:
    [(message, path, keyword, targets)] = reports(of({"format": "hostname"}), {"a": "-"})
    assert (path, keyword, targets[0]) == ("$.a", "format", "hostname")
    assert message == f"$.a: does not match the hostname pattern {targets[1]}"


def test_missing_and_additional_properties_are_reported_one_by_one_with_the_path_of_their_object() -> None:
    part = {"type": "object", "properties": {"x": {}}, "required": ["x", "y"], "additionalProperties": False}
    document = {"type": "array", "items": part}
    assert reports(document, [{"x": 1, "y": 2}, {"z": 1, "w": 2}]) == [
        (
            "$[0].y: is not defined in the schema and the schema does not allow additional properties",
            "$[0]",
            "additionalProperties",
            ("y",),
        ),
        (
            "$[1].z: is not defined in the schema and the schema does not allow additional properties",
            "$[1]",
            "additionalProperties",
            ("z",),
        ),
        (
            "$[1].w: is not defined in the schema and the schema does not allow additional properties",
            "$[1]",
            "additionalProperties",
            ("w",),
        ),
        ("$[1].x: is missing but it is required", "$[1]", "required", ("x",)),
        ("$[1].y: is missing but it is required", "$[1]", "required", ("y",)),
    ]


def test_violations_of_properties_come_first_then_keywords_by_name() -> None:
    document = {"required": ["b"], "minProperties": 3, "properties": {"a": {"type": "null"}}, "maxProperties": 0}
    assert [report[2] for report in reports(document, {"a": 1})] == [
        "type",
        "maxProperties",
        "minProperties",
        "required",
    ]


def test_the_violations_of_the_branches_stand_for_one_of() -> None:
    branches = [{"required": ["x"], "additionalProperties": False}, {"properties": {"a": {"type": "null"}}}]
    assert [report[2] for report in reports({"oneOf": branches}, {"a": 1})] == ["type"]


@pytest.mark.parametrize(
    ("branch", "instance", "keywords"),
    [
        ({"required": ["x"]}, {}, ["required"]),
        ({"properties": {}, "additionalProperties": False}, {"a": 1}, ["additionalProperties"]),
        ({"required": ["x"], "additionalProperties": False}, {"a": 1}, ["additionalProperties"]),
        ({"required": ["x"], "type": "null"}, {}, ["type"]),
    ],
)
def test_what_is_missing_or_additional_in_one_of_counts_where_nothing_else_is_wrong(
    branch: dict[str, Any], instance: Any, keywords: list[str]
) -> None:
    assert [report[2] for report in reports({"oneOf": [branch]}, instance)] == keywords


PERSON = {"properties": {"name": {"type": "string"}, "born": {"properties": {"year": {}}, "required": ["year"]}}}


@pytest.mark.parametrize(
    ("required", "instance", "keywords"),
    [
        (["born"], {"name": 1}, ["required"]),
        (["elsewhere"], {"name": 1}, ["type"]),
        (["name"], {"name": 1, "born": {}}, ["type"]),
        ([], {"name": 1}, ["type"]),
    ],
)
def test_properties_are_not_looked_into_where_one_of_has_a_branch_that_misses_one(
    required: list[str], instance: Any, keywords: list[str]
) -> None:
    branch = {**PERSON, "required": required} if required else PERSON
    assert [report[2] for report in reports({"oneOf": [branch]}, instance)] == keywords
    referring = {"definitions": {"person": branch}, "oneOf": [{"$ref": "#/definitions/person"}]}
    assert [report[2] for report in reports(referring, instance)] == keywords
    assert "type" in [report[2] for report in reports({"anyOf": [branch]}, instance)]


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_what_two_branches_complain_about_is_told_twice(keyword: str) -> None:
    branches = [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["a", "b"]}]
    assert [report[3] for report in reports({keyword: branches}, {})] == [("a",), ("a",), ("b",)]


def test_one_of_with_two_valid_branches_names_them() -> None:
    [(message, path, keyword, _)] = reports({"oneOf": [{"title": "a", "minimum": 1}, {"maximum": 9}]}, 5)
    text = "should be valid to one and only one of schema, but more than one are valid"
    assert message == f'$: {text}: {{"title":"a","minimum":1}}{{"maximum":9}}'
    assert (path, keyword) == ("$", "oneOf")


def test_items_beyond_a_tuple_are_reported_by_index() -> None:
    document = {"items": [{}], "additionalItems": False}
    assert reports(document, [1, 2]) == [("$[1]: no validator found at this index", "$", "items", ("1",))]


def test_dependencies_are_named_as_java_prints_a_map() -> None:
    document = {"dependencies": {"a": ["b", "c"]}}
    assert [report[0] for report in reports(document, {"a": 1})] == ["$: has an error with dependencies {a=[b, c]}"]


def test_dependencies_may_be_schemas() -> None:
    document = {"dependencies": {"a": {"required": ["b"]}}}
    assert [report[0] for report in reports(document, {"a": 1})] == ["$.b: is missing but it is required"]
    assert reports(document, {"b": 1}) == reports(document, {"a": 1, "b": 1}) == reports(document, "a") == []


def test_additional_properties_are_judged_in_their_own_order() -> None:
    names = [f"{letter}{number}" for letter in "zmax" for number in (3, 1, 2)]
    found = reports({"additionalProperties": {"type": "null"}, "properties": {"m1": {}}}, dict.fromkeys(names, 1))
    assert [report[1] for report in found] == [f"$.{name}" for name in names if name != "m1"]


@pytest.mark.parametrize(("levels", "deep"), [(50, False), (51, True)])
def test_an_instance_beyond_the_depth_limit_has_one_report(levels: int, deep: bool) -> None:
    instance: Any = 1
    for _ in range(levels - 1):
        instance = {"a": instance}
    found = reports({"type": "object"}, instance)
    assert found == ([("Maximum allowed JSON depth exceeded", "/", None, ())] if deep else [])


def test_a_bottomless_instance_is_judged_without_recursion() -> None:
    instance: Any = []
    for _ in range(100_000):
        instance = [instance]
    assert reports({}, instance) == [("Maximum allowed JSON depth exceeded", "/", None, ())]


@pytest.mark.parametrize(
    ("document", "instance"),
    [
        ({"items": {"type": "string"}}, [0] * 100_000),
        ({"items": {"type": "string"}}, list(range(100_000))),
        ({"additionalProperties": False}, {f"n{number}": 0 for number in range(100_000)}),
    ],
    ids=["alike", "items", "properties"],
)
def test_the_reports_of_one_instance_are_bounded(document: dict[str, Any], instance: Any) -> None:
    assert len(reports(document, instance)) == MOST_REPORTS


def test_many_items_of_many_kinds_are_compared_in_one_pass() -> None:
    items: list[Any] = [
        [number, str(number), [number], {"n": number}, True, 1.0][number % 6] for number in range(60_000)
    ]
    found = reports({"uniqueItems": True}, items)
    assert [report[2] for report in found] == ["uniqueItems"]
    assert reports({"uniqueItems": True}, [1, True, [1], [True], {"a": 1}, {"a": True}, "1", None, False, 0]) == []


def test_items_that_python_hashes_alike_are_not_compared_each_with_each() -> None:
    """The factor is what Python divides an integer by for its hash. Without a copy the fast engine judges alone."""
    factor = 2**61 - 1
    assert grows_with_size(
        lambda items: reports({"uniqueItems": True}, items), lambda size: [*(n * factor for n in range(size)), 0], 1_000
    )
    found = reports({"uniqueItems": True}, [10**20, 1e20])
    assert [report[2] for report in found] == ["uniqueItems"]
    assert reports({"uniqueItems": True}, [10**20, 10**20 + 1, "0x56bc75e2d63100000"]) == []
