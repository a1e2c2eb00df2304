"""Asks a PostgreSQL or MySQL database about an event and attaches the rows."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, NamedTuple

from pydantic import Field, SecretStr, field_validator, model_validator

from enricher.enrichments.contract import Answer, Draft, EnrichmentRefused, Patch, Query, Resources
from enricher.enrichments.parts.inputs import MISSING, Input, Pick, pick, picks
from enricher.enrichments.parts.lookup import Lookup, failed
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.questions import Remembering, SqlDatabase, SqlQuestion
from enricher.enrichments.parts.rows import Output, contexts, miscounted
from shared.event import KINDS
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "sql_query_enrichment_config", "jsonschema", 1, 0
)
IDENTIFIER = "sql-query"

_INT = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_DOUBLE = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LARGEST_LONG = 2**63
_DRIVERS = {"postgresql": "asyncpg", "mysql": "aiomysql"}
#: A `?` outside of quotes, identifiers and comments.
_MARK = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|(?P<mark>\?)", re.DOTALL)


class PlacedInput(Input):
    placeholder: int = Field(le=64)
    """Number of the `?` in the query that this fills, from 1."""

    @model_validator(mode="before")
    @classmethod
    def _given(cls, data: Any) -> Any:
        if isinstance(data, dict) and "placeholder" not in data:
            raise ValueError("Placeholder is missing")
        return data

    @field_validator("placeholder")
    @classmethod
    def _positive(cls, place: int) -> int:
        if place < 1:
            raise ValueError("Placeholder must be greater than 1")
        return place


class Server(Parameters):
    host: str
    """Host name of the database."""
    port: int = Field(ge=1, le=65_535)
    """Port of the database."""
    ssl_mode: bool = Field(alias="sslMode")
    """Encrypt the connection. The certificate is not checked, as upstream."""
    username: str
    """User that may read, and nothing more."""
    password: SecretStr
    """Password of the user."""
    database: str
    """Name of the database."""


class Database(Parameters):
    postgresql: Server | None = None
    """A PostgreSQL server; needs the `postgresql` extra."""
    mysql: Server | None = None
    """A MySQL or MariaDB server; needs the `mysql` extra."""

    @model_validator(mode="after")
    def _one(self) -> "Database":
        if (self.postgresql is None) == (self.mysql is None):
            raise ValueError("expected either postgresql or mysql")
        return self


class Statement(Parameters):
    sql: str
    """The query, with `?` for each placeholder."""


class Config(Lookup):
    inputs: tuple[PlacedInput, ...]
    """What fills the placeholders. Where one stays empty, nothing is asked."""
    database: Database
    """Whom to ask."""
    query: Statement
    """What to ask."""
    output: Output
    """What is attached."""
    timeout: int = Field(5_000, ge=1, le=60_000)
    """Milliseconds that a result may take. evnt's own option."""


class State(NamedTuple):
    inputs: tuple[tuple[int, Pick], ...]
    database: SqlDatabase
    statement: str
    marks: int
    output: Output
    remember: Remembering
    ignore: bool
    timeout_ms: int


def prepare(config: Config, _: Resources) -> State:
    kind = "postgresql" if config.database.postgresql else "mysql"
    server = config.database.postgresql or config.database.mysql
    if server is None:
        raise EnrichmentRefused("database: expected either postgresql or mysql")
    target = SqlDatabase(
        kind,
        server.host,
        server.port,
        server.ssl_mode,
        server.username,
        server.password.get_secret_value(),
        server.database,
    )
    if find_spec(_DRIVERS[kind]) is None:
        raise EnrichmentRefused(f"database.{kind}: the driver is not installed: pip install 'evnt[{kind}]'")
    statement, marks = translated(config.query.sql, kind)
    asked = f"{kind} {server.username}@{server.host}:{server.port}/{server.database} {statement}"
    remember = Remembering(asked, config.cache.size, config.cache.ttl)
    inputs = picks(config.inputs, lambda one: (one.placeholder, _typed(one)))
    return State(inputs, target, statement, marks, config.output, remember, config.ignore_on_error, config.timeout)


def _typed(one: PlacedInput) -> Pick:
    picked = pick(str(one.placeholder), one)
    if one.pojo is None:
        return lambda draft: argument(picked(draft))
    convert = _column_type(one.pojo.field)
    return lambda draft: MISSING if (value := picked(draft)) is MISSING else convert(value)


def _column_type(name: str) -> Callable[[str], Any]:
    converters: dict[str, Callable[[str], Any]] = {"int": int, "bool": int, "float": float, "decimal": Decimal}
    return converters.get(KINDS[name], str) if name in KINDS else str


def argument(value: Any) -> Any:
    """A JSON value as the query gets it: texts that look like numbers or booleans are taken as such, as upstream."""
    if isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        return MISSING
    if _INT.fullmatch(value) and -_LARGEST_LONG <= int(value) < _LARGEST_LONG:
        return int(value)
    if _DOUBLE.fullmatch(value):
        return float(value)
    return value.lower() == "true" if value.lower() in ("true", "false") else value


def translated(sql: str, kind: str) -> tuple[str, int]:
    """The statement in the driver's marks, `$1` or `%s`, and how many there are."""
    count = 0

    def mark(found: re.Match[str]) -> str:
        nonlocal count
        if not found["mark"]:
            return found[0]
        count += 1
        return f"${count}" if kind == "postgresql" else "%s"

    return _MARK.sub(mark, sql if kind == "postgresql" else sql.replace("%", "%%")), count


def placeholders(draft: Draft, inputs: Sequence[tuple[int, Pick]]) -> dict[int, Any]:
    """What is filled; the later of one number wins where it has a value."""
    filled: dict[int, Any] = {}
    for place, picked in inputs:
        value = picked(draft)
        if value is not MISSING:
            filled[place] = value
    return filled


def is_complete(filled: Mapping[int, Any], marks: int) -> bool:
    return sorted(filled) == list(range(1, marks + 1))


def ask(draft: Draft, state: State) -> Query | None:
    filled = placeholders(draft, state.inputs)
    if not is_complete(filled, state.marks):
        return None
    arguments = tuple(filled[place] for place in sorted(filled))
    key = tuple((type(one).__name__, one) for one in arguments)
    question = SqlQuestion(key, state.database, state.statement, arguments, state.remember, state.timeout_ms)
    return Query("sql", question)


def enrich(draft: Draft, state: State, answer: Answer | None) -> Patch | None:
    if answer is None:
        return None
    problem = answer.error or miscounted(state.output.expected_rows, len(answer.value))
    if problem is not None:
        return failed(("Error while executing the sql lookup", problem), ignore=state.ignore)
    attached = contexts(state.output, answer.value)
    return Patch(contexts=attached) if attached else None
