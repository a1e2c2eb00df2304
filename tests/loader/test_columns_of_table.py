"""Which columns a batch is laid out over: what exists, what is added, and what is beyond the cap."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from loader.columns import TableColumns
from loader.warehouse.columns import VERSION_KEY, hints_of
from loader.warehouse.contract import Column, TableName
from shared.schema import SchemaKey
from tests.loader.fakes import FakeWarehouse

CART = b"com.acme/cart/jsonschema/1-0-0"
NEWER_CART = b"com.acme/cart/jsonschema/1-0-1"
BUY = b"com.acme/buy/jsonschema/2-0-0"


class Documents:
    """Schemas by version; counts how often it was asked."""

    def __init__(self, **price: str) -> None:
        self._types = price
        self.asked: list[str] = []

    async def __call__(self, key: SchemaKey) -> Sequence[Mapping[str, Any]]:
        self.asked.append(key.uri)
        await asyncio.sleep(0)
        return [{"properties": {"price": {"type": kind}}} for kind in self._types.values()]


def columns(warehouse: FakeWarehouse, documents: Documents | None = None, most: int = 300) -> TableColumns:
    return TableColumns(warehouse, "events", documents or Documents(), most)


async def test_places_follow_the_names_of_the_insert() -> None:
    warehouse = FakeWarehouse(existing={"contexts_com_acme_cart_1": "Array(JSON)"})
    layout = await columns(warehouse).layout({CART, NEWER_CART}, {BUY})
    assert layout.names == ("contexts_com_acme_cart_1", "unstruct_event_com_acme_buy_2")
    assert [(slot.place, slot.version) for _, slot in sorted(layout.contexts.items())] == [(0, "1-0-0"), (0, "1-0-1")]
    assert layout.events[BUY].place == 1
    assert [column.name for column in warehouse.added[0]] == ["unstruct_event_com_acme_buy_2"]


async def test_one_schema_as_event_and_as_entity_has_two_columns() -> None:
    layout = await columns(FakeWarehouse()).layout({BUY}, {BUY})
    assert layout.names == ("contexts_com_acme_buy_2", "unstruct_event_com_acme_buy_2")


async def test_columns_have_the_hints_of_their_schema() -> None:
    warehouse = FakeWarehouse()
    await columns(warehouse, Documents(first="number")).layout({CART}, set())
    assert "`price` Nullable(Float64)" in warehouse.added[0][0].type


async def test_registries_are_asked_once_per_schema() -> None:
    documents = Documents()
    known = columns(FakeWarehouse(), documents)
    for _ in range(3):
        await known.layout({CART}, set())
    await asyncio.gather(*(known.layout({CART, BUY}, set()) for _ in range(5)))
    assert len(documents.asked) == 2


async def test_a_version_that_contradicts_a_hint_drops_it_before_any_row_is_refused() -> None:
    warehouse = FakeWarehouse()
    await columns(warehouse, Documents(first="integer")).layout({CART}, set())
    await columns(warehouse, Documents(first="integer", second="string")).layout({NEWER_CART}, set())
    assert warehouse.dropped == [("contexts_com_acme_cart_1", "price")]


async def test_beyond_the_cap_data_goes_to_the_catch_all() -> None:
    warehouse = FakeWarehouse(existing={"contexts_com_acme_cart_1": "Array(JSON)"})
    layout = await columns(warehouse, most=1).layout({CART, BUY}, {BUY})
    assert layout.names == ("contexts", "contexts_com_acme_cart_1", "unstruct_event")
    assert layout.contexts[BUY].inside == "com_acme_buy_2"
    assert layout.contexts[CART].inside is None
    assert layout.events[BUY].inside == "com_acme_buy_2"
    assert [column.name for column in warehouse.added[0]] == ["contexts", "unstruct_event"]


async def test_several_loaders_may_add_the_same_columns() -> None:
    class Racing(FakeWarehouse):
        """Another loader adds the columns while this one does."""

        async def add_columns(self, table: TableName, columns: Sequence[Column]) -> None:
            self.existing = {**self.existing, **dict(columns)}
            await super().add_columns(table, columns)

    layout = await columns(Racing()).layout({CART}, set())
    assert layout.contexts[CART].inside is None


async def test_what_was_forgotten_is_looked_up_again() -> None:
    warehouse = FakeWarehouse()
    known = columns(warehouse)
    await known.layout({CART}, set())
    warehouse.existing = {}
    known.forget()
    await known.layout({CART}, set())
    assert len(warehouse.added) == 2


async def test_schemas_that_share_a_column_share_its_hints() -> None:
    async def documents(key: SchemaKey) -> Sequence[Mapping[str, Any]]:
        kind = "string" if key.name == "addToCart" else "integer"
        return [{"properties": {"price": {"type": kind}, "sku": {"type": "string"}}}]

    warehouse = FakeWarehouse()
    known = TableColumns(warehouse, "events", documents, 300)
    keys = {b"com.acme/addToCart/jsonschema/1-0-0", b"com.acme/add_to_cart/jsonschema/1-0-0"}
    layout = await known.layout(keys, set())
    assert layout.names == ("contexts_com_acme_add_to_cart_1",)
    assert hints_of(warehouse.added[0][0].type) == {VERSION_KEY: "Nullable(String)", "sku": "Nullable(String)"}
