"""Options of the loader and of the ClickHouse that it fills."""

from pathlib import Path

from pydantic import Field

from loader.warehouse.settings import ClickhouseSettings
from shared.settings import AdminSettings, Section, SharedSettings


class BatchSettings(Section):
    """When a batch is inserted: at whichever of the three comes first."""

    rows: int = Field(default=5_000, ge=1)
    """Rows in a batch; whole chunks are merged until it is reached. ClickHouse likes 2,000 and more."""
    bytes: int = Field(default=16_777_216, ge=1)
    """Size of a batch in bytes."""
    age_ms: int = Field(default=1_000, ge=0)
    """Age of the oldest chunk in a batch, milliseconds: the delay that batching adds when traffic is low."""


class DedupeSettings(Section):
    client_lookback: int = Field(default=10, ge=0)
    """Minutes for which loaded events are remembered, to drop copies that trackers send again; 0 turns it off. A copy
    is dropped only after ClickHouse confirmed that it holds the same event with the same fingerprint."""
    client_lookback_events: int = Field(default=100_000, ge=0)
    """Most events that are remembered (about 250 bytes each)."""


class RetrySettings(Section):
    first_delay_ms: int = Field(default=200, ge=1)
    """Pause after the first failed attempt; it doubles with every further one."""
    longest_delay_ms: int = Field(default=30_000, ge=1)
    """Longest pause between two attempts."""


class LoaderSection(Section):
    admin: AdminSettings = AdminSettings(port=8121)
    batch: BatchSettings = BatchSettings()
    inserts_in_flight: int = Field(default=2, ge=1)
    """Inserts of one table at the same time. Meanwhile the next one is made ready, and one more batch taken in."""
    prefetch: int = Field(default=100, ge=1, le=2_000)
    """Chunks of one queue that the loader holds unacknowledged; each has up to 2 MB."""
    max_schema_columns: int = Field(default=300, ge=0)
    """Columns for schemas in a table; the data of further schemas goes to the catch-all columns."""
    iglu: Path = Path("config/iglu.yml")
    """Iglu resolver configuration, where schemas are looked up for the type hints of new columns."""
    dedupe: DedupeSettings = DedupeSettings()
    retry: RetrySettings = RetrySettings()
    liveness_file: Path | None = None
    """Touched every few seconds while the loader makes progress or waits for an outage to end; for probes that can
    only look at files. Unset: `loader-<number of the process>.alive` in `data_dir`."""


class LoaderSettings(SharedSettings):
    loader: LoaderSection = LoaderSection()
    clickhouse: ClickhouseSettings = ClickhouseSettings()
