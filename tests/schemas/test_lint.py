"""What `evnt schema lint` finds, and which changes between versions it calls breaking."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.schema_changes import breaking
from cli.schema_lint import SELF_DESCRIBING, Finding, lint, read_library
from shared.iglu.config import BUNDLED
from shared.schema import SchemaKey

SOUND: dict[str, Any] = {
    "type": "object",
    "properties": {"id": {"type": "string", "maxLength": 36}, "count": {"type": "integer", "minimum": 0, "maximum": 9}},
    "additionalProperties": False,
    "required": ["id"],
}


def put(root: Path, version: str = "1-0-0", document: Any = None, **changes: Any) -> None:
    key = SchemaKey("com.acme", "cart", "jsonschema", version)
    file = root / key.path
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = {"$schema": SELF_DESCRIBING, "self": key._asdict(), **SOUND, **changes}
    file.write_text(json.dumps(whole) if document is None else document)


def found(root: Path) -> list[Finding]:
    return lint(read_library(root))


def test_a_sound_schema_has_no_findings(tmp_path: Path) -> None:
    put(tmp_path)
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "level", "place", "message"),
    [
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "error", "$.$schema", "must be"),
        ({"self": None}, "error", "$.self", "is missing"),
        ({"self": {"vendor": "com.acme", "name": "cart", "format": "jsonschema", "version": "1-0-1"}},
         "error", "$.self.version", "is '1-0-1', but lies at '1-0-0'"),
        ({"$supersededBy": "1-0-0"}, "error", "$.$supersededBy", "isn't greater"),
        ({"$supersededBy": 2}, "error", "$.$supersededBy", "decode superseding version: 2"),
        ({"$supersededBy": "1-0-1"}, "error", "$.$supersededBy", "1-0-1 is not in this folder"),
        ({"properties": {"id": {"$ref": "http://a/b.json"}}}, "warning", "$.properties.id", "accepts everything"),
        ({"type": "text"}, "error", "$.type", "[array"),
        ({"required": []}, "error", "$.required", "minimum of 1"),
        ({"properties": {"id": {"$ref": "#/definitions/no"}}}, "error", "$", "#/definitions/no can not be resolved"),
        ({"properties": {"id": {"pattern": "("}}}, "error", "$.properties.id", "can not be compiled"),
        ({"properties": {"id": {"pattern": "(?=a)"}}}, "warning", "$.properties.id", "beyond the fast engine"),
        ({"properties": {"id": {"format": "uid"}}}, "warning", "$.properties.id", "format uid is unknown"),
        ({"properties": {"id": {"minLength": 5, "maxLength": 3}}}, "error", "$.properties.id", "nothing conforms"),
        ({"required": ["id", "x"]}, "error", "$", "not among the properties: x"),
        ({"required": ["id", "x"], "additionalProperties": True}, "warning", "$", "not among the properties: x"),
        ({"properties": {"id": {"type": ["string", "null"]}}}, "warning", "$.properties.id", "text without maxLength"),
        ({"properties": {"id": {"type": "number", "minimum": 0}}}, "warning", "$.properties.id", "number without"),
        ({"properties": {"id": {"type": "array"}}}, "warning", "$.properties.id", "array without items"),
        ({"properties": {"id": {"items": {"maxlength": 5}}}},
         "warning", "$.properties.id.items", "maxlength is no keyword"),
        ({"definitions": {"a": {"anyOf": [{"type": "string"}]}}},
         "warning", "$.definitions.a.anyOf[0]", "text without maxLength"),
    ],
)  # fmt: skip
def test_a_fault_is_found_where_it_is(
    tmp_path: Path, changes: dict[str, Any], level: str, place: str, message: str
) -> None:
    put(tmp_path, **changes)
    matching = [finding for finding in found(tmp_path) if message in finding.message]
    assert [(finding.level, finding.place) for finding in matching] == [(level, place)], found(tmp_path)
    assert matching[0].file == "com.acme/cart/jsonschema/1-0-0"


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_a_file_that_is_no_json_object_is_an_error(tmp_path: Path, text: str) -> None:
    put(tmp_path)
    (tmp_path / "com.acme" / "cart" / "jsonschema" / "1-0-1").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [(finding.level, finding.file[-5:]) for finding in found(tmp_path)] == [("error", "1-0-1")]


def test_a_file_out_of_place_is_an_error_and_other_formats_are_left_alone(tmp_path: Path) -> None:
    for name in ("README", "com.acme/cart/jsonschema/1.0.0", "com.acme/cart/jsonschema/1-0-0.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    for name in (".git/config", "com.acme/cart/avro/1-0-0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert {(finding.level, finding.file) for finding in found(tmp_path)} == {
        ("error", "README"),
        ("error", "com.acme/cart/jsonschema/1.0.0"),
        ("error", "com.acme/cart/jsonschema/1-0-0.json"),
    }


@pytest.mark.parametrize(
    ("versions", "complaint"),
    [
        (["1-0-0", "1-0-1", "1-1-0", "2-0-0"], None),
        (["1-0-9", "1-0-10"], "versions start with 1-0-0"),
        (["1-0-0", "1-0-2"], "after 1-0-0 comes 1-0-1 or 1-1-0 or 2-0-0"),
        (["1-0-0", "1-1-1"], "after 1-0-0"),
        (["1-0-0", "3-0-0"], "after 1-0-0"),
    ],
)
def test_versions_have_no_gaps(tmp_path: Path, versions: list[str], complaint: str | None) -> None:
    for version in versions:
        put(tmp_path, version)
    findings = found(tmp_path)
    assert len(findings) == (complaint is not None)
    assert all(finding.level == "warning" and str(complaint) in finding.message for finding in findings)


@pytest.mark.parametrize(("versions", "guilty"), [(["1-0-1", "1-0-2"], "1-0-1"), (["1-0-0", "1-0-2"], "1-0-2")])
def test_a_gap_is_told_of_at_the_version_behind_it(tmp_path: Path, versions: list[str], guilty: str) -> None:
    for version in versions:
        put(tmp_path, version)
    assert [finding.file.rpartition("/")[2] for finding in found(tmp_path)] == [guilty]


@pytest.mark.parametrize(("version", "level"), [("1-0-1", ["error"]), ("1-1-0", ["warning"]), ("2-0-0", [])])
def test_only_a_new_model_may_break_silently(tmp_path: Path, version: str, level: list[str]) -> None:
    put(tmp_path)
    put(tmp_path, version, required=["id", "count"])
    assert [finding.level for finding in found(tmp_path)] == level


CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"type": "string"}, {"type": ["string", "null"]}, []),
    ({"type": ["string", "null"]}, {"type": "string"}, ["no longer accepts null"]),
    ({"type": "integer"}, {"type": "number"}, []),
    ({"type": "number"}, {"type": "integer"}, ["no longer accepts number"]),
    ({"enum": ["a", None]}, {"type": "string"}, ["no longer accepts null"]),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}, []),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, ["no longer accepts 'b'"]),
    ({"type": "string"}, {"type": "string", "enum": ["a"]}, ["only some values are left"]),
    ({"maxLength": 5}, {"maxLength": 9}, []),
    ({"maxLength": 9}, {"maxLength": 5}, ["maxLength goes from 9 to 5"]),
    ({}, {"maximum": 5}, ["maximum goes from none to 5"]),
    ({"minimum": 5}, {"minimum": 1}, []),
    ({"minimum": 1}, {"minimum": 5}, ["minimum goes from 1 to 5"]),
    ({"pattern": "a"}, {}, []),
    ({}, {"pattern": "a"}, ["pattern is new"]),
    ({"format": "uri"}, {"format": "uuid"}, ["format changes"]),
    ({"anyOf": [{}]}, {"anyOf": [{}, {"type": "null"}]}, []),
    ({"anyOf": [{}, {"type": "null"}]}, {"anyOf": [{}]}, ["anyOf changes"]),
    ({"properties": {"a": {}}}, {"properties": {"a": {}, "b": {}}, "required": ["b"]}, ["b becomes required"]),
    ({"required": ["a", "b"]}, {"required": ["b"]}, []),
    (
        {"type": "object"},
        {"type": "object", "additionalProperties": False},
        ["no longer accepts additional properties"],
    ),
    (
        {"properties": {"a": {}}, "additionalProperties": False},
        {"properties": {}, "additionalProperties": False},
        ["a is no longer among the properties"],
    ),
]


@pytest.mark.parametrize(("older", "newer", "changes"), CHANGES)
def test_a_change_is_breaking_when_older_data_may_be_refused(
    older: dict[str, Any], newer: dict[str, Any], changes: list[str]
) -> None:
    assert [change for _, change in breaking(older, newer)] == changes


def test_changes_deep_down_are_found_with_their_place() -> None:
    older = {"properties": {"a": {"items": {"properties": {"b": {"type": "string"}}}}}}
    newer = {"properties": {"a": {"items": {"properties": {"b": {"type": "null"}}}}}}
    assert list(breaking(older, newer)) == [("$.properties.a.items.properties.b", "no longer accepts string")]


def test_the_bundled_schemas_have_no_errors_but_the_breaking_changes_of_their_publishers() -> None:
    errors = [finding for finding in found(BUNDLED) if finding.level == "error"]
    assert [finding for finding in errors if "which an addition must not do" not in finding.message] == []
