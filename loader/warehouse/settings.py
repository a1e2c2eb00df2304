"""Options of the warehouse: how to reach it, what its tables look like, and the embedded server."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import Host, Section


class ConnectionSettings(Section):
    interface: Literal["http", "https"] = "http"
    """Protocol of the ClickHouse HTTP interface."""
    tls_ca_file: Path | None = None
    """Certificates of the authorities that may have signed the server's, with `https` (PEM); unset: the system's."""
    host: Host = Field(default="127.0.0.1", min_length=1)
    """Host name of the ClickHouse server."""
    port: int = Field(default=8123, ge=1, le=65535)
    """Port of the HTTP interface; the embedded server listens here."""
    username: str = "default"
    """User that loads; it needs CREATE, ALTER, INSERT and SELECT on the database."""
    password: SecretStr = SecretStr("")
    """Password of the user."""
    database: str = "default"
    """Database that exists already, to connect to; the tables lie in `clickhouse.configuration.database`."""
    connect_timeout: float = 10
    """Longest wait in seconds for a connection to be made."""
    request_timeout_seconds: float = 300
    """Longest wait in seconds for the answer to one statement; an insert that takes longer is tried again."""
    compression: Literal["none", "gzip"] = "none"
    """Compression of inserts on their way: `none` is fastest on loopback and LAN."""
    max_connections: int = 16
    """Connections of one process to the server."""


class LocalTable(Section):
    name: str = ""
    """Name of the table; empty: the group's name, with `_local` appended on a cluster."""
    engine: str
    """Table engine; on a cluster `Replicated` is put in front of it."""
    partition_by: str
    """PARTITION BY expression; empty: one partition."""
    primary_key: str = ""
    """PRIMARY KEY expressions; empty: the same as order_by."""
    order_by: str
    """ORDER BY expressions."""
    sample_by: str = ""
    """SAMPLE BY expression, which must be in the primary key; empty: none."""
    ttl: str = ""
    """TTL expression; empty: rows are kept for ever."""
    settings: str = ""
    """Further settings of the table, `name = value` with commas between."""


class DistributedTable(Section):
    name: str = ""
    """Name of the Distributed table on a cluster; empty: the group's name."""
    sample_by: str = "rand()"
    """Sharding expression (the name is that of evnt before 0.1)."""


class TableSettings(Section):
    local: LocalTable
    distributed: DistributedTable = DistributedTable()


class EventsTable(TableSettings):
    local: LocalTable = LocalTable(
        engine="ReplacingMergeTree(load_tstamp)",
        partition_by="toYYYYMM(collector_tstamp)",
        primary_key="app_id, event_name, toStartOfHour(collector_tstamp)",
        order_by="app_id, event_name, toStartOfHour(collector_tstamp), event_id, event_fingerprint",
    )
    distributed: DistributedTable = DistributedTable(sample_by="cityHash64(event_id)")


class EventsFailedTable(TableSettings):
    local: LocalTable = LocalTable(
        engine="MergeTree",
        partition_by="toYYYYMM(collector_tstamp)",
        order_by="toStartOfHour(collector_tstamp)",
        ttl="toDateTime(load_tstamp) + INTERVAL 30 DAY DELETE",
    )


class BadRowsTable(TableSettings):
    local: LocalTable = LocalTable(
        engine="ReplacingMergeTree(load_tstamp)",
        partition_by="toYYYYMM(received)",
        order_by="type, toStartOfHour(received), id",
        ttl="toDateTime(load_tstamp) + INTERVAL 90 DAY DELETE",
    )
    distributed: DistributedTable = DistributedTable(sample_by="cityHash64(id)")


class CompatibilityName(Section):
    name: str = "local"
    """Name of the view."""


class CompatibilityView(Section):
    """The table of evnt before 0.1 (`evnt.local`), as a view over the canonical table."""

    enabled: bool = True
    """Create the view."""
    local: CompatibilityName = CompatibilityName()


class TablesSettings(Section):
    events: EventsTable = EventsTable()
    events_failed: EventsFailedTable = EventsFailedTable()
    bad_rows: BadRowsTable = BadRowsTable()
    evnt: CompatibilityView = CompatibilityView()


class CodecSettings(Section):
    """Compression of columns on disk, as the arguments of CODEC; empty: the server's own."""

    timestamp: str = "Delta, ZSTD(1)"
    """Columns of times."""
    text: str = "ZSTD(1)"
    """Columns of texts that differ from row to row."""
    schema_data: str = "ZSTD(1)"
    """Columns for the data of schemas."""
    archive: str = "ZSTD(6)"
    """Payloads of bad rows."""


class ConfigurationSettings(Section):
    database: str = "evnt"
    """Database of all tables; created where it is missing."""
    cluster_name: str = ""
    """Cluster to create replicated and distributed tables on; empty: one server."""
    tables: TablesSettings = TablesSettings()
    codecs: CodecSettings = CodecSettings()
    migrate_at_start: bool = True
    """Let a starting loader create and widen tables; otherwise it stops where `evnt db migrate` is due."""
    deduplication_window: int = Field(default=10_000, ge=0)
    """Inserts that a table remembers, so that the same one sent twice is stored once."""
    deduplication_window_seconds: int = Field(default=604_800, ge=0)
    """How long a replicated table remembers them, in seconds."""
    fsync: bool = False
    """Flush every insert to the disk, so that a power cut loses nothing; ClickHouse itself leaves that to replicas."""


class InsertSettings(Section):
    mode: Literal["sync", "async"] = "sync"
    """`async` lets the server merge the inserts of many loaders; the loader waits for the data to be stored. Inserts
    above the server's `async_insert_max_data_size` (10 MB) go in at once, so it pays with smaller batches only."""
    quorum: str = ""
    """Replicas that must have an insert before it counts, a number or `auto`; empty: one."""


class EmbeddedSettings(Section):
    """The ClickHouse engine as a process of evnt, for machines without a ClickHouse server."""

    host: Host = "127.0.0.1"
    """Address it listens on; its port, user and password are those of `clickhouse.connection`."""
    cors_allowed_origins: tuple[str, ...] = ()
    """Web pages that may query it, beside those served from this machine; `*` for all."""
    max_memory_ratio: float = Field(default=0.5, gt=0, le=1)
    """Share of the machine's memory that queries and merges may use together."""
    cache_mb: int = Field(default=64, ge=1)
    """Size of each of the engine's caches in megabytes."""
    min_free_mb: int = Field(default=256, ge=1)
    """Megabytes of the disk below which nothing is inserted, changed or merged: the engine loses what it writes to a
    full disk without an error."""


class ClickhouseSettings(Section):
    connection: ConnectionSettings = ConnectionSettings()
    configuration: ConfigurationSettings = ConfigurationSettings()
    insert: InsertSettings = InsertSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    startup_timeout_seconds: float = 60
    """How long a starting loader waits for the server before it reports an outage; then it waits on."""
    startup_retry_interval_ms: int = 1000
    """Pause between two attempts to reach the server at the start."""
