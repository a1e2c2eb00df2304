"""Files in YAML or JSON."""

import json
from typing import Any

import pytest

from shared.document import read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n\t"a": [\n\t\t1e5\n\t]\n}', {"a": [100_000.0]}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ("a: 1  # one\nb: [x]", {"a": 1, "b": ["x"]}),
        ("{a: 1, b: [x]}  # as YAML alone allows it", {"a": 1, "b": ["x"]}),
        ("", None),
        ("a: 2024-13-45\nb: 2024-11-25", {"a": "2024-13-45", "b": "2024-11-25"}),
        ("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}", {"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 2}}),
        ("\ufeffa: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ],
)
def test_what_is_read(text: str, said: Any) -> None:
    assert read(text) == said


def test_json_that_tabs_indent_says_the_same() -> None:
    document = {"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": {"a": [{"b": None}], "c": "\t"}}
    assert read(json.dumps(document, indent="\t")) == document


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{\n\t"a": 1,\n}', "line 3 column 1|trailing comma .* line 2 column 8"),
        ("a: [", "line 1, column 5"),
        ("a: 1\nb: {c: 1, c: 2}", r"'c' is there twice \(line 2, column 11\)"),
        ("a: " + "[" * 2_000, "nested too deeply"),
        ("[" * 10_000, "nested too deeply"),
    ],
)
def test_what_is_neither_is_refused_in_the_words_of_what_it_looks_like(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('a: 1\napiKey: "hunter2\n', "while scanning a quoted scalar, found unexpected end of stream"),
        ("password: hunter2: x", r"mapping values are not allowed here \(line 1, column 18\)"),
        ("salt: @hunter2", "found character '@' that cannot start any token"),
        ("password: *hunter2", "found undefined alias there"),
        ("password: !hunter2 x", "could not determine a constructor for the tag there"),
        ('{"password": "hunter2', "Unterminated string"),
    ],
)
def test_what_is_wrong_with_a_half_written_file_quotes_no_secret(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        read(text)
    assert "hunter2" not in str(refused.value)
