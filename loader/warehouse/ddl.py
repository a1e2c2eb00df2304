"""Statements that make and widen the tables. Pure: settings and columns in, SQL out; all of it can run twice."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from loader.warehouse.columns import is_schema_column
from loader.warehouse.compatibility import compatibility_select
from loader.warehouse.contract import Column, TableName
from loader.warehouse.settings import ConfigurationSettings
from loader.warehouse.tables import Definition, definitions, indexes, table_settings

TABLES: tuple[TableName, ...] = ("events", "events_failed", "bad_rows")

#: Every event once.
UNIQUE_VIEW = "events_unique"

#: A part below this size is one file, not one per column: a schema-rich table would open thousands.
_COMPACT_BELOW_BYTES = 1 << 30

#: Characters of changes in one ALTER. aiochclient takes every statement apart, and gives up above 10,000 tokens: a
#: dozen columns of a hundred hints. A server takes no statement above 256 KB.
_LONGEST_ALTER = 8_192


class Place(NamedTuple):
    """Names of a table. query: what is read and inserted into. local: what holds the data; the same on one server."""

    database: str
    query: str
    local: str

    @property
    def target(self) -> str:
        return f"{quoted_name(self.database)}.{quoted_name(self.query)}"

    @property
    def storage(self) -> str:
        return f"{quoted_name(self.database)}.{quoted_name(self.local)}"


def place(configuration: ConfigurationSettings, table: TableName) -> Place:
    settings = table_settings(configuration, table)
    if not configuration.cluster_name:
        name = settings.local.name or table
        return Place(configuration.database, name, name)
    return Place(configuration.database, settings.distributed.name or table, settings.local.name or f"{table}_local")


def create_database(configuration: ConfigurationSettings) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {quoted_name(configuration.database)}{on_cluster(configuration)}"


def create_tables(configuration: ConfigurationSettings, table: TableName) -> list[str]:
    """The table, and on a cluster the Distributed one over it."""
    names, settings = place(configuration, table), table_settings(configuration, table)
    columns = [_column(definition) for definition in definitions(configuration, table)]
    lines = ",\n    ".join([*columns, *indexes(table)])
    statements = [
        f"CREATE TABLE IF NOT EXISTS {names.storage}{on_cluster(configuration)}\n(\n    {lines}\n)\n"
        + "\n".join(_storage(configuration, table))
    ]
    if configuration.cluster_name:
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {names.target}{on_cluster(configuration)} AS {names.storage}\n"
            f"ENGINE = Distributed({literal(configuration.cluster_name)}, {literal(configuration.database)}, "
            f"{literal(names.local)}, {settings.distributed.sample_by})"
        )
    return statements


def create_views(
    configuration: ConfigurationSettings, events: Mapping[str, str], taken: Collection[str] = ()
) -> list[str]:
    """The views over events as they are now. A view keeps the columns that it was made with, so these are made
    again whenever the table changes.

    events: name → type of the columns of `events`. taken: names of tables that are no views; replacing one of them,
    perhaps the table of an evnt before 0.1, would drop its data.
    """
    source = place(configuration, "events").target
    views = {
        UNIQUE_VIEW: f"SELECT *, page_view_id FROM {source} FINAL\n"
        "SETTINGS do_not_merge_across_partitions_select_final = 1"
    }
    compatibility = configuration.tables.evnt
    if compatibility.enabled:
        views[compatibility.local.name] = compatibility_select(events, full_name(configuration, UNIQUE_VIEW))
    return [
        f"CREATE OR REPLACE VIEW {full_name(configuration, name)}{on_cluster(configuration)} AS\n{select}"
        for name, select in views.items()
        if name not in taken
    ]


def add_columns(configuration: ConfigurationSettings, table: TableName, columns: Sequence[Column]) -> list[str]:
    """An ALTER of what holds the data, then, on a cluster, one of the Distributed table; several of each where one
    would be too long."""
    changes = [f"ADD COLUMN IF NOT EXISTS {_column(_defined(configuration, column))}" for column in columns]
    return [statement for some in _short_lists(changes) for statement in _alter(configuration, table, some)]


def add_definitions(configuration: ConfigurationSettings, table: TableName, missing: Sequence[Definition]) -> list[str]:
    changes = ", ".join(f"ADD COLUMN IF NOT EXISTS {_column(definition)}" for definition in missing)
    return _alter(configuration, table, changes)


def modify_columns(configuration: ConfigurationSettings, table: TableName, columns: Iterable[Column]) -> list[str]:
    """Give columns another type; what is stored is converted when it is next merged, and reads right before that."""
    changes = ", ".join(f"MODIFY COLUMN {quoted_name(column.name)} {column.type}" for column in columns)
    return _alter(configuration, table, changes)


def modify_ttl(configuration: ConfigurationSettings, table: TableName) -> list[str]:
    """Change how long rows are kept; takes effect at the next merges."""
    local = table_settings(configuration, table).local
    change = f"MODIFY TTL {local.ttl}" if local.ttl else "REMOVE TTL"
    return [f"ALTER TABLE {place(configuration, table).storage}{on_cluster(configuration)} {change}"]


def view_names(configuration: ConfigurationSettings) -> list[str]:
    compatibility = configuration.tables.evnt
    return [UNIQUE_VIEW, *([compatibility.local.name] if compatibility.enabled else [])]


def quoted_name(name: str) -> str:
    """An identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _short_lists(changes: Iterable[str]) -> Iterator[str]:
    """Changes with commas between, as many together as a statement may hold."""
    together: list[str] = []
    size = 0
    for change in changes:
        if together and size + len(change) > _LONGEST_ALTER:
            yield ", ".join(together)
            together, size = [], 0
        together.append(change)
        size += len(change)
    if together:
        yield ", ".join(together)


def _alter(configuration: ConfigurationSettings, table: TableName, changes: str) -> list[str]:
    names = place(configuration, table)
    targets = dict.fromkeys((names.storage, names.target))
    return [f"ALTER TABLE {name}{on_cluster(configuration)} {changes}" for name in targets]


def _defined(configuration: ConfigurationSettings, column: Column) -> Definition:
    codec = configuration.codecs.schema_data if is_schema_column(column.name) else ""
    return Definition(column.name, column.type, codec=codec)


def _column(definition: Definition) -> str:
    parts = [quoted_name(definition.name), definition.type, definition.default]
    parts.append(f"COMMENT {literal(definition.comment)}" if definition.comment else "")
    parts.append(f"CODEC({definition.codec})" if definition.codec else "")
    return " ".join(part for part in parts if part)


def _storage(configuration: ConfigurationSettings, table: TableName) -> list[str]:
    local = table_settings(configuration, table).local
    clauses = {
        "ENGINE =": _engine(configuration, local.engine),
        "PARTITION BY": local.partition_by,
        "PRIMARY KEY": f"({local.primary_key})" if local.primary_key else "",
        "ORDER BY": f"({local.order_by})",
        "SAMPLE BY": local.sample_by,
        "TTL": local.ttl,
        "SETTINGS": ", ".join(_table_options(configuration, local.settings)),
    }
    return [f"{keyword} {clause}" for keyword, clause in clauses.items() if clause]


def _engine(configuration: ConfigurationSettings, engine: str) -> str:
    replicated = configuration.cluster_name and not engine.startswith("Replicated")
    return f"Replicated{engine}" if replicated else engine


def _table_options(configuration: ConfigurationSettings, own: str) -> list[str]:
    """The operator's own settings come last and win."""
    window = configuration.deduplication_window
    if configuration.cluster_name:
        options = {
            "replicated_deduplication_window": window,
            "replicated_deduplication_window_seconds": configuration.deduplication_window_seconds,
        }
    else:
        options = {"non_replicated_deduplication_window": window}
    options["min_bytes_for_wide_part"] = _COMPACT_BELOW_BYTES
    options["ttl_only_drop_parts"] = 1
    if configuration.fsync:
        options |= {"fsync_after_insert": 1, "fsync_part_directory": 1}
    named = {pair.partition("=")[0].strip() for pair in own.split(",")}
    kept = [f"{name} = {value}" for name, value in options.items() if name not in named]
    return [*kept, own] if own else kept


def on_cluster(configuration: ConfigurationSettings) -> str:
    return f" ON CLUSTER {literal(configuration.cluster_name)}" if configuration.cluster_name else ""


def full_name(configuration: ConfigurationSettings, name: str) -> str:
    return f"{quoted_name(configuration.database)}.{quoted_name(name)}"
