"""What counts as a schema, and what compiling one leaves out."""

from typing import Any

import pytest

from enricher.iglu.compiled import compile_schema
from enricher.iglu.contract import InvalidSchema
from enricher.iglu.engine import CompiledSchema
from enricher.iglu.formats import CHECKS
from enricher.iglu.patterns import translate
from shared.schema import SchemaKey
from tests.growth import grows_with_size

KEY = SchemaKey("com.acme", "x", "jsonschema", "1-0-0")


def valid(document: dict[str, Any], instance: Any) -> bool:
    schema = compile_schema(KEY, document)
    assert isinstance(schema, CompiledSchema), schema
    return not schema.reports(instance)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"type": "text"}, "$.type"),
        ({"properties": {"a": {"minLength": -1}}}, "$.properties.a.minLength"),
        ({"required": []}, "$.required"),
        ({"required": True}, "$.required"),
        ({"enum": []}, "$.enum"),
        ({"multipleOf": 0}, "$.multipleOf"),
        ({"exclusiveMinimum": True}, "$"),
        ([], "$"),
        (True, "$"),
        ("x", "$"),
    ],
)
def test_a_document_that_is_no_draft_4_schema_has_issues_with_paths(document: Any, path: str) -> None:
    schema = compile_schema(KEY, document)
    assert isinstance(schema, InvalidSchema)
    assert path in [issue.path for issue in schema.issues]
    assert all(issue.message.startswith("$") for issue in schema.issues)


def test_a_schema_that_is_nested_too_deep_is_invalid() -> None:
    document: dict[str, Any] = {}
    for _ in range(1_000):
        document = {"properties": {"a": document}}
    schema = compile_schema(KEY, document)
    assert isinstance(schema, InvalidSchema)
    assert schema.issues[0].message == "$: is nested too deep"


@pytest.mark.parametrize(
    "document",
    [
        {"$ref": "#/definitions/nowhere"},
        {"$ref": "#anchor"},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"definitions": {"a": {"allOf": [{"$ref": "#/definitions/b"}]}, "b": {"not": {"$ref": "#/definitions/a"}}},
         "$ref": "#/definitions/a"},
        {"properties": {"a": {"$ref": "#/elsewhere"}}, "elsewhere": {"$ref": "https://schemas.example.com/x"}},
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_or_round_in_circles_is_an_issue(document: dict[str, Any]) -> None:
    schema = compile_schema(KEY, document)
    assert isinstance(schema, InvalidSchema)
    assert "can not be resolved" in schema.issues[0].message


def test_a_recursive_schema_is_followed_down_the_instance() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#"}}, "additionalProperties": False}
    assert valid(tree, {"child": {"child": {}}})
    assert not valid(tree, {"child": {"child": {"x": 1}}})


@pytest.mark.parametrize(
    "reference", ["https://schemas.example.com/x#", "other.json", "http://json-schema.org/draft-04/schema#"]
)
def test_a_reference_to_another_document_accepts_everything(reference: str) -> None:
    document = {"properties": {"a": {"$ref": reference, "type": "string"}}}
    assert valid(document, {"a": 1})


def test_a_pattern_that_can_not_be_compiled_is_ignored() -> None:
    document = {"properties": {"a": {"pattern": "("}}, "patternProperties": {"[": {"type": "null"}}}
    assert valid(document, {"a": "x", "[": 1})


def test_ids_and_metaschemas_named_in_a_document_play_no_part() -> None:
    document = {
        "$schema": "http://schemas.example.com/made-up#",
        "id": "http://schemas.example.com/x",
        "definitions": {"a": {"id": "a", "type": "string"}},
        "properties": {"id": {"$ref": "#/definitions/a"}, "title": {"type": "null"}},
    }
    assert valid(document, {"id": "x", "title": None})
    assert not valid(document, {"id": 1})
    assert not valid(document, {"title": "x"})


@pytest.mark.parametrize("value", [0.07, 0.29, 19.99, 1, 2**70])
def test_decimal_texts_are_multiples_of_a_cent(value: float) -> None:
    assert valid({"multipleOf": 0.01}, value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_is_no_json_number_is_no_number(value: float) -> None:
    assert not valid({"type": "number"}, value)
    assert valid({"type": ["number", "null"]}, 1e308)


def test_a_number_too_long_to_print_is_refused_without_an_exception() -> None:
    schema = compile_schema(KEY, {"enum": ["a"]})
    assert isinstance(schema, CompiledSchema)
    assert [report.message for report in schema.reports(10**5000)] == ["Maximum allowed number length exceeded"]
    assert not valid({"type": "string"}, 10**5000)
    assert valid({"type": "integer"}, 10**5000)


def test_what_is_not_json_at_all_is_judged_without_an_exception() -> None:
    assert not valid({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": object()})
    assert valid({"type": "object"}, {1: 2})


@pytest.mark.parametrize(
    ("java", "yes", "no"),
    [
        (r"^\d+$", ["1", "12\n"], ["٣", "", "1x"]),
        (r"^\w$", ["a", "_"], ["é", "-"]),
        (r"^\s$", ["\t"], ["\u00a0"]),
        (r"^\S\D\W$", ["ax-", "é\u0663é"], ["a1-"]),
        (r"^\p{Alpha}+$", ["aZ"], ["é", "1"]),
        (r"^\p{L}[\pN\p{Lu}]\P{IsP}$", ["é1a", "日٣ ", "aZ\r\n"], ["1aa", "éa-", "a1]"]),
        (r"^[\p{Punct}\h]$", ["!", "]", "`", " ", "\u00a0"], ["a"]),
        (r"^\Qa.b\E$", ["a.b"], ["axb"]),
        (r"^(?<first>a)\k", [], []),
        (r"^a\z", ["a"], ["a\n"]),
        (r"^\x{1F600}$", ["\U0001f600"], ["x"]),
        (r"^a++b$", ["aab"], ["b"]),
        (r"^.$", ["a"], ["\r", "\u2028"]),
        (r"^[a[]$", ["[", "a", "b"], []),
        (r"^[a-z&&[^b]]$", ["a", "b", "1"], []),
        (r"^{a}$", ["{a}", "x"], []),
        (r"^a{,2}$", ["a", "aaa"], []),
        (r"^a{2}b{1,}[{]{1}$", ["aab{", "aabb{"], ["ab{", "aab"]),
        (r"^[^\W_][\D][\S]$", ["aéé", "1-٣"], ["_aa", "éaa", "a1a", "aa\t"]),
        (r"^\h\v\e\H\V$", ["\u2003\u2028\x1bab", "\u00a0\n\x1b\n "], ["\n\n\x1bab", "  \x1bab", " \n\x1b b"]),
        (r"^a\Z", ["a", "a\n", "a\r\n"], ["ab", "a\n\n"]),
        ("x", ["axb"], ["a"]),
    ],
)
def test_a_pattern_means_what_java_makes_of_it(java: str, yes: list[str], no: list[str]) -> None:
    document = {"pattern": java}
    assert [valid(document, text) for text in yes] == [True] * len(yes)
    assert [valid(document, text) for text in no] == [False] * len(no)


@pytest.mark.parametrize(
    ("java", "alike"), [(r"^[a-z\d._-]+$", True), (r"a|b", True), (r"(?=a)", False), (r"\bx", False), (r"a$b", False)]
)
def test_only_patterns_that_both_engines_read_alike_go_to_the_fast_one(java: str, alike: bool) -> None:
    pattern = translate(java)
    assert pattern is not None
    assert (pattern.fast is not None) is alike


FORMATS: list[tuple[str, list[str], list[str]]] = [
    ("date-time", ["2024-02-29T23:59:59Z", "2024-01-31t00:00:00.1z", "2016-12-31T23:59:60+00:00"],
     ["2023-02-29T00:00:00Z", "2024-01-31T00:00:00", "2024-01-31", "2024-01-31T24:00:00Z", "2024-01-31T00:00:00Z\n"]),
    ("date", ["2024-02-29"], ["2023-02-29", "2024-1-1", "2024-01-32", "20240101"]),
    ("time", ["10:00:00", "10:00:00.5"], ["10:00", "10:00:00Z"]),
    ("email", ["a@b.example", "a.b+c@d-e.example", '"a b"@c.example', "a@[192.0.2.1]", " a@b.example\n"],
     ["a", "a@b", "a@@b.example", "a b@c.example", ".a@b.example", "a..b@c.example", "a@-b.example", "a@b.c"]),
    ("uuid", ["5c33fccf-6be5-4ce6-afb1-e34026a3ca75", "5C33FCCF-6BE5-4CE6-AFB1-E34026A3CA75"],
     ["5c33fccf6be54ce6afb1e34026a3ca75", "5c33fccf-6be5-4ce6-afb1-e34026a3ca7g",
      "5c33fccf-6be5-4ce6-afb1-e34026a3ca75\n"]),
    ("ipv4", ["192.0.2.1", "1.0.0.255"], ["256.1.1.1", "001.2.3.4", "1.2.3", "1.2.3.4.5"]),
    ("ip-address", ["192.0.2.1"], ["::1"]),
    ("ipv6", ["::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1"], ["fe80::1%eth0", " ::1", ":::", "1.2.3.4", ""]),
    ("uri", ["https://example.com/?q=a|b{c}#ü", "javascript:void(0)", "//host", "a:"], ["/path", "", "http://a b", "1http://x"]),
    ("hostname", ["a.example", "a"], ["-a", "a_b", "a..b", ""]),
    ("phone", ["+49 30 123456"], ["49", "+"]),
    ("utc-millisec", ["1700000000000", "1.5"], ["-1", "x"]),
    ("color", ["#ff0000", "red", "rgb(1, 2, 3)"], ["reddish", "#"]),
    ("style", ["color: red;"], ["red"]),
    ("alpha", ["aZ"], ["a1", ""]),
    ("alphanumeric", ["aZ1"], ["a-", ""]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "yes", "no"), FORMATS)
def test_a_format_is_asserted(name: str, yes: list[str], no: list[str]) -> None:
    document = {"format": name}
    assert [valid(document, text) for text in yes] == [True] * len(yes)
    assert [valid(document, text) for text in no] == [False] * len(no)
    assert valid(document, 1), "only of texts"


def test_every_asserted_format_has_a_case_and_others_accept_everything() -> None:
    assert {name for name, _, _ in FORMATS} == set(CHECKS)
    assert valid({"format": "strict-uri"}, "no such thing")
    assert valid({"properties": {"a": {"format": "regex"}}}, {"a": "("})


@pytest.mark.parametrize("part", [":", "a", "a.", "1", "1 ", "a@", '"', " ", "a:", "-", "\n"])
@pytest.mark.parametrize("begin", ["", "a@"])
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_long_texts_take_no_longer_than_reading_them(name: str, begin: str, part: str) -> None:
    assert grows_with_size(CHECKS[name], lambda size: begin + part * size, 10_000)
