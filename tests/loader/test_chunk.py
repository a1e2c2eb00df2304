"""Chunks of enriched lines become bodies of inserts; golden cases in golden/transform.json."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader import cells
from loader.body import ATOMIC, Layout, Slot, header, rows
from loader.chunk import Chunk, failure_of, read, schema_key
from loader.entities import DATA
from shared.event import FIELDS, INDEX
from shared.schema import column_suffix
from tests.loader.lines import CONTEXTS, UNSTRUCT, compact, contexts, event_id, line, table, unstruct

GOLDEN = json.loads((Path(__file__).parent / "golden" / "transform.json").read_text())


def layout(chunk: Chunk) -> Layout:
    """Columns for what occurs, one per schema major."""
    names: list[str] = []

    def slots(family: str, keys: frozenset[bytes]) -> dict[bytes, Slot]:
        found = {}
        for key in sorted(keys):
            schema = schema_key(key)
            name = f"{family}_{column_suffix(schema.vendor, schema.name, schema.model)}"
            if name not in names:
                names.append(name)
            found[key] = Slot(names.index(name), schema.version)
        return found

    contexts_slots = slots("contexts", chunk.context_keys)
    return Layout(events=slots("unstruct_event", chunk.event_keys), contexts=contexts_slots, names=tuple(names))


def insert(chunk: Chunk) -> bytes:
    found = layout(chunk)
    return header(found) + rows(chunk, found)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
@pytest.mark.parametrize("careful", [False, True])
def test_golden(case: dict[str, Any], careful: bool) -> None:
    chunk = read(line(**case["cells"]), careful)
    assert chunk.bad == []
    row = table(insert(chunk))[0]
    assert {name: row.get(name) for name in case["expect"]} == case["expect"]


def test_atomic_columns_keep_their_order_and_count() -> None:
    names = [field.name for field in FIELDS if field.kind != "json"]
    assert list(ATOMIC) == names
    assert len(names) == 128


def test_every_cell_arrives_in_its_own_column() -> None:
    texts = {field.name: f"<{field.name}>" for field in FIELDS if field.kind == "text"}
    row = table(insert(read(line(**texts))))[0]
    assert {name: row[name] for name in texts} == texts


def test_columns_of_other_lines_stay_empty() -> None:
    first = line(1, contexts=contexts(("com.acme/a/jsonschema/1-0-0", {"x": 1})))
    second = line(2, contexts=contexts(("com.acme/b/jsonschema/1-0-0", {"y": 2})))
    found = table(insert(read(first + b"\n" + second)))
    assert "contexts_com_acme_b_1" not in found[0]
    assert found[1]["contexts_com_acme_b_1"] == """['{"_schema_version":"1-0-0","y":2}']"""


def test_entities_of_both_columns_of_one_schema_share_an_array() -> None:
    schema = "com.acme/a/jsonschema/"
    tracked, derived = contexts((f"{schema}1-0-0", {"n": 1})), contexts((f"{schema}1-0-1", {"n": 2}))
    row = table(insert(read(line(contexts=tracked, derived_contexts=derived))))[0]
    assert (
        row["contexts_com_acme_a_1"] == """['{"_schema_version":"1-0-0","n":1}','{"_schema_version":"1-0-1","n":2}']"""
    )


def test_what_has_no_column_goes_to_the_catch_all() -> None:
    chunk = read(
        line(
            contexts=contexts(
                ("com.acme/a/jsonschema/1-0-0", {"n": 1}),
                ("com.acme/a/jsonschema/1-0-1", {"n": 2}),
                ("com.acme/b/jsonschema/2-0-0", {"it's": True}),
            ),
            unstruct_event=unstruct("com.acme/c/jsonschema/1-0-0", {}),
        )
    )
    places = Layout(
        ("contexts", "unstruct_event"),
        {key: Slot(0, schema_key(key).version, schema_key(key).name) for key in chunk.context_keys},
        {key: Slot(1, "1-0-0", "c") for key in chunk.event_keys},
    )
    row = table(header(places) + rows(chunk, places))[0]
    assert json.loads(row["contexts"].replace("\\'", "'")) == {
        "a": [{"_schema_version": "1-0-0", "n": 1}, {"_schema_version": "1-0-1", "n": 2}],
        "b": [{"_schema_version": "2-0-0", "it's": True}],
    }
    assert json.loads(row["unstruct_event"]) == {"c": {"_schema_version": "1-0-0"}}


def parts(entities: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    return [entity.partition(DATA) for entity in entities]


NESTED = {"items": [{"schema": "iglu:com.acme/n/jsonschema/1-0-0", "data": {"q": 1}}] * 2}


@pytest.mark.parametrize(
    "cell",
    [
        contexts(("com.acme/a/jsonschema/1-0-0", NESTED), ("com.acme/b/jsonschema/1-0-0", {})),
        contexts(("com.acme/a/jsonschema/1-0-0", {"list": [{"x": 1}, {"y": 2}]})),
        compact({"schema": CONTEXTS, "data": [{"data": {"x": 1}, "schema": "iglu:com.acme/a/jsonschema/1-0-0"}]}),
        json.dumps({"schema": CONTEXTS, "data": [{"schema": "iglu:com.acme/a/jsonschema/1-0-0", "data": {"x": 1}}]}),
        compact({"schema": CONTEXTS, "data": []}),
        "",
    ],
)
def test_cutting_finds_the_entities_that_parsing_finds(cell: str) -> None:
    quick, careful = (read(line(contexts=cell), way).contexts for way in (False, True))
    data = json.loads(cell)["data"] if cell else []
    expected = [(entity["schema"].removeprefix("iglu:"), entity["data"]) for entity in data]
    for found in (quick, careful):
        assert [(key.decode(), json.loads(data)) for key, _, data in parts(found[0])] == expected


def test_a_cut_inside_an_entity_leaves_what_no_json_parser_takes() -> None:
    """Only a mixed array gets there; the store refuses the row, and the careful reading has it right."""
    mixed = {"items": [{"x": 1}, {"schema": "iglu:com.acme/n/jsonschema/1-0-0", "data": {}}]}
    cell = contexts(("com.acme/a/jsonschema/1-0-0", mixed))
    for _, _, data in parts(read(line(contexts=cell)).contexts[0]):
        with pytest.raises(ValueError, match=r"Expecting|Extra data"):
            json.loads(data)
    careful = parts(read(line(contexts=cell), careful=True).contexts[0])
    assert [json.loads(data) for _, _, data in careful] == [mixed]


def failure(**values: str) -> Any:
    return failure_of(line(**values))


def invalid(key: str, value: str, message: str) -> dict[str, Any]:
    return {
        "type": "RowDecodingError",
        "errors": [{"type": "InvalidValue", "key": key, "value": value, "message": message}],
    }


LARGER = "more than 58 digits before the point, which is what tables hold"
OUTSIDE = "outside of 1900 to 2299, which is what tables hold"


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("event_id", "x", "UUID"),
        ("event_id", "c6ef3124-b53a-4b13-a233-0088f79dcbcg", "UUID"),
        ("txn_id", "2147483648", "integer"),
        ("txn_id", "1.0", "integer"),
        ("br_viewwidth", "-2147483649", "integer"),
        ("br_cookies", "true", "boolean"),
        ("geo_latitude", "north", "double"),
        ("tr_total", "1,5", "double"),
        ("tr_total", "NaN", "double"),
        ("se_value", "1E+58", f"double: {LARGER}"),
        ("se_value", "-" + "9" * 59, f"double: {LARGER}"),
        ("derived_tstamp", "2026-02-30 00:00:00.000", "datetime"),
        ("derived_tstamp", "2026-01-01T00:00:00.000", "datetime"),
        ("derived_tstamp", "1899-12-31 23:59:59.999", f"datetime: {OUTSIDE}"),
        ("true_tstamp", "2300-02-28 00:00:00.000", f"datetime: {OUTSIDE}"),
        ("dvce_created_tstamp", "9999-12-31 23:59:59.999", f"datetime: {OUTSIDE}"),
        ("dvce_created_tstamp", "9999-12-32 23:59:59.999", "datetime"),
        ("dvce_sent_tstamp", "2026-01-01 25:00:00.000", "datetime"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(key: str, value: str, word: str) -> None:
    assert failure(**{key: value}) == invalid(key, value, f"Cannot parse key {key} into {word}")


@pytest.mark.parametrize("value", ["1E+57", "9" * 58 + ".5", "-1e-200", "000" + "9" * 58])
def test_decimals_reach_as_far_as_the_tables(value: str) -> None:
    assert failure(se_value=value) is None
    assert len(read(line(se_value=value))) == 1


@pytest.mark.parametrize("data", ['{"n":1e999}', '{"n":[-1E400]}', '{"t":"\\ud800"}', '{"\\udc00":1}', '{"n":NaN}'])
def test_json_that_the_store_cannot_read_is_named(data: str) -> None:
    cell = contexts(("com.acme/a/jsonschema/1-0-0", "DATA")).replace('"DATA"', data)
    assert failure(contexts=cell)["errors"][0]["message"].startswith("Cannot parse JSON: ")


@pytest.mark.parametrize("key", cells.REQUIRED)
def test_what_is_required_is_named(key: str) -> None:
    assert failure(**{key: ""}) == invalid(key, "", f"Field {key} cannot be empty")


def test_json_that_is_not_what_its_column_is_for_is_named() -> None:
    wrong = compact({"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": []})
    message = "Unknown payload: iglu:com.acme/x/jsonschema/1-0-0"
    assert failure(contexts=wrong) == invalid("contexts", wrong, message)
    nameless = unstruct("com.acme/no-version", {})
    assert failure(unstruct_event=nameless) == invalid(
        "unstruct_event", nameless, "Unknown payload: iglu:com.acme/no-version"
    )
    assert failure(derived_contexts="{")["errors"][0]["message"].startswith("Cannot parse JSON")


@pytest.mark.parametrize("schema", ["", "iglu:", "iglu:com.acme/x", "com.acme/x/jsonschema/1-0-0", "iglu:a/b/c/1-0"])
@pytest.mark.parametrize("column", ["contexts", "unstruct_event", "derived_contexts"])
def test_an_entity_without_a_schema_is_named(schema: str, column: str) -> None:
    entity = {"schema": schema, "data": {}}
    cell = (
        {"schema": UNSTRUCT, "data": entity} if column == "unstruct_event" else {"schema": CONTEXTS, "data": [entity]}
    )
    bad = line(2, **{column: compact(cell)})
    chunk = read(b"\n".join([line(1), bad, line(3)]))
    assert [found.line for found in chunk.bad] == [bad]
    assert len(table(insert(chunk))) == 2


def test_all_errors_of_a_line_are_named_in_column_order() -> None:
    found = failure(txn_id="x", event_id="y", contexts="z")
    assert [error["key"] for error in found["errors"]] == ["event_id", "txn_id", "contexts"]


def test_lines_of_another_width_are_named() -> None:
    assert failure_of(b"no tabs at all") == {"type": "NotTSV"}
    assert failure_of(b"a\tb") == {"type": "FieldNumberMismatch", "fieldCount": 2}
    assert failure_of(b"\t" * 5000) == {"type": "FieldNumberMismatch", "fieldCount": 1024}


def test_a_bad_line_leaves_its_neighbours() -> None:
    chunk = read(b"\n".join([line(1), b"broken", line(2, txn_id="x"), line(3), b""]))
    assert chunk.event_ids == [event_id(1).encode(), event_id(3).encode()]
    assert chunk.lines() == [line(1), line(3)]
    assert [bad.failure["type"] for bad in chunk.bad] == ["NotTSV", "RowDecodingError", "NotTSV"]
    assert len(table(insert(chunk))) == 2


def test_a_tab_too_many_in_one_line_and_one_too_few_in_the_next_is_not_balanced_out() -> None:
    first, second = line(1), line(2)
    shifted = first + b"\t\n" + second[second.index(b"\t") + 1 :]
    assert [bad.failure["fieldCount"] for bad in read(shifted).bad] == [132, 130]


def test_taking_rows_takes_them_in_every_column() -> None:
    chunk = read(b"\n".join(line(number, app_id=f"a{number}") for number in range(5)))
    taken = chunk.take([4, 1])
    assert taken.lines() == [line(4, app_id="a4"), line(1, app_id="a1")]
    assert [row["app_id"] for row in table(insert(taken))] == ["a4", "a1"]
    assert insert(read(taken.body)) == insert(taken)


def test_an_empty_chunk_has_no_rows() -> None:
    assert len(read(b"")) == 0
    assert rows(read(b""), layout(read(b""))) == b""


TEXTS = [INDEX[field.name] for field in FIELDS]


@given(st.lists(st.dictionaries(st.sampled_from(TEXTS), st.text(max_size=30), max_size=8), min_size=1, max_size=4))
def test_every_line_is_either_stored_or_named(changes: list[dict[int, str]]) -> None:
    """A chunk and its lines are judged alike, whatever is in the cells."""
    lines = []
    for number, change in enumerate(changes):
        row = line(number).decode().split("\t")
        for place, text in change.items():
            row[place] = text.replace("\n", "")
        lines.append("\t".join(row).encode("utf-8", "replace"))
    chunk = read(b"\n".join(lines))
    bad = {found.line for found in chunk.bad}
    assert len(chunk) + len(chunk.bad) == len(lines)
    for each in lines:
        assert (each in bad) == (failure_of(each) is not None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["com.acme/a/jsonschema/1-0-0", "com.acme/b/jsonschema/2-0-0"]), JSON), max_size=3
    )
)
def test_what_is_cut_is_what_was_there(entities: list[tuple[str, Any]]) -> None:
    for careful in (False, True):
        found = read(line(contexts=contexts(*entities)), careful).contexts[0]
        texts = [data.decode().replace("\\'", "'").replace("\\\\", "\\") for _, _, data in parts(found)]
        assert [json.loads(text) for text in texts] == [data for _, data in entities]
