"""JSON texts: as strict as the standard library, literals kept, and Jawn's words for what is none."""

import json
from typing import NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enricher import jsontext
from shared.jawn import complaint
from tests.growth import grows_with_size


def strict(text: str) -> bool:
    """The standard library, without what it allows beyond JSON."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


fragments = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ":", ",", '"', '"a"', "1", "01", "-", "1.", "1.50", "1E5", "-0", "NaN", "Infinity", "true",
         "tru", "null", " ", "\t", "\n", "\x01", "\\u00e9", "\\ud800", "\\", "é", "\x7f", "1e400", "1" * 30]
    ),
    max_size=9,
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(fragments | st.text(max_size=8))
def test_accepts_json_and_nothing_else(text: str) -> None:
    document = jsontext.parse(text, 50)
    assert isinstance(document, jsontext.Document) == strict(text)
    assert (complaint(text) is None) == strict(text)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_values_survive(value: object, ascii_only: bool, indent: int | None) -> None:
    document = jsontext.parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent), 50)
    assert isinstance(document, jsontext.Document)
    assert document.value == value
    assert json.loads(jsontext.render(document.exact, literals=True)) == value
    assert document.levels >= jsontext.depth(value)


@settings(deadline=None)
@example(1e-05)
@given(documents)
def test_canonical_texts_are_what_is_written(value: object) -> None:
    written = jsontext.render(value)
    document = jsontext.parse(written, 50)
    assert isinstance(document, jsontext.Document)
    assert jsontext.render(document.exact, literals=True) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{ "a" : [ 1.00, 1E5, -0 , 1e400 ] }', '{"a":[1.00,1E5,-0,1e400]}'),
        ('{"a":"\\u00e9\\/\\u0001\\u007f\\u0085"}', '{"a":"é/\\u0001\\u007f\\u0085"}'),
        ('[1e-5,1.0,{"a": [1e-05,1E16,1e16]}]', '[1e-5,1.0,{"a":[1e-05,1E16,1e16]}]'),
        ('{"b":1,"a":2,"b":3}', '{"b":3,"a":2}'),
        ("12345678901234567890123456789", "12345678901234567890123456789"),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_is_written_as_circe_does(text: str, written: str) -> None:
    document = jsontext.parse(text, 50)
    assert isinstance(document, jsontext.Document)
    assert jsontext.render(document.exact, literals=True) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "exhausted input"),
        ('{"a":', "exhausted input"),
        ('"abc', "exhausted input"),
        ("nul", "exhausted input"),
        ("foo", "expected false got 'foo' (line 1, column 1)"),
        ("1 x", "expected whitespace or eof got 'x' (line 1, column 3)"),
        ("[1\n2]", "expected ] or , got '2]' (line 2, column 1)"),
        ('{"a":1 "b"}', "expected } or , got '\"b\"}' (line 1, column 8)"),
        ('{"a" 1}', "expected : got '1}' (line 1, column 6)"),
        ("[-x]", "expected digit got '-x]' (line 1, column 2)"),
        ('["\\x"]', "illegal escape sequence (\\x) got '\\...' (line 1, column 3)"),
        ('["\t"]', "control char (9) in string got '\t...' (line 1, column 3)"),
        ('["\\u12é4"]', "exhausted input"),
        ('["\\u1x€4"]', "expected valid unicode escape got '1x€4\"]' (line 1, column 5)"),
        ('["\\u12"]', "expected valid unicode escape got '12\"]' (line 1, column 5)"),
        ("[1234567x", "expected ] or , got 'x' (line 1, column 9)"),
        ("[?234567", "expected json value got '?23456...' (line 1, column 2)"),
        ('{"a":"\U0001f600" x}', "expected } or , got 'x}' (line 1, column 11)"),
        ("[?234\U0001f600]", "expected json value got '?234\U0001f600...' (line 1, column 2)"),
        ("[?2345\U0001f600]", "expected json value got '?2345\ud83d...' (line 1, column 2)"),
    ],
)
def test_says_what_jawn_says(text: str, words: str) -> None:
    assert complaint(text) == words


@pytest.mark.parametrize("text", ['{"a":' * 200_000, "[" * 200_000 + "]" * 200_000, "[" * 20_000])
def test_depth_does_not_recurse(text: str) -> None:
    assert isinstance(jsontext.parse(text, 50), jsontext.Malformed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" + "1," * 60_000 + "x", "Expecting value: line 1 column 120002 (char 120001)"),
        ("[" + "1," * 60_000 + '"' + "\\n" * 9, "exhausted input"),
        ("[" + "1," * 60_000 + "NaN]", "NaN"),
        ("[😀😀 x", "expected json value got '😀😀 x' (line 1, column 2)"),
    ],
)
def test_a_fault_far_behind_the_beginning_is_told_in_pythons_words(text: str, words: str) -> None:
    assert jsontext.parse(text, 50) == jsontext.Malformed(f"invalid json: {words}")


@pytest.mark.parametrize("part", ['\\"', '""', "\\", "{"])
@pytest.mark.parametrize("begin", ["", '"'])
def test_looking_for_depth_takes_no_longer_for_strings_without_an_end(begin: str, part: str) -> None:
    def text(size: int) -> str:
        return "[" + "{}," * 60 + begin + part * size

    assert isinstance(jsontext.parse(text(200_000), 50), jsontext.Malformed)
    assert grows_with_size(lambda text: jsontext.parse(text, 50), text, 25_000)


@pytest.mark.parametrize(("levels", "accepted"), [(49, True), (50, False)])
def test_leaves_count_as_a_level(levels: int, accepted: bool) -> None:
    document = jsontext.parse("[" * levels + "1" + "]" * levels, 50)
    assert isinstance(document, jsontext.Document) == accepted
    assert accepted or document == jsontext.Malformed(jsontext.TOO_DEEP)


@pytest.mark.parametrize(
    "number",
    ["0.00001", "1e-5", "1E-5", "1e-7", "1.7976931348623157e308", "1e16", "1e+22", "123456789012345678901", "4.35"],
)
def test_a_number_is_written_as_it_came_whichever_way_it_was_read(number: str) -> None:
    for text in (f'{{"a":[{number}]}}', f'{{"a":[{number},1.00]}}', f'{{ "a":[{number}]}}'):
        document = jsontext.parse(text, 50)
        assert isinstance(document, jsontext.Document)
        assert jsontext.render(document.exact, literals=True) == text.replace(" ", "")
        if document.exact is document.value:
            assert jsontext.render(document.value) == text.replace(" ", "")
