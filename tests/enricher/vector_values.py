"""What the vectors about single values ask of the pure functions: kind → check."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from enricher import base64url, jsontext, mapping, request, values
from enricher.adapters.formats import json_value
from enricher.attributes import derive_tstamp, schema_fields
from enricher.enrichments.contract import Draft, Entity
from enricher.enrichments.parts.address import literal
from enricher.entities import contexts_text, event_text
from enricher.values import Refused
from shared.event import FIELDS, INDEX, WIDTH
from shared.payload import CollectorPayload
from shared.tsv import decode, encode

Vector = Mapping[str, Any]


class Check(NamedTuple):
    """How a kind is checked, and every key that its vectors may have: one that nobody reads must not pass unnoticed.

    expected: None where the keys are names that `run` looks up itself.
    """

    run: Callable[[Vector], None]
    input: str
    expected: str | None = ""
    error: str = ""


_ROW = frozenset(("id", "from", "flavor", "kind", "input", "expected", "error", "note"))


def judge(row: Vector, check: Check) -> None:
    strange = [*(row.keys() - _ROW), *_strange(row, "input", check.input), *_strange(row, "error", check.error)]
    if check.expected is not None:
        strange += _strange(row, "expected", check.expected)
    assert not strange, f"nothing reads {strange}"
    assert ("expected" in row) != ("error" in row)
    check.run(row)


def _strange(row: Vector, part: str, known: str) -> list[str]:
    return [f"{part}.{key}" for key in row.get(part, {}) if key not in known.split()]


#: Keys of an error about one field; `field` and `value` repeat the input.
_FIELD_ERROR = "type field value expectation message"


#: Upstream has two functions that judge integers, each with words of its own.
_SYNONYMS = {"not a valid integer": "cannot be converted to java.lang.integer"}


def refused(row: Vector, got: object) -> None:
    """In the expected words; the older flavour starts them in lower case. What was refused is quoted."""
    assert isinstance(got, Refused), got
    error = row["error"]
    wanted = error.get("message", error.get("expectation")).casefold()
    assert wanted == "any failure" or got.message.casefold() == _SYNONYMS.get(wanted, wanted)
    assert all(error.get(name, row["input"].get(name)) == row["input"].get(name) for name in ("field", "value"))


def single(convert: Callable[[str], object]) -> Callable[[Vector], None]:
    """One text into the text of a column; Java's null is the empty one, and a number in a vector its text."""

    def run(row: Vector) -> None:
        value = row["input"]["value"]
        if "error" in row:
            refused(row, convert(value or ""))
            return
        wanted = row["expected"]["value"]
        assert ("" if value is None else convert(value)) == ("" if wanted is None else str(wanted))

    return run


def tsv(row: Vector) -> None:
    line = [""] * WIDTH
    for column, value in row["input"].items():
        if column in INDEX:
            line[INDEX[column]] = str(value)
        elif isinstance(value, list):
            made = [Entity(one["schema"], one["data"]) for one in value]
            line[INDEX[column.removesuffix("_sdjs")]] = contexts_text(made)
        elif isinstance(value, dict):
            line[INDEX["unstruct_event"]] = event_text(Entity(value["schema"], value["data"]))
        else:
            assert column == "pii", f"nothing reads {column}"
    written, expected = encode(line).decode(), row["expected"]
    if "column_names" in expected:
        assert [field.name for field in FIELDS] == expected["column_names"]
    elif "tsv" in expected:
        assert written == expected["tsv"]
        assert len(decode(written)) == expected.get("columns", WIDTH)
    elif "column" in expected:
        assert decode(written)[expected["column"]] == expected["text"]
        assert len(decode(written)) == expected.get("columns", WIDTH)
    else:
        assert expected.get("tsv_contains", "") in written
        assert expected.get("tsv_not_contains", "\0") not in written


def transform(row: Vector) -> None:
    """One parameter into its columns. Java's null text is, for us, the empty one where it must be refused."""
    name, value = row["input"]["param"], row["input"]["value"]
    if name in _JSON_PARAMETERS:
        json_parameter(row)
        return
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
    assert (error.path, error.value or None) == (row["error"]["field"], value or None)
    assert row["error"].get("value", value) == value
    if "message" in row["error"]:
        assert error.message == row["error"]["message"]
    else:
        assert _said(error.message) == row["error"]["expectation"]


_JSON_PARAMETERS = [name for field in FIELDS if field.kind == "json" for name in field.params]


def json_parameter(row: Vector) -> None:
    """The older flavour writes its text anew where it is only mapped."""
    name, value = row["input"]["param"], row["input"]["value"]
    text = base64url.decode(value) if name in ("cx", "ue_px") else value
    outcome = {"expected": {"text": next(iter(row["expected"].values()))}} if "expected" in row else {}
    json_reformat({**row, "input": {"text": text}, **outcome})


def _said(message: str) -> str:
    """The older flavour's words for the newer one's."""
    older = {
        "Not a valid event type": "not recognized as an event type",
        "Not a valid platform": "not recognized as a tracking platform",
    }
    return older.get(message, message[0].lower() + message[1:])


def timestamp(row: Vector) -> None:
    if "collector_tstamp" not in row["input"]:
        single(values.timestamp)(row)
        return
    formatted = values.format_timestamp(milliseconds(row["input"]["collector_tstamp"]))
    if "error" in row:
        said = row["error"].get("message", row["error"].get("expectation"))
        assert f"formatted as {formatted} is not Redshift-compatible" == said.replace("Formatted", "formatted")
        assert not values.fits_warehouse(formatted)
        assert row["error"].get("field", "collector_tstamp") == "collector_tstamp"
    else:
        assert formatted == row["expected"]["collector_tstamp"]
        assert values.fits_warehouse(formatted)


def milliseconds(moment: str) -> int:
    """Unix time of an ISO 8601 text whose year may be any; the calendar repeats every 400 years."""
    match = re.fullmatch(r"([+-]?\d+)(-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,3}))?(?:Z|\+00:?00)", moment)
    assert match is not None
    cycles, year = divmod(int(match[1]) - 2000, 400)
    seconds = int(datetime.fromisoformat(f"{2000 + year}{match[2]}+00:00").timestamp())
    return (seconds + cycles * 146_097 * 86_400) * 1000 + int((match[3] or "").ljust(3, "0"))


def derived_tstamp(row: Vector) -> None:
    times = row["input"]
    names = ("dvce_created_tstamp", "dvce_sent_tstamp", "collector_tstamp", "true_tstamp")
    assert derive_tstamp(*(times[name] or "" for name in names)) == (row["expected"]["derived_tstamp"] or "")


def schema_name(row: Vector) -> None:
    draft = Draft([""] * WIDTH, {}, CollectorPayload())
    draft.values[INDEX["event"]] = row["input"]["event"] or ""
    unstruct = row["input"]["unstruct"]
    draft.event = Entity(unstruct["schema"], unstruct["data"]) if unstruct else None
    failure = schema_fields(draft)
    if "error" in row:
        assert failure is not None
        said = {"type": "InputData", "field": failure.field, "value": failure.value, "expectation": failure.message}
        assert row["error"].get("message") == "any failure" or said | row["error"] == said
        return
    assert failure is None
    assert all(draft.values[INDEX[name]] == (wanted or "") for name, wanted in row["expected"].items())


def json_reformat(row: Vector) -> None:
    document = jsontext.parse(row["input"]["text"], 50)
    if isinstance(document, jsontext.Malformed):
        assert "error" in row, document.message
        assert document.message == row["error"].get("message", row["error"].get("expectation"))
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
        assert document == jsontext.Malformed(row["error"]["message"])
    else:
        assert isinstance(document, jsontext.Document)


def inet_address(row: Vector) -> None:
    wanted = row["expected"]["address"]
    assert literal(row["input"]["value"]) == (None if wanted is None else literal(wanted))


def tsv_safe(row: Vector) -> None:
    assert values.tsv_safe(row["input"]["value"] or "") == (row["expected"]["value"] or "")


def is_pixel(row: Vector) -> None:
    found = request.api_path(row["input"]["path"])
    assert (found == ("com.snowplowanalytics.snowplow", "tp1")) == row["expected"]["is_pixel"]


def forwarded(row: Vector) -> None:
    given = row["input"]
    assert (request.forwarded_address(given["headers"]) or given["collector_ip"]) == row["expected"]["ip"]


def formatted(row: Vector) -> None:
    kind, _, date = (row["input"]["key_listed_in"] or "").partition(" ")
    listed: dict[str, dict[str, Any]] = {"": {}, "bools": {"kind": "bool"}, "ints": {"kind": "int"}}
    made = json_value(row["input"]["value"], **(listed | {"dates": {"date": date}})[kind])
    assert (type(made), made) == (type(row["expected"]["json"]), row["expected"]["json"])


_COLUMNS = " ".join(field.name for field in FIELDS)
_TSV = f"{_COLUMNS} pii contexts_sdjs derived_contexts_sdjs contexts_sdj derived_contexts_sdj unstruct_event_sdj"
_TIMES = "dvce_created_tstamp dvce_sent_tstamp collector_tstamp true_tstamp"


def _field(convert: Callable[[str], object]) -> Check:
    return Check(single(convert), "field value", "value", _FIELD_ERROR)


CHECKS: dict[str, Check] = {
    "api_path": Check(is_pixel, "path", "is_pixel"),
    "base64url": _field(base64url.decode),
    "boolean_byte": _field(values.boolean),
    "derived_tstamp": Check(derived_tstamp, _TIMES, "derived_tstamp"),
    "double_like": _field(values.double_like),
    "inet_address": Check(inet_address, "value", "address"),
    "integer": _field(values.integer),
    "ip_from_headers": Check(forwarded, "headers collector_ip", "ip"),
    "json_depth": Check(json_depth, "json nested levels text max_depth", "valid", "message"),
    "json_reformat": Check(json_reformat, "text", "text", "message"),
    "json_value": Check(formatted, "value key_listed_in", "json"),
    "schema_fields": Check(schema_name, "event unstruct", _COLUMNS, _FIELD_ERROR),
    "timestamp": Check(timestamp, "field value collector_tstamp", "value collector_tstamp", _FIELD_ERROR),
    "transform": Check(transform, "param value", _COLUMNS, _FIELD_ERROR),
    "tsv": Check(tsv, _TSV, "tsv tsv_contains tsv_not_contains column columns column_names text"),
    "tsv_safe": Check(tsv_safe, "value", "value"),
    "uuid": _field(values.uuid),
    "validate_integer": _field(values.integer),
}
