"""The warehouse on the shared server, in a database of the test's own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.settings import ClickhouseSettings
from tests.clickhouse import PASSWORD, Server

Open = Callable[..., ClickHouse]


@pytest.fixture
async def open_warehouse(clickhouse: Server, database: str) -> AsyncIterator[Open]:
    """Opens as many as a test needs; arguments override settings of the `clickhouse` section."""
    async with AsyncExitStack() as stack:

        def opened(**sections: dict[str, object]) -> ClickHouse:
            connection = {"port": clickhouse.port, "password": PASSWORD, **sections.pop("connection", {})}
            configuration = {"database": database, **sections.pop("configuration", {})}
            settings = {"connection": connection, "configuration": configuration, **sections}
            warehouse = ClickHouse(ClickhouseSettings.model_validate(settings))
            stack.push_async_callback(warehouse.close)
            return warehouse

        yield opened


@pytest.fixture
async def warehouse(open_warehouse: Open) -> ClickHouse:
    found = open_warehouse()
    await found.prepare()
    return found
