"""sql_query on a real PostgreSQL: typed arguments, every kind of cell, errors as answers."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from enricher.enrichments import sql_query
from enricher.enrichments.contract import Answer, Patch, Resources
from enricher.enrichments.parts.questions import Remembering, SqlDatabase, SqlQuestion
from enricher.lookups.lookups import Lookups
from enricher.lookups.sql import fit
from tests.enricher.enrichments.drafts import documents, draft
from tests.enricher.lookups import postgres

ROWS = """
    CREATE TABLE users (id text, n int, score float8, born date, wealth numeric, extra jsonb, uid uuid, ok bool, seen
        timestamptz);
    INSERT INTO users VALUES
        ('alice', 1, 2.5, '2000-01-02', 10.50, '{"a": [1]}', '0f8fad5b-d9cb-469f-a165-70867728950e', true,
         '2020-01-01T00:00:00Z'),
        ('007', 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.fixture(scope="module")
def database() -> Iterator[SqlDatabase]:
    place = postgres.binaries()
    if place is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server(place) as running:
        asyncio.run(_fill(running))
        yield running


async def _fill(database: SqlDatabase) -> None:
    connection = await _connect(database)
    await connection.execute(ROWS)
    await connection.close()


async def _connect(database: SqlDatabase) -> "asyncpg.Connection[Any]":
    return await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.username,
        password=database.password,
        database=database.database,
    )


def configured(database: SqlDatabase, sql: str, *inputs: dict[str, Any], **options: Any) -> sql_query.State:
    server = {
        "host": database.host,
        "port": database.port,
        "sslMode": False,
        "username": database.username,
        "password": database.password,
        "database": database.database,
    }
    output = {"schema": "iglu:com.acme/user/jsonschema/1-0-0", "describes": "ALL_ROWS", "propertyNames": "AS_IS"}
    parameters = {
        "inputs": inputs,
        "database": {"postgresql": server},
        "query": {"sql": sql},
        "output": {"expectedRows": "AT_MOST_ONE", "json": output},
        "cache": {"size": 10, "ttl": 60},
        **options,
    }
    return sql_query.prepare(sql_query.Config.model_validate(parameters), Resources(Path(), Path()))


BY_ID = {"placeholder": 1, "pojo": {"field": "user_id"}}


async def looked_up(lookups: Lookups, state: sql_query.State, **event: Any) -> Patch | None:
    before = draft(event)
    query = sql_query.ask(before, state)
    answer = await lookups.ask(query.question) if query else None
    return sql_query.enrich(before, state, answer)


async def test_a_row_becomes_an_entity(lookups: Lookups, database: SqlDatabase) -> None:
    state = configured(database, "SELECT * FROM users WHERE id = ?", BY_ID)
    patch = await looked_up(lookups, state, user_id="alice")
    assert patch is not None
    (found,) = documents(patch.contexts)
    assert found["data"] == {
        "id": "alice",
        "n": 1,
        "score": 2.5,
        "born": "2000-01-02T00:00:00.000Z",
        "wealth": 10.5,
        "extra": {"a": [1]},
        "uid": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "ok": True,
        "seen": "2020-01-01T00:00:00+00:00",
    }


async def test_nobody_is_no_entity(lookups: Lookups, database: SqlDatabase) -> None:
    state = configured(database, "SELECT * FROM users WHERE id = ?", BY_ID)
    assert await looked_up(lookups, state, user_id="nobody") is None
    assert await looked_up(lookups, state) is None


async def test_a_question_mark_in_quotes_is_no_placeholder(lookups: Lookups, database: SqlDatabase) -> None:
    state = configured(database, "SELECT '?' AS q, n FROM users WHERE id = ? -- ?", BY_ID)
    patch = await looked_up(lookups, state, user_id="alice")
    assert patch is not None
    assert documents(patch.contexts)[0]["data"] == {"q": "?", "n": 1}


@pytest.mark.parametrize(
    ("sql", "arguments"),
    [
        ("SELECT n FROM users WHERE id = $1", ("007",)),
        ("SELECT n FROM users WHERE n = $1", (7,)),
        ("SELECT n FROM users WHERE n = $1 AND id = $2", ("7", "007")),
        ("SELECT n FROM users WHERE n::numeric = $1", (7,)),
        ("SELECT n FROM users WHERE n::float8 = $1", (7,)),
    ],
)
async def test_arguments_fit_what_the_statement_expects(
    lookups: Lookups, database: SqlDatabase, sql: str, arguments: tuple[Any, ...]
) -> None:
    question = SqlQuestion(arguments, database, sql, arguments, Remembering(sql, 1, 1))
    assert await lookups.ask(question) == Answer([{"n": 7}])


@pytest.mark.parametrize("value", [1.5, 2**31, -(2**40), 2**63, 1e300])
async def test_what_no_row_can_have_is_nobodys(lookups: Lookups, database: SqlDatabase, value: Any) -> None:
    sql = "SELECT n, '$1' AS text FROM users WHERE n = $1 OR (id = $2 AND n < $1) -- $1"
    question = SqlQuestion((value, "x"), database, sql, (value, "x"), Remembering(sql, 1, 1))
    assert await lookups.ask(question) == Answer([])


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (Decimal("1.50"), "text", "1.50"),
        (7.0, "int4", 7),
        (Decimal(7), "int8", 7),
        ("7", "int2", 7),
        (1, "bool", True),
        ("0", "bool", False),
    ],
)
def test_what_an_argument_becomes(value: Any, kind: str, expected: Any) -> None:
    assert fit(value, kind) == expected
    assert type(fit(value, kind)) is type(expected)


@pytest.mark.parametrize(("value", "kind"), [(1.5, "int4"), (Decimal("1.5"), "int8"), ("x", "int2"), ("no", "bool")])
def test_what_an_argument_can_not_become(value: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=str(value)):
        fit(value, kind)


async def test_an_answer_is_remembered(lookups: Lookups, database: SqlDatabase) -> None:
    state = configured(database, "SELECT random()::text AS r WHERE ?::text IS NOT NULL", BY_ID)
    first = await looked_up(lookups, state, user_id="alice")
    assert await looked_up(lookups, state, user_id="alice") == first
    assert await looked_up(lookups, state, user_id="bob") != first


async def test_a_wrong_statement_is_a_failure_of_the_event(lookups: Lookups, database: SqlDatabase) -> None:
    state = configured(database, "SELECT nothing FROM nowhere WHERE id = ?", BY_ID)
    patch = await looked_up(lookups, state, user_id="alice")
    assert patch is not None
    assert patch.failures[0].message == "Error while executing the sql lookup"
    assert "nowhere" in patch.failures[1].message
    ignoring = configured(database, "SELECT nothing FROM nowhere WHERE id = ?", BY_ID, ignoreOnError=True)
    assert await looked_up(lookups, ignoring, user_id="alice") is None


async def test_an_argument_that_cannot_fit_is_a_failure(lookups: Lookups, database: SqlDatabase) -> None:
    state = configured(database, "SELECT n FROM users WHERE n = ?", BY_ID)
    patch = await looked_up(lookups, state, user_id="alice")
    assert patch is not None
    assert "ValueError" in patch.failures[1].message


async def test_a_slow_statement_is_given_up(lookups: Lookups, database: SqlDatabase) -> None:
    question = SqlQuestion("k", database, "SELECT pg_sleep(20)", (), Remembering("slow", 1, 1), timeout_ms=100)
    assert await lookups.ask(question) == Answer(error="no answer from the database within 100 ms")


async def test_a_server_that_is_away_is_an_answer_and_is_asked_again(lookups: Lookups, database: SqlDatabase) -> None:
    away = database._replace(port=1)
    question = SqlQuestion("k", away, "SELECT 1 AS n", (), Remembering("away", 0, 0))
    answer = await lookups.ask(question)
    assert answer.error is not None
    back = SqlQuestion("k", database, "SELECT 1 AS n", (), Remembering("away", 0, 0))
    assert await lookups.ask(back) == Answer([{"n": 1}])


async def test_wrong_credentials_are_an_answer(lookups: Lookups, database: SqlDatabase) -> None:
    question = SqlQuestion("k", database._replace(password="no"), "SELECT 1", (), Remembering("x", 0, 0))
    answer = await lookups.ask(question)
    assert answer.error is not None
    assert "password authentication failed" in answer.error
