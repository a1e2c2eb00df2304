"""What the vectors about single values ask of the pure functions: kind → check."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from enricher import base64url, jsontext, mapping, querystring, request, url, values
from enricher.adapters.formats import json_value
from enricher.attributes import derive_tstamp, page, schema_fields
from enricher.enrichments.contract import Draft, Entity
from enricher.enrichments.parts.address import literal
from enricher.entities import contexts_text, event_text
from enricher.values import Refused
from shared.event import FIELDS, INDEX, WIDTH
from shared.payload import CollectorPayload
from shared.tsv import decode, encode

Vector = Mapping[str, Any]


def same(row: Vector, got: object, key: str = "value") -> None:
    """A value as expected, or refused in the expected words (the older flavour starts them in lower case)."""
    if "error" in row:
        wanted = row["error"].get("message", row["error"].get("expectation"))
        assert isinstance(got, Refused), got
        assert wanted == "any failure" or got.message.casefold() == wanted.casefold()
    else:
        assert got == row["expected"][key]


def text(row: Vector, key: str = "value") -> str:
    return row["input"][key] or ""


def tsv(row: Vector) -> None:
    line = [""] * WIDTH
    for column, value in row["input"].items():
        if column in INDEX:
            line[INDEX[column]] = str(value)
        elif column.endswith("_sdjs"):
            made = [Entity(one["schema"], one["data"]) for one in value]
            line[INDEX[column.removesuffix("_sdjs")]] = contexts_text(made)
        elif column.endswith("_sdj"):
            line[INDEX["unstruct_event"]] = event_text(Entity(value["schema"], value["data"]))
    written, expected = encode(line).decode(), row["expected"]
    if "column_names" in expected:
        assert [field.name for field in FIELDS] == expected["column_names"]
    elif "tsv" in expected:
        assert written == expected["tsv"]
    elif "column" in expected:
        assert decode(written)[expected["column"]] == expected["text"]
        assert len(decode(written)) == expected["columns"]
    else:
        assert expected.get("tsv_contains", "") in written
        assert expected.get("tsv_not_contains", "\0") not in written


def transform(row: Vector) -> None:
    """One parameter into its columns. Java's null text is, for us, the empty one where it must be refused."""
    name, value = row["input"]["param"], row["input"]["value"]
    columns = [""] * WIDTH
    missing = "" if "error" in row else None
    errors = mapping.apply({name: missing if value is None else value}, columns)
    if "error" not in row:
        assert not errors
        assert {column: columns[INDEX[column]] for column in row["expected"]} == {
            column: "" if expected is None else str(expected) for column, expected in row["expected"].items()
        }
        return
    (error,) = errors
    assert error.path == row["error"]["field"]
    if "message" in row["error"]:
        assert error.message == row["error"]["message"]
    else:
        assert _said(error.message) == row["error"]["expectation"]


def _said(message: str) -> str:
    """The older flavour's words for the newer one's."""
    older = {
        "Not a valid event type": "not recognized as an event type",
        "Not a valid platform": "not recognized as a tracking platform",
    }
    return older.get(message, message[0].lower() + message[1:])


def timestamp(row: Vector) -> None:
    if "field" in row["input"]:
        same(row, values.timestamp(row["input"]["value"]))
        return
    formatted = values.format_timestamp(milliseconds(row["input"]["collector_tstamp"]))
    if "error" in row:
        assert f"formatted as {formatted} is not Redshift-compatible" == row["error"]["expectation"]
        assert not values.fits_warehouse(formatted)
    else:
        assert formatted == row["expected"]["collector_tstamp"]
        assert values.fits_warehouse(formatted)


def milliseconds(moment: str) -> int:
    """Unix time of an ISO 8601 text whose year may be any; the calendar repeats every 400 years."""
    match = re.fullmatch(r"([+-]?\d+)(-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z", moment)
    assert match is not None
    cycles, year = divmod(int(match[1]) - 2000, 400)
    seconds = int(datetime.fromisoformat(f"{2000 + year}{match[2]}+00:00").timestamp())
    return (seconds + cycles * 146_097 * 86_400) * 1000 + int(match[3])


def derived_tstamp(row: Vector) -> None:
    times = row["input"]
    names = ("dvce_created_tstamp", "dvce_sent_tstamp", "collector_tstamp", "true_tstamp")
    assert derive_tstamp(*(times[name] or "" for name in names)) == (row["expected"]["derived_tstamp"] or "")


def uri_parse(row: Vector) -> None:
    if row["input"]["uri"] is not None:
        uri = url.parse(row["input"]["uri"])
        assert isinstance(uri, url.Uri)
        assert uri.text == row["expected"]["uri"]


def page_url(row: Vector) -> None:
    uri = url.parse(row["input"]["uri"])
    assert isinstance(uri, url.Uri)
    names = ("scheme", "host", "port", "path", "query", "fragment")
    assert url.parts(uri) == tuple(str(row["expected"].get(name) or "") for name in names)


def page_uri_choice(row: Vector) -> None:
    draft = Draft([""] * WIDTH, {}, CollectorPayload(referer_uri=row["input"]["referer"]))
    draft.values[INDEX["page_url"]] = row["input"]["tracker"] or ""
    assert page(draft) is None
    assert draft.values[INDEX["page_url"]] == (row["expected"]["uri"] or "")


def pairs(row: Vector) -> None:
    if "uri" in row["input"]:
        uri = url.parse(row["input"]["uri"])
        assert isinstance(uri, url.Uri)
        found: object = querystring.split(uri.query or "", row["input"]["encoding"])
    else:
        found = querystring.pairs(row["input"]["querystring"], row["input"]["encoding"])
    assert found == [(name, value) for name, value in row["expected"]["params"]]


def schema_name(row: Vector) -> None:
    draft = Draft([""] * WIDTH, {}, CollectorPayload())
    draft.values[INDEX["event"]] = row["input"]["event"] or ""
    unstruct = row["input"]["unstruct"]
    draft.event = Entity(unstruct["schema"], unstruct["data"]) if unstruct else None
    assert schema_fields(draft) is None
    assert {name: draft.values[INDEX[name]] for name in row["expected"]} == row["expected"]


def json_reformat(row: Vector) -> None:
    document = jsontext.parse(row["input"]["text"], 50)
    if isinstance(document, jsontext.NotJson):
        assert document.message == row["error"]["message"]
    else:
        assert jsontext.render(document.exact, literals=True) == row["expected"]["text"]


def json_depth(row: Vector) -> None:
    given = row["input"]
    if "json" in given:
        written = jsontext.render(given["json"])
    elif "nested" in given:
        opening, closing = ("[", "]") if given["nested"] == "array" else ('{"a":', "}")
        written = opening * given["levels"] + "1" + closing * given["levels"]
    else:
        written = given["text"]
    document = jsontext.parse(written, given["max_depth"])
    if "error" in row:
        assert document == jsontext.NotJson(row["error"]["message"])
    else:
        assert isinstance(document, jsontext.Document)


def inet_address(row: Vector) -> None:
    wanted = row["expected"]["address"]
    assert literal(row["input"]["value"]) == (None if wanted is None else literal(wanted))


def integer(row: Vector) -> None:
    """A number in the vector is the text of a column for us."""
    expected = row.get("expected", {}).get("value")
    plain = {**row, "expected": {"value": "" if expected is None else str(expected)}} if "expected" in row else row
    same(plain, "" if row["input"]["value"] is None else values.integer(row["input"]["value"]))


def tsv_safe(row: Vector) -> None:
    assert values.tsv_safe(row["input"]["value"]) == (row["expected"]["value"] or "")


def is_pixel(row: Vector) -> None:
    found = request.api_path(row["input"]["path"])
    assert (found == ("com.snowplowanalytics.snowplow", "tp1")) == row["expected"]["is_pixel"]


def forwarded(row: Vector) -> None:
    given = row["input"]
    assert (request.forwarded_address(given["headers"]) or given["collector_ip"]) == row["expected"]["ip"]


def formatted(row: Vector) -> None:
    kind, _, date = (row["input"]["key_listed_in"] or "").partition(" ")
    listed: dict[str, dict[str, Any]] = {"bools": {"kind": "bool"}, "ints": {"kind": "int"}, "dates": {"date": date}}
    assert json_value(row["input"]["value"], **listed.get(kind, {})) == row["expected"]["json"]


CHECKS: dict[str, Callable[[Vector], None]] = {
    "api_path": is_pixel,
    "base64url": lambda row: same(row, base64url.decode(text(row))),
    "boolean_byte": lambda row: same(row, values.boolean(text(row))),
    "derived_tstamp": derived_tstamp,
    "double_like": lambda row: same(row, values.double_like(text(row))),
    "inet_address": inet_address,
    "integer": integer,
    "ip_from_headers": forwarded,
    "json_depth": json_depth,
    "json_reformat": json_reformat,
    "json_value": formatted,
    "page_uri_choice": page_uri_choice,
    "page_url": page_url,
    "querystring": pairs,
    "schema_fields": schema_name,
    "timestamp": timestamp,
    "transform": transform,
    "tsv": tsv,
    "tsv_safe": tsv_safe,
    "uri_parse": uri_parse,
    "uri_querystring": pairs,
    "url_decode": lambda row: same(row, querystring.decode_form(text(row), row["input"]["encoding"])),
    "uuid": lambda row: same(row, values.uuid(text(row))),
    "validate_integer": integer,
}
