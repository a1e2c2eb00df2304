"""Asks databases. The drivers are optional extras and are imported when the first question comes."""

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, Protocol
from uuid import UUID

from enricher.enrichments.contract import Answer
from enricher.enrichments.parts.questions import SqlDatabase, SqlQuestion

_CONNECTIONS = 4
_MYSQL_JSON = 245
_BOUNDS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
#: An argument's place, or what may hold the like of it as text.
_PLACE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$\d+", re.DOTALL)

Rows = list[dict[str, Any]]


class Connections(Protocol):
    async def rows(self, statement: str, arguments: Sequence[Any]) -> Rows:
        """Raises what the driver raises."""

    async def close(self) -> None:
        """Let go of the connections."""


class Postgresql:
    """asyncpg types every argument by what the statement expects; values are fitted to that."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, database: SqlDatabase) -> "Postgresql":
        asyncpg = import_module("asyncpg")
        pool = await asyncpg.create_pool(
            host=database.host,
            port=database.port,
            user=database.username,
            password=database.password,
            database=database.database,
            ssl=_unchecked_tls() if database.ssl else False,
            min_size=0,
            max_size=_CONNECTIONS,
            init=_read_json,
        )
        return cls(pool)

    async def rows(self, statement: str, arguments: Sequence[Any]) -> Rows:
        async with self._pool.acquire() as connection:
            prepared, expected = await _prepared(connection, statement)
            widened = [
                f"${place}" for place, pair in enumerate(zip(arguments, expected, strict=True), 1) if outgrows(*pair)
            ]
            if widened:
                prepared, expected = await _prepared(connection, _as_numeric(statement, widened))
            fitted = [fit(value, kind) for value, kind in zip(arguments, expected, strict=True)]
            return [dict(row) for row in await prepared.fetch(*fitted)]

    async def close(self) -> None:
        await self._pool.close()


async def _prepared(connection: Any, statement: str) -> tuple[Any, list[str]]:
    """And the type that it expects of each argument."""
    prepared = await connection.prepare(statement)
    return prepared, [kind.name for kind in prepared.get_parameters()]


def outgrows(value: Any, kind: str) -> bool:
    """Whether no column of this type has the value, such as 1.5. It may be compared with one all the same."""
    bound = _BOUNDS.get(kind)
    if bound is None or not isinstance(value, int | float | Decimal):
        return False
    return not -bound <= value < bound or value != int(value)


def _as_numeric(statement: str, marks: Sequence[str]) -> str:
    return _PLACE.sub(lambda found: f"{found[0]}::numeric" if found[0] in marks else found[0], statement)


async def _read_json(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=str, decoder=json.loads, schema="pg_catalog")


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | Decimal) else json.dumps(value, default=str)


def _whole(value: Any) -> int:
    """Cut off, 1.5 would find the row of 1."""
    number = int(value)
    if isinstance(value, float | Decimal) and number != value:
        raise ValueError(f"{value} is not an integer")
    return number


_FITS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "unknown", "json", "jsonb"), _text),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), _whole),
    **dict.fromkeys(("float4", "float8"), float),
    "numeric": lambda value: Decimal(str(value)),
    "bool": lambda value: bool(int(value)),
    "uuid": lambda value: UUID(str(value)),
    "date": lambda value: date.fromisoformat(str(value)[:10]),
    "timestamp": lambda value: datetime.fromisoformat(str(value)).replace(tzinfo=None),
    "timestamptz": lambda value: datetime.fromisoformat(str(value)),
}


def fit(value: Any, kind: str) -> Any:
    """The value as PostgreSQL's type `kind` wants it. Raises ValueError where it can't be that."""
    convert = _FITS.get(kind)
    return convert(value) if convert else value


class Mysql:
    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, database: SqlDatabase) -> "Mysql":
        pool = await import_module("aiomysql").create_pool(
            host=database.host,
            port=database.port,
            user=database.username,
            password=database.password,
            db=database.database,
            ssl=_unchecked_tls() if database.ssl else None,
            minsize=0,
            maxsize=_CONNECTIONS,
            autocommit=True,
            charset="utf8mb4",
        )
        return cls(pool)

    async def rows(self, statement: str, arguments: Sequence[Any]) -> Rows:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(statement, tuple(arguments))
            columns = cursor.description or ()
            return [
                {column[0]: _mysql_value(cell, column[1]) for column, cell in zip(columns, row, strict=True)}
                for row in await cursor.fetchall()
            ]

    async def close(self) -> None:
        self._pool.close()
        await self._pool.wait_closed()


def _mysql_value(cell: Any, kind: int) -> Any:
    return json.loads(cell) if kind == _MYSQL_JSON and cell is not None else cell


def _unchecked_tls() -> ssl.SSLContext:
    """Encrypted, and no certificate asked for: what `sslMode` means upstream."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class SqlService:
    """A few connections to each database, opened when it is first asked. Every outcome is an Answer."""

    def __init__(self) -> None:
        self._open: dict[SqlDatabase, asyncio.Task[Connections]] = {}

    async def ask(self, question: SqlQuestion) -> Answer:
        try:
            async with asyncio.timeout(question.timeout_ms / 1000):
                connections = await self._connections(question.database)
                return Answer(await connections.rows(question.statement, question.arguments))
        except TimeoutError:
            return Answer(error=f"no answer from the database within {question.timeout_ms} ms")
        except Exception as error:  # noqa: BLE001 - the drivers share no base; whatever they say is the answer
            return Answer(error=f"{type(error).__name__}: {error}")

    async def _connections(self, database: SqlDatabase) -> Connections:
        opening = self._open.get(database)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._open[database] = asyncio.create_task(_connect(database))
        return await asyncio.shield(opening)

    async def close(self) -> None:
        for opening in self._open.values():
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await opening.result().close()
            else:
                opening.cancel()


async def _connect(database: SqlDatabase) -> Connections:
    if database.kind == "postgresql":
        return await Postgresql.connect(database)
    return await Mysql.connect(database)
