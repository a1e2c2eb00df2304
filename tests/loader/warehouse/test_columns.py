"""Which columns a batch needs, and which hints a schema gives."""

import pytest

from loader.warehouse.columns import (
    Family,
    SchemaColumn,
    column_type,
    contradicted,
    hints,
    hints_of,
    plan,
    without_hint,
)
from shared.schema import SchemaKey

CART = SchemaColumn("contexts", "com_acme_cart_1")
CHECKOUT = SchemaColumn("unstruct_event", "com_acme_checkout_1")


def document(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


def test_a_column_is_named_after_vendor_name_and_model() -> None:
    key = SchemaKey("com.acme-shop", "AddToCart", "jsonschema", "2-1-0")
    assert SchemaColumn.of("contexts", key).name == "contexts_com_acme_shop_add_to_cart_2"


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        ({"type": "string"}, "Nullable(String)"),
        ({"type": "string", "format": "date-time"}, "Nullable(String)"),
        ({"type": ["number", "null"]}, "Nullable(Float64)"),
        ({"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "Nullable(Int64)"),
        ({"type": "integer", "maximum": 2**64}, None),
        ({"type": "boolean"}, "Nullable(Bool)"),
        ({"type": ["string", "integer"]}, None),
        ({"type": "object"}, None),
        ({"type": ["array", "null"]}, None),
        ({"enum": ["a", "b"]}, None),
        ({}, None),
        (True, None),
    ],
)
def test_only_a_single_scalar_type_becomes_a_hint(schema: object, hint: str | None) -> None:
    assert hints([document(price=schema)]).get("price") == hint


def test_a_hint_holds_for_all_versions_or_not_at_all() -> None:
    first = document(price={"type": "integer"}, sku={"type": "string"})
    second = document(price={"type": "number"}, size={"type": "string"})
    assert set(hints([first, second])) == {"_schema_version", "sku", "size"}


def test_names_that_need_care_as_paths_get_no_hint() -> None:
    assert set(hints([document(**{"a.b": {"type": "string"}, "größe": {"type": "string"}})])) == {"_schema_version"}


def test_no_schema_and_too_many_properties_mean_no_hints() -> None:
    assert hints([]) == {}
    assert hints([document(**{f"p{number}": {"type": "string"} for number in range(101)})]) == {}


@pytest.mark.parametrize("family", ["contexts", "unstruct_event"])
def test_hints_are_read_back_from_a_type(family: Family) -> None:
    wanted = hints([document(price={"type": "number"}, ok={"type": "boolean"})])
    assert hints_of(column_type(family, wanted)) == wanted
    assert hints_of("Array(JSON(max_dynamic_paths=0, `a b` Nullable(Int64), n Nullable(Bool)))") == {
        "a b": "Nullable(Int64)",
        "n": "Nullable(Bool)",
    }


def test_a_hint_can_be_taken_out_of_a_type() -> None:
    before = column_type("contexts", {"price": "Nullable(Float64)", "sku": "Nullable(String)"})
    assert without_hint("contexts_com_acme_cart_1", before, "price") == column_type(
        "contexts", {"sku": "Nullable(String)"}
    )
    assert without_hint("contexts_com_acme_cart_1", before, "nothing") == before


def test_a_new_version_that_declares_a_path_otherwise_contradicts_its_hint() -> None:
    existing = {"price": "Nullable(Int64)", "sku": "Nullable(String)", "_schema_version": "Nullable(String)"}
    versions = [
        document(price={"type": "integer"}),
        document(price={"type": "number"}, sku={"type": "string"}),
    ]
    assert contradicted(existing, versions) == ["price"]


def test_a_plan_adds_what_is_missing_in_one_go() -> None:
    cart = document(price={"type": "number"})
    found = plan({"event_id": "UUID"}, {CART: [cart], CHECKOUT: []}, most_columns=300)
    assert [column.name for column in found.add] == [CART.name, CHECKOUT.name]
    assert "`price` Nullable(Float64)" in found.add[0].type
    assert found.add[1].type == "Nullable(JSON(max_dynamic_paths=0))"
    assert not found.drop
    assert not found.catch_all


def test_a_plan_for_a_table_that_fits_is_empty() -> None:
    existing = {CART.name: column_type("contexts", {"price": "Nullable(Float64)"})}
    assert plan(existing, {CART: [document(price={"type": "number"})]}, 300) == ((), (), frozenset())


def test_a_plan_drops_hints_that_a_version_contradicts() -> None:
    existing = {CART.name: column_type("contexts", {"price": "Nullable(Int64)"})}
    assert plan(existing, {CART: [document(price={"type": "number"})]}, 300).drop == ((CART.name, "price"),)


def test_beyond_the_cap_data_goes_to_the_catch_all_columns() -> None:
    existing = {"contexts_com_acme_other_1": "Array(JSON(max_dynamic_paths=0))"}
    found = plan(existing, {CART: [], CHECKOUT: []}, most_columns=2)
    assert [column.name for column in found.add] == [CART.name, "unstruct_event"]
    assert found.catch_all == {CHECKOUT}
    again = plan({**existing, **dict(found.add)}, {CART: [], CHECKOUT: []}, most_columns=2)
    assert again == ((), (), frozenset({CHECKOUT}))
