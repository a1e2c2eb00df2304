"""A ClickHouse that the tests of a run share, and a database of its own for each test."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.clickhouse import Server, running

_NUMBERS = count()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Nobody stops it."""
    with running(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture
def database(clickhouse: Server) -> Iterator[str]:
    """Name of a database that is not there yet."""
    name = f"test_{next(_NUMBERS)}"
    yield name
    clickhouse.query(f"DROP DATABASE IF EXISTS {name}")
