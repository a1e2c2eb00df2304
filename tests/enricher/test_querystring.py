"""Query strings as Apache HttpClient splits and decodes them."""

import base64

import pytest

from enricher import base64url, querystring
from enricher.values import Refused


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1&b;c=&=x&&a=2", [("a", "1"), ("b", None), ("c", ""), ("a", "2")]),
        ("?e=pv", [("?e", "pv")]),
        ("a=%C3%A9+x", [("a", "é x")]),
        ("a=é", [("a", "\N{REPLACEMENT CHARACTER}")]),
        ("a=1#b=2", [("a", "1")]),
    ],
)
def test_query_strings(text: str, pairs: querystring.Pairs) -> None:
    assert querystring.pairs(text) == pairs


def test_what_is_beyond_ascii_loses_its_upper_byte_and_escapes_nothing() -> None:
    assert querystring.pairs("\u0125=\u012541+%41\U0001f600&\u013d=x") == [("%", "%41 A=\0"), ("=", "x")]


@pytest.mark.parametrize(
    ("sent", "marks"),
    [
        (b"\xed\xa0\xbd\xed\xb8\x80", 2),
        (b"\xed\xa0a", 1),
        (b"\xed\x9f\xbf", 0),
        (b"\xe0\x80\xed\xbf", 3),
        (b"\xed", 1),
        (b"\xf4\x90\x80\x80", 4),
    ],
)
def test_half_a_pair_that_is_encoded_by_itself_is_one_replacement(sent: bytes, marks: int) -> None:
    [(_, from_query)] = querystring.split("a=" + "".join(f"%{byte:02X}" for byte in sent), "UTF-8")
    from_base64 = base64url.decode(base64.b64encode(sent).decode())
    assert from_query == from_base64
    assert from_base64.count("\N{REPLACEMENT CHARACTER}") == marks


def test_an_illegal_query_counts_from_the_dummy_url() -> None:
    assert querystring.pairs("a=|b") == Refused("Illegal character in query at index 20: http://localhost/?a=|b")
