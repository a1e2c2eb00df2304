"""The pieces that several enrichments are made of."""

import json
import random
from typing import Any

import pytest
from crawlerdetect import CrawlerDetect
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pageviews import useragent
from enricher.enrichments import cross_navigation
from enricher.enrichments.cookie_extractor import cookies
from enricher.enrichments.ip_lookups import float32
from enricher.enrichments.parts.address import literal
from enricher.enrichments.parts.crawlers import detector
from enricher.enrichments.parts.inputs import criterion
from enricher.enrichments.parts.jsonpath import InvalidPath, compiled
from enricher.enrichments.parts.md2 import md2
from enricher.enrichments.parts.useragent import builtin
from tests.enricher.enrichments.drafts import float32 as narrow

DOCUMENT = {
    "a": {"b c": [1, {"d": "x"}, [2, 3]], "e": None},
    "list": [{"k": 1, "v": "one"}, {"k": 2, "v": "two"}],
    "sch.ool": True,
    "@type": "odd",
}

PATHS = [
    ("$", [DOCUMENT]),
    ("$.a.e", [None]),
    ("$.a['b c'][0]", [1]),
    ('$["a"]["b c"][1].d', ["x"]),
    ("$.a['b c'][-1][0]", [2]),
    ("$.a['b c'][9]", []),
    ("$.list[*].v", ["one", "two"]),
    ("$.list.*.k", [1, 2]),
    ("$.['a', 'sch.ool']", [DOCUMENT["a"], True]),
    ("$['sch.ool']", [True]),
    ("$.nothing.at.all", []),
    ("$.a.e.x", []),
    ("$.list[0:1].k", [1]),
    ("$..k", [1, 2]),
    ("$..['k']", [1, 2]),
    ("$..k.x", []),
    ("$..list[*].v", ["one", "two"]),
    ("$.list[-1:].v", ["two"]),
    ("$.list[ : ].v", ["one", "two"]),
    ("$.list[::-1].k", [2, 1]),
    ("$.list[5:9]", []),
    ("$.list[1, 0, 7].k", [2, 1]),
    ("$.a[0:1]", []),
    ("$.@type", ["odd"]),
    ("$..[?(@.k==2)].v", ["two"]),
    ("$.list[?(@.k==2)].v", ["two"]),
    # What Jayway and Gatling make of filters: an object that fulfils one is hit itself.
    ("$.a[?(@.e == null)]['b c'][0]", [1]),
    ("$[?(@['sch.ool'] == true)].list[0].v", ["one"]),
    ("$.a[?(@.x)].e", []),
    ("$..[?(@.v)].k", [1, 2]),
    ("$..[?(@.list)].@type", ["odd"]),
    ("$.list[?(@.k)][?(@.v == 'two')].k", [2]),
    ("$.list[?(2 == @.k)].v", ["two"]),
    ("$.list[?(@.k >= 1 && @.k < 2 || @.v == 'two')].k", [1, 2]),
    ("$.list[?(@.k == 1 && (@.v == 'two' || @.v == \"one\"))].k", [1]),
    ("$.list[?(!(@.k > 1))].v", ["one"]),
    ("$.list[?(!@.nothing)].k", [1, 2]),
    ("$.list[?(@.nothing == null)].k", [1, 2]),
    ("$.list[?(@.nothing != 'x')].k", [1, 2]),
    ("$.list[?(@.k == '2')].v", ["two"]),
    ("$.list[?(@.k > '1')].v", []),
    ("$.list[?(@.v > 'p')].k", [2]),
    ("$.list[?(@.v =~ /T.O/i)].k", [2]),
    ("$.list[?(@.v =~ /t/)].k", []),
    ("$.list[?(@.v in ['one', 'three'])].k", [1]),
    ("$.list[?(@.v nin ['one', 'three'])].k", [2]),
    ("$.list[?(@.v contains 'w')].k", [2]),
    ("$.list[?(@.v size 3)].k", [1, 2]),
    ("$.list[?(@.v empty true)].k", []),
    ("$.list[?($.a.e == null)].k", [1, 2]),
    ("$.list[?(@.v==$.list[1].v&&@.k)].k", [2]),
    ("$.a[?(@['b c'] contains 1)].e", [None]),
    ("$.a['b c'][?(@.d)].d", ["x"]),
    ("$.a['b c'][?(@ == 1)]", [1]),
    ("$.sch.ool[?(@.x)]", []),
]


@pytest.mark.parametrize(("path", "hits"), PATHS)
def test_what_a_path_hits(path: str, hits: list[Any]) -> None:
    assert compiled(path).find(DOCUMENT) == hits


@pytest.mark.parametrize("path", [path for path, _ in PATHS])
def test_a_change_is_made_on_a_copy(path: str) -> None:
    before = json.dumps(DOCUMENT)
    changed = compiled(path).changed(DOCUMENT, lambda hit: ["changed", hit])
    assert json.dumps(DOCUMENT) == before
    expected = before != json.dumps(changed)
    assert expected == bool(compiled(path).find(DOCUMENT))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$..v", {"v": ["s!", {"v": "x!"}], "o": {"v": "y!", "q": "t"}}),
        ("$..*", {"v": ["s!", {"v": "x!"}], "o": {"v": "y!", "q": "t!"}}),
        ("$..['q']", {"v": ["s", {"v": "x"}], "o": {"v": "y", "q": "t!"}}),
        ("$.v..v", {"v": ["s", {"v": "x!"}], "o": {"v": "y", "q": "t"}}),
        ("$.v[0:1]", {"v": ["s!", {"v": "x"}], "o": {"v": "y", "q": "t"}}),
        ("$.o[?(@.q == 't')].v", {"v": ["s", {"v": "x"}], "o": {"v": "y!", "q": "t"}}),
        ("$[?(@.o)].o.q", {"v": ["s", {"v": "x"}], "o": {"v": "y", "q": "t!"}}),
        ("$..[?(@.v)].v", {"v": ["s!", {"v": "x!"}], "o": {"v": "y!", "q": "t"}}),
        ("$.v[?(@.v == 'x' || @ == 's')]", {"v": ["s!", {"v": "x"}], "o": {"v": "y", "q": "t"}}),
    ],
)
def test_what_is_hit_at_several_depths_changes_once(path: str, expected: Any) -> None:
    def marked(hit: Any) -> Any:
        if isinstance(hit, list):
            return [f"{item}!" if isinstance(item, str) else item for item in hit]
        return f"{hit}!" if isinstance(hit, str) else hit

    document = {"v": ["s", {"v": "x"}], "o": {"v": "y", "q": "t"}}
    assert compiled(path).changed(document, marked) == expected


def test_only_hits_change() -> None:
    changed = compiled("$.list[*].v").changed(DOCUMENT, str.upper)
    assert changed == {**DOCUMENT, "list": [{"k": 1, "v": "ONE"}, {"k": 2, "v": "TWO"}]}


FILTERS = [
    "$[?()]",
    "$[?(@.a]",
    "$[?(@.a)",
    "$[?(@.a ==)]",
    "$[?(@.a == b)]",
    "$[?(@.a ~ 1)]",
    "$[?(@.a =~ /(/)]",
    "$[?('",
]


@pytest.mark.parametrize(
    "path", ["", "a", ".a", "*.a", "$.a[b]", "$.[", "$[?(", "$.a b[", "$..", "$.a[1:2:0]", *FILTERS]
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(InvalidPath):
        compiled(path)


def test_crawlers_are_those_of_crawlerdetect() -> None:
    """Browsers, and every kind of crawler that the package's patterns can be shown by example."""
    judge, theirs = detector(), CrawlerDetect()
    words = ("Googlebot/2.1", "bingbot", "YandexBot", "YandexSearch", "Yandex", "curl/8", "python-requests/2", "Slurp")
    odd = ("", " ", "Mozilla", "Mozilla/5.0", "x86_64", "facebookexternalhit", "2GDPR", "Wget", "okhttp/4", "Siri")
    random_ = random.Random(1)
    agents = [useragent(random_.randrange(10_000)) for _ in range(100)]
    mixed = [f"{agent} {word}" for agent in agents[:20] for word in words]
    for agent in (*words, *odd, *agents, *mixed):
        assert judge(agent) == theirs.isCrawler(agent), agent
    assert judge("Mozilla/5.0 (compatible; Googlebot/2.1)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1; b=2", [("a", "1"), ("b", "2")]),
        ("a=1;b", [("a", "1"), ("b", None)]),
        ("a=1=2", [("a", "1=2")]),
        ('a="x; y"; b=2', [("a", "x; y"), ("b", "2")]),
        (r'a="say \"hi\" \\ \n"', [("a", r'say "hi" \ \n')]),
        ("a=1, b=2", [("a", "1")]),
        ('a="1,2"; b=3, c=4', [("a", "1,2"), ("b", "3")]),
        ("a = \t 1   2 ", [("a", "1 2")]),
        ('a= x "y  z" ', [("a", "x y  z")]),
        ("", []),
        (";;", []),
        ('a="open', [("a", "open")]),
        ('a="open\\', [("a", "open")]),
        ('a="" b', [("a", "b")]),
        ("a=", [("a", "")]),
        ('b="";a=1', [("b", ""), ("a", "1")]),
    ],
)
def test_cookies(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert read_cookies(text, frozenset("abc")) == expected


def read_cookies(text: str, names: frozenset[str]) -> list[tuple[str, str | None]]:
    return [(one.data["name"], one.data["value"]) for one in cookies(text, names)]


@given(st.text(alphabet='ab=;,"\\ \t', max_size=30))
def test_quoted_and_unquoted_cookies_are_read_alike(text: str) -> None:
    """A quoted cookie of another name in front does not change how the rest is read."""
    names = frozenset(("a", "b", "ab", ""))
    plain = text.replace('"', "").lstrip()
    assert read_cookies(f'z="";{plain}', names) == read_cookies(f"z=;{plain}", names)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ("localhost", None),
        ("", None),
        ("192.0.2.256", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    found = literal(text)
    assert (None if found is None else str(found)) == address


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0.0"), (43.88, "43.88"), (-122.3149, "-122.3149"), (5e-4, "5.0E-4"), (1e7, "1.0E7"), (100.0, "100.0")],
)
def test_floats_as_java_writes_them(number: float, text: str) -> None:
    assert float32(number) == text


@given(st.floats(-180, 180, width=32))
def test_a_float_is_the_same_after_reading_it_back(number: float) -> None:
    assert narrow(float(float32(number))) == number


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", "8350e5a3e24c153df2275c9f80692773"),
        ("a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"),
        ("message digest", "ab4f496bfb2a530b219ff33031fe06b0"),
        ("1234567890" * 8, "d5976f79d83d3a0dc9806c3c66f3efd8"),
    ],
)
def test_md2_of_the_rfc(text: str, digest: str) -> None:
    assert md2(text.encode()).hex() == digest


@pytest.mark.parametrize("text", ["", "iglu:a/b/c/1-*", "a/b/c/1-0-0", "iglu:a/b/c/x-*-*", "iglu:a/b/1-*-*"])
def test_what_is_no_criterion(text: str) -> None:
    with pytest.raises(ValueError, match="not a schema criterion"):
        criterion(text)


def test_a_user_agent_may_hold_what_utf8_can_not() -> None:
    assert builtin()("\ud800 Firefox/115.0").user_agent == builtin()("? Firefox/115.0").user_agent
    assert detector()("\ud800 Googlebot/2.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 5_000, "Not in the expected format: ms since epoch"),
        ("-62167219200001", "Formatting as -0001-12-31 23:59:59.999 is not Redshift-compatible"),
    ],
)
def test_times_in_links_are_refused_like_those_of_trackers(text: str, message: str) -> None:
    with pytest.raises(cross_navigation.Unreadable) as unreadable:
        cross_navigation.timestamp(text)
    assert (unreadable.value.failure.message, unreadable.value.failure.value) == (message, text)
