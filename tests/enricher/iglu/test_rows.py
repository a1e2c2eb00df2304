"""Envelopes told valid by hand: never what jsonschema refuses, and without asking the other engine."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enricher.iglu.compiled import compile_schema
from enricher.iglu.contract import InvalidSchema
from enricher.iglu.engine import CompiledSchema
from enricher.iglu.prepare import prepare
from enricher.iglu.rows import rows
from shared.iglu.config import BUNDLED
from shared.schema import SchemaKey

SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"
CONTEXTS, PAYLOAD_DATA = f"{SNOWPLOW}/contexts/jsonschema/1-0-0", f"{SNOWPLOW}/payload_data/jsonschema/1-0-4"
WEB_PAGE = f"{SNOWPLOW}/web_page/jsonschema/1-0-0"
EVENT = {"e": "pv", "p": "web", "tv": "js-4"}
ENTITY = {"schema": WEB_PAGE, "data": None}


def document(uri: str) -> Any:
    return json.loads((BUNDLED / SchemaKey.parse(uri).path).read_bytes())


def compiled(uri: str) -> CompiledSchema:
    schema = compile_schema(SchemaKey.parse(uri), document(uri))
    assert not isinstance(schema, InvalidSchema)
    return schema


class Unasked(Exception):
    """The other engine was asked."""


def unasked(_: Any) -> bool:
    raise Unasked


@pytest.mark.parametrize("uri", [CONTEXTS, PAYLOAD_DATA])
@pytest.mark.parametrize("count", [1, 3])
def test_what_trackers_send_needs_nobody_else(uri: str, count: int) -> None:
    is_valid = rows(prepare(document(uri)).record, unasked)
    assert is_valid is not None
    assert is_valid([ENTITY if uri == CONTEXTS else EVENT] * count)


@pytest.mark.parametrize(
    ("uri", "instance"),
    [
        (CONTEXTS, []),
        (CONTEXTS, {}),
        (CONTEXTS, [ENTITY, 1]),
        (CONTEXTS, [{**ENTITY, "schema": "iglu:a/b"}]),
        (CONTEXTS, [{**ENTITY, "schema": 1}]),
        (CONTEXTS, [{**ENTITY, "more": 1}]),
        (CONTEXTS, [{"schema": WEB_PAGE}]),
        (PAYLOAD_DATA, [{**EVENT, "page": None}]),
        (PAYLOAD_DATA, [{**EVENT, "colour": "red"}]),
        (PAYLOAD_DATA, [EVENT, {"e": "pv"}]),
    ],
)
def test_what_is_not_valid_is_left_to_others(uri: str, instance: Any) -> None:
    is_valid = rows(prepare(document(uri)).record, unasked)
    assert is_valid is not None
    with pytest.raises(Unasked):
        is_valid(instance)
    assert compiled(uri).reports(instance)


@pytest.mark.parametrize(
    "change",
    [
        {"maxItems": 3},
        {"uniqueItems": True},
        {"items": [{}]},
        {"items": {"type": "object"}},
        {"type": ["array", "null"]},
        {"items": {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "integer"}}}},
        {"items": {"type": "object", "additionalProperties": False, "properties": {"a": {"maxLength": 1}}}},
        {"items": {"type": "object", "additionalProperties": False, "patternProperties": {"a": {}}}},
        {"items": {"type": "object", "additionalProperties": {}, "properties": {}}},
    ],
)
def test_schemas_of_another_form_are_none(change: dict[str, Any]) -> None:
    assert rows({**prepare(document(CONTEXTS)).record, **change}, unasked) is None


values = st.none() | st.text(max_size=3) | st.integers() | st.just(WEB_PAGE) | st.lists(st.none(), max_size=1)
names = st.sampled_from(["schema", "data", "e", "p", "tv", "page", "colour"])


@given(st.sampled_from([CONTEXTS, PAYLOAD_DATA]), st.lists(st.dictionaries(names, values, max_size=4) | values))
def test_never_valid_where_jsonschema_refuses(uri: str, instance: Any) -> None:
    is_valid = rows(prepare(document(uri)).record, lambda _: False)
    assert is_valid is not None
    if is_valid(instance):
        assert compiled(uri).judge(instance) == ()
