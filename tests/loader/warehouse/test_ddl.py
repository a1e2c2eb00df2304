"""Statements for tables: derived from the event, understood by the real engine, also those for a cluster."""

from collections.abc import Mapping

import pytest

from loader.warehouse import ddl
from loader.warehouse.contract import Column, TableName
from loader.warehouse.migration import Change, Table, changes
from loader.warehouse.settings import ConfigurationSettings
from loader.warehouse.tables import definitions
from shared.event import FIELDS
from tests.clickhouse import Server

ONE = ConfigurationSettings()
CLUSTER = ConfigurationSettings(cluster_name="it's")
COLUMNS = [Column("contexts_com_acme_cart_1", "Array(JSON(`price` Nullable(Float64), max_dynamic_paths=0))")]


def types(configuration: ConfigurationSettings = ONE, table: TableName = "events") -> dict[str, str]:
    return {definition.name: definition.type for definition in definitions(configuration, table)}


def with_table(table: TableName, **local: str) -> ConfigurationSettings:
    default = getattr(ONE.tables, table).local.model_dump()
    return ConfigurationSettings.model_validate({"tables": {table: {"local": {**default, **local}}}})


def test_events_have_every_atomic_field_in_order() -> None:
    atomic = [field.name for field in FIELDS if field.kind != "json"]
    assert len(atomic) == 128
    assert list(types())[: len(atomic)] == atomic
    assert set(atomic) <= set(types(table="events_failed"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app_id", "LowCardinality(String)"),
        ("platform", "LowCardinality(Nullable(String))"),
        ("event_id", "UUID"),
        ("event_fingerprint", "String"),
        ("collector_tstamp", "DateTime64(3, 'UTC')"),
        ("derived_tstamp", "Nullable(DateTime64(3, 'UTC'))"),
        ("domain_userid", "Nullable(String)"),
        ("domain_sessionid", "Nullable(String)"),
        ("domain_sessionidx", "Nullable(Int32)"),
        ("geo_latitude", "Nullable(Float64)"),
        ("tr_total", "Nullable(Decimal(76, 18))"),
        ("br_cookies", "Nullable(Bool)"),
    ],
)
def test_kinds_become_types(name: str, kind: str) -> None:
    assert types()[name] == kind


def test_what_a_table_is_sorted_by_is_not_nullable() -> None:
    sorted_by_user = with_table("events", order_by="app_id, domain_userid, event_id, event_fingerprint", primary_key="")
    assert types(sorted_by_user)["domain_userid"] == "String"
    assert types(sorted_by_user)["event_name"] == "LowCardinality(Nullable(String))"


def test_failed_events_need_only_their_time() -> None:
    kinds = types(table="events_failed")
    assert [name for name in types() if "Nullable" not in kinds[name] and "contexts_" not in name] == [
        "collector_tstamp",
        "load_tstamp",
    ]


@pytest.mark.parametrize("configuration", [ONE, CLUSTER], ids=["one", "cluster"])
def test_the_engine_understands_every_statement(clickhouse: Server, configuration: ConfigurationSettings) -> None:
    statements = [ddl.create_database(configuration), *ddl.create_views(configuration, types())]
    for table in ddl.TABLES:
        statements += ddl.create_tables(configuration, table)
        statements += ddl.add_columns(configuration, table, COLUMNS)
        statements += ddl.modify_columns(configuration, table, COLUMNS)
        statements += ddl.modify_ttl(configuration, table)
    for statement in statements:
        assert clickhouse.query(f"EXPLAIN AST {statement}"), statement


def test_a_cluster_has_replicated_tables_and_distributed_ones_over_them() -> None:
    local, distributed = ddl.create_tables(CLUSTER, "events")
    assert local.startswith("CREATE TABLE IF NOT EXISTS `evnt`.`events_local` ON CLUSTER 'it\\'s'")
    assert "\nENGINE = ReplicatedReplacingMergeTree(load_tstamp)\n" in local
    assert "replicated_deduplication_window = 10000" in local
    assert distributed == (
        "CREATE TABLE IF NOT EXISTS `evnt`.`events` ON CLUSTER 'it\\'s' AS `evnt`.`events_local`\n"
        "ENGINE = Distributed('it\\'s', 'evnt', 'events_local', cityHash64(event_id))"
    )
    assert [statement.split(" ADD ")[0] for statement in ddl.add_columns(CLUSTER, "events", COLUMNS)] == [
        "ALTER TABLE `evnt`.`events_local` ON CLUSTER 'it\\'s'",
        "ALTER TABLE `evnt`.`events` ON CLUSTER 'it\\'s'",
    ]


def test_columns_are_added_in_one_statement() -> None:
    (statement,) = ddl.add_columns(ONE, "events", [*COLUMNS, Column("contexts_b_1", "Array(JSON)")])
    assert statement.count("ADD COLUMN IF NOT EXISTS") == 2


def test_settings_shape_the_table() -> None:
    configuration = with_table(
        "events",
        name="mine",
        engine="MergeTree",
        partition_by="",
        ttl="collector_tstamp + INTERVAL 1 YEAR",
        settings="index_granularity = 1024, min_bytes_for_wide_part = 0",
    )
    (statement,) = ddl.create_tables(configuration, "events")
    assert statement.startswith("CREATE TABLE IF NOT EXISTS `evnt`.`mine`\n")
    assert "\nENGINE = MergeTree\n" in statement
    assert "PARTITION BY" not in statement
    assert "\nTTL collector_tstamp + INTERVAL 1 YEAR\n" in statement
    assert statement.count("min_bytes_for_wide_part") == 1
    assert statement.endswith("index_granularity = 1024, min_bytes_for_wide_part = 0")


def actual(configuration: ConfigurationSettings = ONE) -> dict[str, Table]:
    """A database that is as it should be, described as a server does it."""
    found: dict[str, Table] = {}
    for table in ddl.TABLES:
        local = getattr(configuration.tables, table).local
        engine = f"{local.engine} PARTITION BY {local.partition_by} ORDER BY ({local.order_by})"
        ttl = f" TTL {local.ttl.replace('INTERVAL 30 DAY DELETE', 'toIntervalDay(30)')}" if local.ttl else ""
        ttl = ttl.replace("INTERVAL 90 DAY DELETE", "toIntervalDay(90)")
        key = f"({local.order_by})" if "," not in local.order_by else local.order_by
        found[table] = Table(types(configuration, table), key, local.partition_by, f"{engine}{ttl} SETTINGS x = 1")
    return {**found, "events_unique": view(found["events"].columns), "local": view({"app_id": "String"})}


def view(columns: Mapping[str, str]) -> Table:
    return Table(columns, engine="View")


def due(configuration: ConfigurationSettings, found: dict[str, Table]) -> list[tuple[str, str]]:
    return [(change.what, change.who) for change in changes(configuration, found)]


def test_an_empty_server_needs_everything() -> None:
    assert due(ONE, {}) == [
        ("create the database", "loader"),
        ("create table events", "loader"),
        ("create table events_failed", "loader"),
        ("create table bad_rows", "loader"),
        ("make or renew the views: events_unique, local", "loader"),
    ]


def test_a_database_that_is_as_it_should_be_needs_nothing() -> None:
    assert due(ONE, actual()) == []


def test_a_missing_column_is_added_and_the_views_follow() -> None:
    found = actual()
    columns = {name: kind for name, kind in found["events"].columns.items() if name != "true_tstamp"}
    found["events"] = Table(
        columns, *[getattr(found["events"], key) for key in ("sorting_key", "partition_key", "engine_full")]
    )
    views = ("make or renew the views: events_unique, local", "loader")
    assert due(ONE, found) == [("events: add true_tstamp", "loader"), views]


def test_a_view_that_does_not_show_a_schema_column_is_made_again() -> None:
    found = actual()
    table = found["events"]
    grown = {**table.columns, **dict(COLUMNS)}
    found["events"] = Table(grown, table.sorting_key, table.partition_key, table.engine_full)
    assert due(ONE, found) == [("make or renew the views: events_unique, local", "loader")]
    found["events_unique"] = view(grown)
    assert due(ONE, found) == []


def test_what_rewrites_or_deletes_data_is_left_to_the_operator() -> None:
    found = actual()
    table = found["events"]
    found["events"] = Table(
        {**table.columns, "txn_id": "Int64"}, table.sorting_key, table.partition_key, table.engine_full
    )
    assert due(ONE, found) == [("events: txn_id is Int64, not Nullable(Int32)", "operator")]
    kept_shorter = with_table("events", ttl="collector_tstamp + INTERVAL 1 YEAR")
    (change,) = changes(kept_shorter, actual())
    assert change == Change(
        "events: TTL is none, not collector_tstamp + INTERVAL 1 YEAR",
        ("ALTER TABLE `evnt`.`events` MODIFY TTL collector_tstamp + INTERVAL 1 YEAR",),
        "operator",
    )


@pytest.mark.parametrize(
    ("wanted", "engine"),
    [
        ({}, "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', load_tstamp)"),
        ({}, "SharedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', load_tstamp)"),
        ({"engine": "MergeTree"}, "ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')"),
        ({"engine": "ReplicatedMergeTree('/mine', '{replica}')"}, "ReplicatedMergeTree('/mine', '{replica}')"),
    ],
)
def test_replication_is_no_other_engine(wanted: dict[str, str], engine: str) -> None:
    found = actual()
    table = found["events"]
    clauses = "PRIMARY KEY (app_id, event_name, toStartOfHour(collector_tstamp)) ORDER BY (app_id) SETTINGS x = 1"
    found["events"] = Table(table.columns, table.sorting_key, "", f"{engine} {clauses}")
    assert due(with_table("events", partition_by="", **wanted), found) == []


def test_what_no_statement_can_change_is_told() -> None:
    other = with_table("bad_rows", order_by="id", partition_by="")
    assert [who for _, who in due(other, actual())] == ["hand", "hand"]


def test_the_table_of_an_old_evnt_is_never_replaced() -> None:
    found = {**actual(), "local": Table({"app_id": "String"}, engine="MergeTree")}
    assert due(ONE, found) == [("local is a table where a view should be: rename one of them", "hand")]
    statements = [statement for change in changes(ONE, {"local": found["local"]}) for statement in change.statements]
    assert [statement for statement in statements if "VIEW" in statement and "`local`" in statement] == []


def test_the_old_table_can_be_left_out() -> None:
    without = ConfigurationSettings.model_validate({"tables": {"evnt": {"enabled": False}}})
    assert ddl.view_names(without) == ["events_unique"]
    assert len(ddl.create_views(without, types())) == 1
