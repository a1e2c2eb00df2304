"""Schemas drafted from examples."""

import json
from typing import Any

import pytest

from cli.schema_infer import NoExamples, examples, infer
from cli.schema_lint import SELF_DESCRIBING
from enricher.iglu.compiled import compile_schema
from enricher.iglu.engine import CompiledSchema
from shared.event import INDEX, WIDTH
from shared.schema import SchemaKey

KEY = SchemaKey("com.acme", "cart", "jsonschema", "1-0-0")
UUID = "5c33fccf-6be5-4ce6-afb1-e34026a3ca75"


def of(*values: Any, enums: bool = False) -> Any:
    """The schema of property `a` that has these values."""
    return infer([{"a": value} for value in values], KEY, enums=enums)["properties"]["a"]


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        (["x", "yy"], {"type": "string", "maxLength": 64}),
        (["x" * 64], {"type": "string", "maxLength": 64}),
        (["x" * 65], {"type": "string", "maxLength": 255}),
        (["x" * 70_000], {"type": "string", "maxLength": 70_000}),
        (["x", None], {"type": ["string", "null"], "maxLength": 64}),
        ([1, 70_000], {"type": "integer", "minimum": 0, "maximum": 2_147_483_647}),
        ([-1, 2**40], {"type": "integer", "minimum": -(2**63 - 1), "maximum": 2**63 - 1}),
        ([1, 1.5], {"type": "number", "minimum": 0, "maximum": 1_000_000_000}),
        ([True, False], {"type": "boolean"}),
        ([None], {"type": "null"}),
        ([UUID, UUID.upper()], {"type": "string", "format": "uuid"}),
        ([UUID, "x"], {"type": "string", "maxLength": 64}),
        (["2024-01-31T12:34:56Z"], {"type": "string", "format": "date-time"}),
        (["2024-01-31"], {"type": "string", "format": "date"}),
        (["192.0.2.1"], {"type": "string", "format": "ipv4"}),
        (["a@b.example"], {"type": "string", "format": "email"}),
        (["https://shop.example.com/"], {"type": "string", "format": "uri", "maxLength": 4096}),
        ([[1], ["x"]], {"type": "array", "items": {"type": ["string", "integer"], "maxLength": 64, "minimum": 0,
                                                   "maximum": 2_147_483_647}}),
        ([[]], {"type": "array", "items": {}}),
        ([{"b": 1}, {}], {"type": "object", "additionalProperties": False,
                          "properties": {"b": {"type": "integer", "minimum": 0, "maximum": 2_147_483_647}}}),
    ],
)  # fmt: skip
def test_types_formats_and_bounds_are_merged(values: list[Any], schema: Any) -> None:
    assert of(*values) == schema


def test_only_what_every_example_has_is_required() -> None:
    schema = infer([{"a": 1, "b": 1}, {"a": None}], KEY)
    assert (schema["required"], schema["additionalProperties"]) == (["a"], False)
    assert (schema["$schema"], schema["self"]) == (SELF_DESCRIBING, KEY._asdict())


def test_few_values_are_listed_where_asked_and_seen_more_than_once() -> None:
    assert of("a", "b", "a", "b", enums=True) == {"type": "string", "enum": ["a", "b"]}
    assert "enum" not in of("a", "b", "a", enums=True)
    assert "enum" not in of("a", "a")


def test_a_draft_accepts_its_examples() -> None:
    data = [{"a": [{"b": 1.5, "c": None}], "d": UUID}, {"a": [], "d": "x", "e": {"f": -7}}]
    schema = compile_schema(KEY, infer(data, KEY, enums=True))
    assert isinstance(schema, CompiledSchema)
    assert [schema.reports(example) for example in data] == [(), ()]


def described(name: str, data: Any) -> dict[str, Any]:
    return {"schema": f"iglu:com.acme/{name}/jsonschema/1-0-0", "data": data}


CONTEXTS = {
    "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1",
    "data": [described("cart", {"n": 3}), described("other", {"n": 4})],
}


def enriched() -> str:
    values = [""] * WIDTH
    values[INDEX["contexts"]] = json.dumps(CONTEXTS)
    values[INDEX["unstruct_event"]] = json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
            "data": described("cart", {"n": 5}),
        }
    )
    return "\t".join(values)


def test_examples_are_found_in_data_in_self_describing_json_and_in_enriched_events() -> None:
    lines = ['{"n": 1}', "", json.dumps(described("cart", {"n": 2})), json.dumps(CONTEXTS), enriched()]
    assert [example["n"] for example in examples(lines, "com.acme", "cart")] == [1, 2, 3, 5, 3]


def test_a_list_as_data_of_ones_own_schema_stays_a_list() -> None:
    assert list(examples([json.dumps(described("cart", [1, 2]))], "com.acme", "cart")) == [[1, 2]]


@pytest.mark.parametrize("line", ["{", "a\tb", enriched().replace("contexts/jsonschema", '"')])
def test_a_line_that_is_no_example_is_named(line: str) -> None:
    with pytest.raises(NoExamples, match="line 2"):
        list(examples(['{"n": 1}', line], "com.acme", "cart"))


@pytest.mark.parametrize("values", [[], [[1]], ["x"]])
def test_without_objects_there_is_nothing_to_infer(values: list[Any]) -> None:
    with pytest.raises(NoExamples):
        infer(values, KEY)
