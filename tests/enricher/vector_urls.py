"""What the vectors about URLs and query strings ask of the pure functions: kind → check."""

from enricher import querystring, url
from enricher.attributes import page
from enricher.enrichments.contract import Draft
from enricher.java_uri import Uri
from enricher.values import Refused
from shared.event import INDEX, WIDTH
from shared.payload import CollectorPayload
from tests.enricher.vector_values import Check, Vector, single


def _parsed(row: Vector) -> Uri | None:
    """The URI, None where it must be refused and is."""
    uri = url.parse(row["input"]["uri"])
    assert isinstance(uri, Refused) == ("error" in row), uri
    return uri if isinstance(uri, Uri) else None


def uri_parse(row: Vector) -> None:
    """Without a URL nothing is parsed: `page` and `referrer` see to that."""
    if row["input"]["uri"] is None:
        assert row["expected"]["uri"] is None
    elif uri := _parsed(row):
        assert uri.text == row["expected"]["uri"]


def page_url(row: Vector) -> None:
    if uri := _parsed(row):
        names = ("scheme", "host", "port", "path", "query", "fragment")
        assert url.parts(uri) == tuple(
            "" if (part := row["expected"].get(name)) is None else str(part) for name in names
        )


def page_uri_choice(row: Vector) -> None:
    draft = Draft([""] * WIDTH, {}, CollectorPayload(referer_uri=row["input"]["referer"]))
    draft.values[INDEX["page_url"]] = row["input"]["tracker"] or ""
    assert (page(draft) is None) == ("expected" in row)
    if "expected" in row:
        assert draft.values[INDEX["page_url"]] == (row["expected"]["uri"] or "")


def pairs(row: Vector) -> None:
    given = row["input"]
    if "uri" in given:
        uri = _parsed(row)
        found: object = querystring.split(uri.query or "", given["encoding"]) if uri else None
    else:
        found = querystring.pairs(given["querystring"] or "", given["encoding"])
        assert isinstance(found, Refused) == ("error" in row)
    assert "error" in row or found == [(name, value) for name, value in row["expected"]["params"]]


CHECKS: dict[str, Check] = {
    "page_uri_choice": Check(page_uri_choice, "referer tracker", "uri", "message"),
    "page_url": Check(page_url, "uri", "scheme host port path query fragment", "message"),
    "querystring": Check(pairs, "querystring encoding", "params", "message"),
    "uri_parse": Check(uri_parse, "uri", "uri", "message"),
    "uri_querystring": Check(pairs, "uri encoding", "params", "message"),
    "url_decode": Check(
        lambda row: single(lambda text: querystring.decode_form(text, row["input"]["encoding"]))(row),
        "value encoding",
        "value",
        "message",
    ),
}
