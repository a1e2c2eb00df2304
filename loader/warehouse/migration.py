"""What must change for the tables to be as the settings say. Pure: the database's description in, changes out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from loader.warehouse import ddl
from loader.warehouse.columns import is_schema_column
from loader.warehouse.contract import Column, TableName
from loader.warehouse.settings import ConfigurationSettings
from loader.warehouse.tables import definitions, table_settings

#: Who may make a change. loader: adds something, harms nothing. operator: `evnt db migrate`, since it may rewrite or
#: delete data. hand: no statement can do it; a new table is needed.
Who = Literal["loader", "operator", "hand"]


_CLAUSES = re.compile(r" (?:PARTITION BY|PRIMARY KEY|ORDER BY) ")
_REPLICATED = re.compile(r"^(?:Replicated|Shared)(?=\w*MergeTree)")
_REPLICA = re.compile(r"\('[^']*', *'[^']*'(?:, *)?")


class Change(NamedTuple):
    """One difference, and the statements that remove it."""

    what: str
    statements: tuple[str, ...]
    who: Who


@dataclass(frozen=True)
class Table:
    """A table or view as the server describes it."""

    columns: Mapping[str, str] = field(default_factory=dict)
    sorting_key: str = ""
    partition_key: str = ""
    engine_full: str = ""
    engine: str = ""


def changes(configuration: ConfigurationSettings, actual: Mapping[str, Table]) -> list[Change]:
    """actual: the tables and views of the database, by name; empty where it is missing."""
    found: list[Change] = []
    if not actual:
        found.append(Change("create the database", (ddl.create_database(configuration),), "loader"))
    for table in ddl.TABLES:
        found += _table(configuration, table, actual)
    renewed = any(change.who == "loader" for change in found)
    return [*found, *_views(configuration, actual, renewed=renewed)]


def _table(configuration: ConfigurationSettings, table: TableName, actual: Mapping[str, Table]) -> Iterable[Change]:
    names = ddl.place(configuration, table)
    if names.local not in actual or names.query not in actual:
        statements = tuple(ddl.create_tables(configuration, table))
        yield Change(f"create table {names.query}", statements, "loader")
    if names.local in actual:
        yield from _columns(configuration, table, actual[names.local].columns)
        yield from _keys(configuration, table, actual[names.local])


def _columns(configuration: ConfigurationSettings, table: TableName, actual: Mapping[str, str]) -> Iterable[Change]:
    wanted = definitions(configuration, table)
    if missing := [definition for definition in wanted if definition.name not in actual]:
        names = ", ".join(definition.name for definition in missing)
        yield Change(f"{table}: add {names}", tuple(ddl.add_definitions(configuration, table, missing)), "loader")
    for definition in wanted:
        known = actual.get(definition.name, definition.type)
        if known == definition.type or is_schema_column(definition.name):
            continue
        statements = tuple(ddl.modify_columns(configuration, table, [Column(definition.name, definition.type)]))
        yield Change(f"{table}: {definition.name} is {known}, not {definition.type}", statements, "operator")


def _keys(configuration: ConfigurationSettings, table: TableName, actual: Table) -> Iterable[Change]:
    local = table_settings(configuration, table).local
    for what, wanted, known in [
        ("ORDER BY", local.order_by, actual.sorting_key),
        ("PARTITION BY", local.partition_by, actual.partition_key),
        ("ENGINE", _alone(local.engine), _alone(_CLAUSES.split(actual.engine_full)[0])),
    ]:
        if _plain(wanted) != _plain(known):
            yield Change(f"{table}: {what} is {known or 'empty'}, not {wanted or 'empty'}", (), "hand")
    known_ttl = _ttl(actual.engine_full)
    if _plain(local.ttl) != _plain(known_ttl):
        what = f"{table}: TTL is {known_ttl or 'none'}, not {local.ttl or 'none'}"
        yield Change(what, tuple(ddl.modify_ttl(configuration, table)), "operator")


def _views(configuration: ConfigurationSettings, actual: Mapping[str, Table], *, renewed: bool) -> Iterable[Change]:
    """A view that was made before a column was added does not show it."""
    names = ddl.view_names(configuration)
    taken = {name for name in names if actual.get(name, Table(engine="View")).engine != "View"}
    for name in sorted(taken):
        yield Change(f"{name} is a table where a view should be: rename one of them", (), "hand")
    events = actual.get(ddl.place(configuration, "events").local, Table()).columns
    events = events or {definition.name: definition.type for definition in definitions(configuration, "events")}
    shown = actual.get(names[0], Table()).columns
    stale = any(shown.get(name) != kind for name, kind in events.items() if is_schema_column(name))
    if renewed or stale or not all(name in actual for name in names):
        statements = tuple(ddl.create_views(configuration, events, taken))
        free = ", ".join(name for name in names if name not in taken)
        yield Change(f"make or renew the views: {free}", statements, "loader")


def _alone(engine: str) -> str:
    """An engine without what replication, or ClickHouse's cloud, adds to it: a prefix, a path and a replica."""
    return _REPLICA.sub("(", _REPLICATED.sub("", engine))


def _ttl(engine_full: str) -> str:
    return engine_full.partition(" TTL ")[2].partition(" SETTINGS ")[0]


def _plain(expression: str) -> str:
    """An expression as the server writes it, without what it leaves out: spaces, capitals, default clauses."""
    spelled = re.sub(r"INTERVAL (\d+) (\w+)", r"toInterval\2(\1)", expression, flags=re.IGNORECASE)
    plain = re.sub(r"\bdelete\b|\(\)|\s+", "", spelled.lower())
    return plain[1:-1] if re.fullmatch(r"\([^()]*(\([^()]*\)[^()]*)*\)", plain) else plain
