"""The fast engine may refuse what jsonschema accepts, but never accept what jsonschema refuses; a verdict is exact."""

from random import Random
from typing import Any

import pytest

from enricher.iglu.compiled import compile_schema, verdict
from enricher.iglu.contract import InvalidSchema
from enricher.iglu.engine import CompiledSchema
from enricher.iglu.reports import TOO_DEEP
from shared.iglu.config import BUNDLED
from shared.iglu.registry import Document
from shared.schema import SchemaKey
from tests.schemas.central import CENTRAL, document, json_schemas, needs_central, rounds, seed
from tests.schemas.instances import instances, mutated

KEY = SchemaKey("com.acme", "x", "jsonschema", "1-0-0")


def compiled(key: SchemaKey, schema: Document) -> CompiledSchema:
    made = compile_schema(key, schema)
    assert not isinstance(made, InvalidSchema)
    return made


def disagreements(published: Document, schema: CompiledSchema, candidates: list[Any]) -> list[Any]:
    conforms = verdict(published)
    judged = [(instance, schema.judge(instance)) for instance in candidates]
    return [
        instance
        for instance, reports in judged
        if schema.reports(instance) != reports or (conforms(instance) == bool(reports) and reports != (TOO_DEEP,))
    ]


@needs_central
def test_the_engines_agree_on_instances_of_every_published_schema() -> None:
    rng, accepted, judged = Random(seed()), 0, 0
    for key in json_schemas(CENTRAL):
        published = document(CENTRAL, key)
        schema = compiled(key, published)
        candidates = instances(published, rng, rounds(12))
        assert disagreements(published, schema, candidates) == [], f"{key.uri}, seed {seed()}"
        accepted += sum(not schema.reports(instance) for instance in candidates)
        judged += len(candidates)
    assert 0.1 < accepted / judged < 0.9, "the instances are all of one kind: they test nothing"


def test_every_bundled_schema_has_a_fast_engine() -> None:
    slow = [key.uri for key in json_schemas(BUNDLED) if not compiled(key, document(BUNDLED, key)).fast]
    assert slow == []


HARD: list[Document] = [
    {"pattern": "^[a-z]+$"},
    {"pattern": "^.$"},
    {"pattern": r"^\d\s\w$"},
    {"pattern": r"[^\d]"},
    {"pattern": r"\p{Alpha}\h"},
    {"pattern": r"^[\p{L}\p{P}]+\P{L}$"},
    {"pattern": "[]a]"},
    {"pattern": "[[a]"},
    {"pattern": r"(?<x>a)\k<x>"},
    {"pattern": "a$|b"},
    {"not": {"pattern": "^a$"}},
    {"not": {"pattern": "^[a-z]+$"}},
    {"not": {"format": "date-time"}},
    {"oneOf": [{"format": "uri"}, {"pattern": "^a"}]},
    {"definitions": {"a": {"format": "date-time"}}, "not": {"$ref": "#/definitions/a"}},
    {"properties": {"a": {"format": "date-time"}}, "not": {"$ref": "#/properties/a"}},
    {"patternProperties": {"^a$": {"type": "null"}}, "additionalProperties": False},
    {"patternProperties": {"b": {"type": "string", "format": "uuid"}}},
    {"enum": [1, "a", None, [1], {"a": 1}, 1.5]},
    {"uniqueItems": True},
    {"multipleOf": 0.01},
    {"multipleOf": 3},
    {"maximum": 5, "exclusiveMaximum": True, "minimum": 0, "exclusiveMinimum": True},
    {"type": ["number", "null"]},
    {"type": "integer"},
    {"minLength": 2, "maxLength": 3},
    {"dependencies": {"a": ["b"], "b": {"required": ["c"]}}},
    {"items": [{"type": "string"}], "additionalItems": {"type": "null"}},
    {"anyOf": [{"format": "ipv6"}, {"format": "email"}, {"format": "hostname"}], "type": "string"},
    {"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}, "required": ["c"]},
    {"properties": {"a": {"properties": {"a": {"$ref": "#/properties/a"}}, "additionalProperties": False}}},
    {"properties": {"b": {"minimum": 0, "type": ["null", "integer"], "maxLength": 1}, "a": {"maxLength": 0}}},
    {"additionalProperties": {"type": "string"}, "properties": {"b": {"type": "boolean"}}, "required": ["a", "b"]},
    {"format": "time"},
    {"format": "date"},
    {"format": "nonsense"},
    {"$ref": "https://schemas.example.com/elsewhere", "type": "string"},
]


@pytest.mark.parametrize("schema", HARD, ids=str)
def test_the_engines_agree_on_what_is_hard(schema: Document) -> None:
    rng = Random(seed())
    scalars = [mutated(None, rng) for _ in range(800)]
    objects = [mutated({"a": "a", "b": None, "a\n": 1}, rng) for _ in range(200)]
    arrays = [mutated(["a", 1, [1]], rng) for _ in range(200)]
    assert disagreements(schema, compiled(KEY, schema), scalars + objects + arrays) == []


@needs_central
def test_a_damaged_schema_is_an_issue_or_still_judged_alike() -> None:
    rng, usable = Random(seed()), 0
    for key in json_schemas(CENTRAL)[:: max(1, 60 // rounds(12))]:
        published = document(CENTRAL, key)
        damaged = mutated(published, rng)
        made = compile_schema(key, damaged)
        if isinstance(made, CompiledSchema):
            usable += 1
            assert disagreements(damaged, made, instances(published, rng, 10)) == [], f"{key.uri}, seed {seed()}"
    assert usable > 0
