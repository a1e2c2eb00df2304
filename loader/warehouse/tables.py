"""The columns of every table, derived from the canonical event: which ClickHouse type a column has, and why.

A column is Nullable, since "not sent" is not "sent empty", unless the table is sorted or partitioned by it.
"""

import re
from typing import NamedTuple

from loader.warehouse.columns import VERSION_KEY, SchemaColumn, column_type
from loader.warehouse.contract import Column, TableName
from loader.warehouse.settings import CodecSettings, ConfigurationSettings, LocalTable, TableSettings
from shared.event import FIELDS, Field, Kind

_TIME = "DateTime64(3, 'UTC')"

#: Amounts keep 18 digits behind the point and 58 before it: trackers send 1e21 as it is.
_TYPES: dict[Kind, str] = {
    "text": "String",
    "uuid": "UUID",
    "timestamp": _TIME,
    "int": "Int32",
    "bool": "Bool",
    "decimal": "Decimal(76, 18)",
    "float": "Float64",
}

#: Texts of few distinct values, by how their names begin, and those among them that are not.
_FEW_VALUES = re.compile(
    r"(app_id|platform|event|event_vendor|event_name|event_format|event_version|name_tracker|v_\w+|geo_(?!zipcode)\w+|"
    r"ip_\w+|page_urlscheme|page_urlhost|refr_urlscheme|refr_urlhost|refr_medium|refr_source|mkt_(?!clickid)\w+|"
    r"useragent|br_\w+|os_\w+|dvce_\w+|doc_charset|\w+_currency|etl_tags)"
)

WEB_PAGE = SchemaColumn("contexts", "com_snowplowanalytics_snowplow_web_page_1")

#: Entities that every table of events has a column for, since views and models lean on them, and their texts.
_BUILT_IN = {
    WEB_PAGE: ("id",),
    SchemaColumn("contexts", "com_snowplowanalytics_snowplow_client_session_1"): ("userId", "sessionId"),
}

_INDEXES: dict[TableName, tuple[str, ...]] = {
    "events": (
        "INDEX ix_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1",
        "INDEX ix_domain_userid domain_userid TYPE bloom_filter(0.01) GRANULARITY 4",
        "INDEX ix_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 4",
        "INDEX ix_load_tstamp load_tstamp TYPE minmax GRANULARITY 1",
    ),
    "events_failed": ("INDEX ix_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1",),
    "bad_rows": (),
}


class Definition(NamedTuple):
    """A column as DDL needs it. `default`: `DEFAULT …` or `MATERIALIZED …`, else empty."""

    name: str
    type: str
    default: str = ""
    codec: str = ""
    comment: str = ""

    @property
    def column(self) -> Column:
        return Column(self.name, self.type)


def table_settings(configuration: ConfigurationSettings, table: TableName) -> TableSettings:
    tables = configuration.tables
    settings: dict[TableName, TableSettings] = {
        "events": tables.events,
        "events_failed": tables.events_failed,
        "bad_rows": tables.bad_rows,
    }
    return settings[table]


def definitions(configuration: ConfigurationSettings, table: TableName) -> tuple[Definition, ...]:
    """Every column that a new table has; schema columns come later, when their schema is first seen."""
    keys = _key_columns(table_settings(configuration, table).local)
    if table == "bad_rows":
        return _bad_rows(configuration.codecs)
    return _events(keys, configuration.codecs)


def indexes(table: TableName) -> tuple[str, ...]:
    """Skipping indexes of a new table."""
    return _INDEXES[table]


def _events(keys: frozenset[str], codecs: CodecSettings) -> tuple[Definition, ...]:
    atomic = [_atomic(field, field.name in keys, codecs) for field in FIELDS if field.kind != "json"]
    return (
        *atomic,
        Definition("load_tstamp", _TIME, "DEFAULT now64(3)", codecs.timestamp, "When the loader stored the event"),
        *(_built_in(column, texts, codecs) for column, texts in _BUILT_IN.items()),
        Definition(
            "page_view_id",
            "Nullable(String)",
            f"MATERIALIZED toString({WEB_PAGE.name}[1].id)",
            codecs.text,
            "Identifies the page view; of the web_page entity",
        ),
    )


def _built_in(column: SchemaColumn, texts: tuple[str, ...], codecs: CodecSettings) -> Definition:
    hints = dict.fromkeys((VERSION_KEY, *texts), "Nullable(String)")
    return Definition(column.name, column_type(column.family, hints), codec=codecs.schema_data)


def _atomic(field: Field, key: bool, codecs: CodecSettings) -> Definition:
    if _few_values(field):
        kind, codec = f"LowCardinality({'String' if key else 'Nullable(String)'})", ""
    else:
        kind = _type(field) if key else f"Nullable({_type(field)})"
        codec = codecs.text if _type(field) == "String" else codecs.timestamp if field.kind == "timestamp" else ""
    return Definition(field.name, kind, codec=codec, comment=field.doc)


def _type(field: Field) -> str:
    # trackers may send any session id, and old events hold some that are no UUID
    return "String" if field.name == "domain_sessionid" else _TYPES[field.kind]


def _few_values(field: Field) -> bool:
    return field.kind == "text" and _FEW_VALUES.fullmatch(field.name) is not None


def _bad_rows(codecs: CodecSettings) -> tuple[Definition, ...]:
    return (
        Definition("id", "String", comment="Message id of the row on the bad stream"),
        Definition("received", _TIME, codec=codecs.timestamp, comment="When the row was made"),
        Definition("type", "LowCardinality(String)", comment="What failed: schema_violations, adapter_failures, …"),
        Definition("schema_key", "LowCardinality(String)", comment="The schema that was violated, where one was"),
        Definition("app_id", "LowCardinality(String)", comment="Application of the event, where it is known"),
        Definition("error", "String", codec=codecs.text, comment="What is wrong, in a line"),
        Definition("payload", "String", codec=codecs.archive, comment="The whole bad row, JSON"),
        Definition("raw", "String", codec=codecs.archive, comment="What was received from the tracker"),
        Definition("status", "LowCardinality(String)", "DEFAULT 'new'", comment="What was done about it"),
        Definition("replay_of", "String", comment="Id of the row whose replay failed again"),
        Definition("load_tstamp", _TIME, "DEFAULT now64(3)", codecs.timestamp, "When the loader stored the row"),
    )


def _key_columns(local: LocalTable) -> frozenset[str]:
    """Every name in the expressions that a table is sorted or partitioned by; those columns can't be Nullable."""
    text = " ".join((local.order_by, local.primary_key, local.partition_by, local.sample_by, local.engine, local.ttl))
    return frozenset(re.findall(r"\w+", text))
