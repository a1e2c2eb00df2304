"""Values survive the way from an enriched line to the table and back.

The exceptions, which docs/warehouse.md states: in JSON, null members and empty objects vanish, integers beyond 64 bits
come back as text, and a number with an integer hint must be one.
"""

import asyncio
import json
import string
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loader import body
from loader.chunk import read
from loader.columns import TableColumns
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.columns import VERSION_KEY, Family, SchemaColumn, is_schema_column
from loader.warehouse.settings import ClickhouseSettings, ConfigurationSettings, ConnectionSettings
from shared.event import FIELDS, Field
from shared.schema import SchemaKey
from tests.clickhouse import PASSWORD, Server

CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"
UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
HINTED = {
    "type": "object",
    "properties": {
        "text": {"type": ["string", "null"]},
        "whole": {"type": "integer"},
        "amount": {"type": "number"},
        "yes": {"type": "boolean"},
    },
}

#: What a line may hold: the enricher puts spaces for tabs and line breaks.
_PRINTABLE = st.characters(exclude_categories=["Cs", "Cc"])
TEXT = st.text(_PRINTABLE, min_size=1, max_size=20)
KEYS = st.text(st.sampled_from(string.ascii_letters + string.digits + "._-$ %/ü€\"\\'`"), max_size=8)
DATES = st.sampled_from(
    ["2026-01-02", "2026-01-02T03:04:05.678Z", "2026-01-02 03:04:05", "12:34", "1", "1.5", "true", "null"]
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**9), 10**9, places=4, allow_nan=False).map(float),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), DATES
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
DATA = st.dictionaries(KEYS.filter(lambda key: key != VERSION_KEY), JSON, max_size=4)
HINTED_DATA = st.fixed_dictionaries(
    {},
    optional={
        "text": st.one_of(st.none(), TEXT, DATES),
        "whole": st.integers(-(2**63), 2**63 - 1),
        "amount": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "yes": st.booleans(),
        "other": JSON,
    },
)
ENTITIES = st.one_of(
    st.tuples(st.just("iglu:com.acme/plain/jsonschema/1-0-0"), DATA),
    st.tuples(st.just("iglu:com.acme/hinted/jsonschema/1-0-2"), HINTED_DATA),
)


def _cell(field: Field) -> st.SearchStrategy[str]:
    moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001
    strategies: Mapping[str, st.SearchStrategy[str]] = {
        "text": TEXT,
        "uuid": st.uuids().map(str),
        "timestamp": moments.map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]),
        "int": st.integers(-(2**31), 2**31 - 1).map(str),
        "bool": st.sampled_from(["0", "1"]),
        "decimal": st.decimals(-(10**19), 10**19, places=9, allow_nan=False).map(str),
        "float": st.floats(-180, 180, width=32).map(repr),
    }
    return strategies[field.kind]


ATOMIC = [field for field in FIELDS if field.kind != "json"]
REQUIRED = {"collector_tstamp": "2026-01-02 03:04:05.678", "v_collector": "c", "v_etl": "e"}
EMPTY: dict[str, Any] = (
    {field.name: "" for field in ATOMIC} | REQUIRED | {"contexts": [], "derived_contexts": [], "unstruct_event": None}
)


@st.composite
def atomic_events(draw: st.DrawFn) -> dict[str, Any]:
    """An event with values in some of its columns."""
    fields = draw(st.lists(st.sampled_from(ATOMIC), max_size=12, unique=True))
    return EMPTY | {"event_id": str(draw(st.uuids()))} | {field.name: draw(_cell(field)) for field in fields}


@st.composite
def described_events(draw: st.DrawFn) -> dict[str, Any]:
    """An event with entities, and perhaps a self-describing event."""
    return EMPTY | {
        "event_id": str(draw(st.uuids())),
        "contexts": draw(st.lists(ENTITIES, max_size=3)),
        "derived_contexts": draw(st.lists(ENTITIES, max_size=2)),
        "unstruct_event": draw(st.none() | ENTITIES),
    }


def line(event: Mapping[str, Any]) -> bytes:
    """The enriched line."""

    def cell(field: Field) -> str:
        value = event[field.name]
        if field.kind != "json":
            return str(value)
        if field.name == "unstruct_event":
            return _document(UNSTRUCT, _document_of(value)) if value else ""
        return _document(CONTEXTS, [_document_of(entity) for entity in value]) if value else ""

    return "\t".join(map(cell, FIELDS)).encode()


def _document(schema: str, data: Any) -> str:
    return json.dumps({"schema": schema, "data": data}, ensure_ascii=False, separators=(",", ":"))


def _document_of(entity: tuple[str, Any]) -> dict[str, Any]:
    return {"schema": entity[0], "data": entity[1]}


def _doubles(items: list[Any]) -> list[Any]:
    """An array that holds a fraction holds doubles."""

    def numbers(item: Any) -> Iterator[Any]:
        if isinstance(item, list):
            for inner in item:
                yield from numbers(inner)
        elif type(item) in (int, float):
            yield item

    def doubled(item: Any) -> Any:
        if isinstance(item, list):
            return [doubled(inner) for inner in item]
        return float(item) if type(item) is int else item

    return [doubled(item) for item in items] if any(type(number) is float for number in numbers(items)) else items


def kept(value: Any) -> Any:
    """What the JSON type keeps of a document: in objects no nulls and no empty objects, in arrays everything."""
    if isinstance(value, list):
        return _doubles([kept(item) for item in value])
    if isinstance(value, dict):
        members = {key: kept(member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not None and member != {}}
    return value


async def documents(key: SchemaKey) -> list[Mapping[str, Any]]:
    return [HINTED] if key.name == "hinted" else []


class Table:
    """Takes events through the loader's own steps, and reads them back."""

    def __init__(self, runner: asyncio.Runner, warehouse: ClickHouse, server: Server, database: str) -> None:
        self._runner = runner
        self._warehouse = warehouse
        self._server = server
        self._database = database
        self._columns = TableColumns(warehouse, "events", documents, most_columns=300)

    def round_trip(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._server.query(f"TRUNCATE TABLE {self._database}.events")
        self._runner.run(self._store(b"\n".join(map(line, events)), len(events)))
        return self._read(self._runner.run(self._warehouse.columns("events")))

    async def _store(self, lines: bytes, rows: int) -> None:
        chunk = read(lines)
        assert not chunk.bad
        layout = await self._columns.layout(chunk.context_keys, chunk.event_keys)
        insert = body.header(layout) + body.rows(chunk, layout)
        assert await self._warehouse.insert("events", insert, sha256(insert).hexdigest()) == rows

    def _read(self, columns: Mapping[str, str]) -> list[dict[str, Any]]:
        shown = [
            f"toJSONString({name}) AS {name}" if "JSON" in kind else f"toString({name}) AS {name}"
            for name, kind in columns.items()
        ]
        answer = self._server.query(
            f"SELECT {', '.join(shown)} FROM {self._database}.events FORMAT JSONEachRow",
            json_type_escape_dots_in_keys="1",
            output_format_json_quote_64bit_integers="0",
        )
        return [json.loads(text) for text in answer.split("\n") if text]


@pytest.fixture
def table(clickhouse: Server, database: str) -> Iterator[Table]:
    configuration = ConfigurationSettings(database=database)
    connection = ConnectionSettings.model_validate({"port": clickhouse.port, "password": PASSWORD})
    with asyncio.Runner() as runner:

        async def opened() -> ClickHouse:
            warehouse = ClickHouse(ClickhouseSettings(connection=connection, configuration=configuration))
            await warehouse.prepare()
            return warehouse

        warehouse = runner.run(opened())
        yield Table(runner, warehouse, clickhouse, database)
        runner.run(warehouse.close())


def same(field: Field, sent: str, found: str | None) -> bool:
    """An empty cell is NULL, or the empty text in a column that the table is sorted by."""
    if not sent or found is None:
        return not sent and not found
    if field.kind == "bool":
        return found == {"0": "false", "1": "true"}[sent]
    if field.kind == "decimal":
        return Decimal(sent) == Decimal(found)
    return float(sent) == float(found) if field.kind == "float" else sent == found


def differences(found: Any, sent: Any, path: str = "") -> Iterator[str]:
    """Where documents differ. A number that was sent as a double is the same double, whatever its digits."""
    if isinstance(sent, list) and isinstance(found, list) and len(found) == len(sent):
        for place, (left, right) in enumerate(zip(found, sent, strict=True)):
            yield from differences(left, right, f"{path}[{place}]")
    elif isinstance(sent, dict) and isinstance(found, dict) and found.keys() == sent.keys():
        for key in sent:
            yield from differences(found[key], sent[key], f"{path}.{key!r}")
    elif sent is None and found in ([], {}):
        return
    elif isinstance(sent, float) and type(found) in (int, float):
        yield from () if float(found) == sent else (f"{path}: {found!r}, not {sent!r}",)
    elif isinstance(sent, bool) is not isinstance(found, bool) or found != sent:
        yield f"{path}: {found!r}, not {sent!r}"


def column_of(family: Family, entity: tuple[str, Any]) -> str:
    return SchemaColumn.of(family, SchemaKey.parse(entity[0])).name


def expected(event: Mapping[str, Any]) -> dict[str, Any]:
    """Schema column → what it must hold."""
    found: dict[str, Any] = {}
    for entity in [*event["contexts"], *event["derived_contexts"]]:
        found.setdefault(column_of("contexts", entity), []).append(_stored(entity))
    if event["unstruct_event"]:
        found[column_of("unstruct_event", event["unstruct_event"])] = _stored(event["unstruct_event"])
    return found


def _stored(entity: tuple[str, Any]) -> Any:
    return kept({VERSION_KEY: entity[0].rpartition("/")[2], **entity[1]})


def check(table: Table, events: list[dict[str, Any]]) -> None:
    events = list({event["event_id"]: event for event in events}.values())
    found = {row["event_id"]: row for row in table.round_trip(events)}
    assert len(found) == len(events)
    for event in events:
        row = found[event["event_id"]]
        for field in ATOMIC:
            assert same(field, event[field.name], row[field.name]), field.name
        columns = {name: kept(json.loads(row[name])) for name in row if is_schema_column(name) and row[name]}
        assert not list(differences({name: value for name, value in columns.items() if value}, expected(event)))


few = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@few
@given(st.lists(atomic_events(), min_size=1, max_size=8))
def test_atomic_values_come_back(table: Table, events: list[dict[str, Any]]) -> None:
    check(table, events)


@few
@given(st.lists(described_events(), min_size=1, max_size=6))
def test_documents_come_back(table: Table, events: list[dict[str, Any]]) -> None:
    check(table, events)
