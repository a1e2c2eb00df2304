"""Options of the enricher."""

from pathlib import Path

from pydantic import Field, field_validator

from enricher.limits import AtomicLimits
from shared.settings import SHIPPED, AdminSettings, Section, SharedSettings


class EnrichedSettings(Section):
    """When enriched events are published: at whichever of the three comes first."""

    events_per_message: int = Field(default=500, ge=1)
    """Most events in one message of the enriched stream; 1 for consumers that expect one event a message."""
    bytes_per_message: int = Field(default=2_000_000, ge=1)
    """Most bytes in one message; a larger event travels alone."""
    age_ms: int = Field(default=250, ge=0)
    """How long an event may wait for others, milliseconds: the delay that chunks add while there is little traffic."""


class ValidationSettings(Section):
    max_json_depth: int = Field(default=50, ge=1, le=100)
    """Levels that a JSON text of a tracker may have, the root and the leaves counted."""
    atomic_fields_limits: dict[str, int] = Field(default_factory=dict)
    """Column → longest text in UTF-16 code units, over the canonical limits."""
    repair_json: bool = False
    """Repair broken JSON of bodies, events and contexts, as the first evnt did. Needs the `repair` extra."""
    accept_invalid: bool = False
    """Let events through whose columns are too long, as they are; loaders may refuse or cut them."""

    @field_validator("atomic_fields_limits")
    @classmethod
    def _known(cls, limits: dict[str, int]) -> dict[str, int]:
        try:
            AtomicLimits(limits)
        except KeyError as error:
            raise ValueError(f"expected columns that have a limit, there is none of {error}") from error
        return limits


class RetrySettings(Section):
    first_delay_ms: int = Field(default=200, ge=1)
    """Pause after the first failed attempt to reach a registry or the broker; it doubles with every further one."""
    longest_delay_ms: int = Field(default=30_000, ge=1)
    """Longest pause between two attempts."""


class EnricherSection(Section):
    admin: AdminSettings = AdminSettings(port=8111)
    iglu: Path = Path("config/iglu.yml")
    """Where schemas come from: Snowplow's resolver configuration, as YAML or JSON."""
    enrichments: Path = Path("config/enrichments")
    """Folder of enrichment configurations, one file each, as YAML or Snowplow's JSON."""
    reload_seconds: float = Field(default=5, gt=0)
    """How often that folder and the data files it names are looked at for changes."""
    enriched: EnrichedSettings = EnrichedSettings()
    validation: ValidationSettings = ValidationSettings()
    failed_events: bool = True
    """Also publish events that failed, without their invalid parts, to the failed stream."""
    max_record_bytes: int = Field(default=6_900_000, ge=10_000)
    """Largest event or bad row in bytes; a larger one becomes a `size_violation` bad row that quotes a tenth of it."""
    max_payload_bytes: int = Field(default=10_000_000, ge=1)
    """Largest payload of a compressed raw message in bytes; a larger one becomes a `size_violation` bad row."""
    prefetch: int = Field(default=200, ge=1, le=5_000)
    """Raw messages that the enricher holds unacknowledged."""
    held_bytes: int = Field(default=64_000_000, ge=1)
    """Bytes of raw messages held, above which none are taken in until some are done."""
    publishes_in_flight: int = Field(default=4, ge=1)
    """Batches that may wait for the transport's confirm at the same time."""
    retry: RetrySettings = RetrySettings()
    shutdown_seconds: float = Field(default=20, ge=0)
    """How long a stopping enricher waits for registries, enrichments and the broker; what is left comes again."""

    def enrichments_folder(self) -> Path:
        """The folder to read; where there is none at the default place, the one that comes with evnt."""
        default = type(self).model_fields["enrichments"].default
        return SHIPPED / default if self.enrichments == default and not default.exists() else self.enrichments


class EnricherSettings(SharedSettings):
    enricher: EnricherSection = EnricherSection()
