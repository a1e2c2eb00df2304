"""The schema columns of one table as a loader knows them: looks once, adds what a batch needs before its insert."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from loader.body import Layout, Slot
from loader.chunk import schema_key
from loader.warehouse.columns import CATCH_ALL, Family, SchemaColumn, plan
from loader.warehouse.contract import TableName, Warehouse
from shared.schema import SchemaKey
from shared.telemetry import logger

#: The documents of all known versions of a schema's major, none where no registry can say. Never raises.
Documents = Callable[[SchemaKey], Awaitable[Sequence[Mapping[str, Any]]]]


class TableColumns:
    """Lays a batch out over the columns of a table, any number of batches at once."""

    def __init__(self, warehouse: Warehouse, table: TableName, documents: Documents, most_columns: int) -> None:
        self._warehouse = warehouse
        self._table = table
        self._documents = documents
        self._most = most_columns
        self._existing: dict[str, str] = {}
        self._prepared: set[tuple[Family, SchemaKey]] = set()
        self._changing = asyncio.Lock()
        self._log = logger("loader")

    def forget(self) -> None:
        """What is known is old: look again before the next insert."""
        self._existing = {}
        self._prepared = set()

    async def layout(self, context_keys: Iterable[bytes], event_keys: Iterable[bytes]) -> Layout:
        """Columns for these schemas, all of which exist when this returns. Raises what the warehouse raises."""
        contexts, events = sorted(context_keys), sorted(event_keys)
        wanted: list[tuple[Family, SchemaKey]] = [("contexts", schema_key(key)) for key in contexts]
        wanted += [("unstruct_event", schema_key(key)) for key in events]
        if not self._prepared.issuperset(wanted):
            async with self._changing:
                await self._prepare([pair for pair in wanted if pair not in self._prepared])
        names: dict[str, int] = {}
        return Layout(
            contexts={key: self._slot("contexts", key, names) for key in contexts},
            events={key: self._slot("unstruct_event", key, names) for key in events},
            names=tuple(names),
        )

    def _slot(self, family: Family, key: bytes, names: dict[str, int]) -> Slot:
        """Where a schema's data goes; a name that is new in this insert takes the next place."""
        parsed = schema_key(key)
        column = SchemaColumn.of(family, parsed)
        own = column.name in self._existing
        name = column.name if own else CATCH_ALL[family].name
        return Slot(names.setdefault(name, len(names)), parsed.version, None if own else column.suffix)

    async def _prepare(self, wanted: Sequence[tuple[Family, SchemaKey]]) -> None:
        if not wanted:
            return
        if not self._existing:
            self._existing = dict(await self._warehouse.columns(self._table))
        documents = defaultdict[SchemaColumn, list[Mapping[str, Any]]](list)
        for family, key in wanted:  # addToCart and add_to_cart share a column, and so must their hints
            documents[SchemaColumn.of(family, key)] += await self._documents(key)
        needed = plan(self._existing, documents, self._most)
        for column, path in needed.drop:
            await self._warehouse.drop_hint(self._table, column, path)
        if needed.add:
            await self._warehouse.add_columns(self._table, needed.add)
            self._log.info("columns.added", table=self._table, columns=[column.name for column in needed.add])
        if needed.add or needed.drop:
            self._existing = dict(await self._warehouse.columns(self._table))
        self._prepared.update(wanted)
