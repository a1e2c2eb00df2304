"""sql_query on a real MariaDB, where it is installed."""

from collections.abc import Iterator
from typing import Any

import pytest

from enricher.enrichments.contract import Answer
from enricher.enrichments.parts.questions import Remembering, SqlDatabase, SqlQuestion
from enricher.enrichments.parts.rows import value
from enricher.enrichments.sql_query import translated
from enricher.lookups.lookups import Lookups
from tests.enricher.lookups import mariadb


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlDatabase]:
    programs = mariadb.binaries()
    if programs is None:
        pytest.skip("MariaDB is not installed: apt-get install mariadb-server-core mariadb-client-core")
    with mariadb.server(programs, tmp_path_factory.mktemp("mariadb")) as running:
        yield running


def question(database: SqlDatabase, sql: str, *arguments: Any, timeout_ms: int = 5_000) -> SqlQuestion:
    statement, _ = translated(sql, "mysql")
    return SqlQuestion(arguments, database, statement, arguments, Remembering(sql, 1, 1), timeout_ms)


async def test_typed_arguments_and_cells(lookups: Lookups, database: SqlDatabase) -> None:
    sql = (
        "SELECT ? AS t, ? + 1 AS n, ? AS f, CAST('2000-01-02' AS DATE) AS born, CAST(10.50 AS DECIMAL(10,2)) AS wealth"
    )
    answer = await lookups.ask(question(database, sql, "it's ? 100%", 41, 2.5))
    assert answer.error is None
    (row,) = answer.value
    assert {name: value(cell) for name, cell in row.items()} == {
        "t": "it's ? 100%",
        "n": 42,
        "f": 2.5,
        "born": "2000-01-02T00:00:00.000Z",
        "wealth": 10.5,
    }


async def test_a_percent_sign_is_itself(lookups: Lookups, database: SqlDatabase) -> None:
    sql = "SELECT 'a?b' LIKE 'a%' AS yes, ? AS n"
    assert await lookups.ask(question(database, sql, 1)) == Answer([{"yes": 1, "n": 1}])
    assert await lookups.ask(question(database, "SELECT 'a' LIKE '%' AS yes")) == Answer([{"yes": 1}])


async def test_a_wrong_statement_is_an_answer(lookups: Lookups, database: SqlDatabase) -> None:
    answer = await lookups.ask(question(database, "SELECT nothing FROM nowhere"))
    assert answer.error is not None
    assert "nowhere" in answer.error


async def test_a_slow_statement_is_given_up(lookups: Lookups, database: SqlDatabase) -> None:
    answer = await lookups.ask(question(database, "SELECT SLEEP(20)", timeout_ms=100))
    assert answer == Answer(error="no answer from the database within 100 ms")
    assert await lookups.ask(question(database, "SELECT 1 AS n")) == Answer([{"n": 1}])
