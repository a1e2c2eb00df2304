"""What one raw message became, as values."""

from dataclasses import dataclass

from enricher.badrows import BadRow


@dataclass(slots=True, init=False)
class Line:
    """An event's TSV line, and the Iglu URIs that occur in it."""

    body: bytes
    event_schema: str | None
    entity_schemas: tuple[str, ...]

    def __init__(self, body: bytes, event_schema: str | None, entity_schemas: tuple[str, ...]) -> None:
        self.body = body
        self.event_schema = event_schema
        self.entity_schemas = entity_schemas


@dataclass(slots=True, init=False)
class Outcome:
    """What one raw message became. Each event ends in exactly one of: enriched, a bad row, dropped.

    failed: events that have their bad row too. refused: bad rows for a whole payload, none of whose events counts.
    side: enriched lines beside the events, made by enrichments (PII identification).
    oversized_failed: failed events that were too large for their stream; only their bad rows are left.
    """

    enriched: list[Line]
    failed: list[Line]
    bad: list[BadRow]
    payloads: int
    events: int
    refused: int
    side: int
    dropped: int
    oversized_failed: int

    def __init__(self) -> None:
        self.enriched = []
        self.failed = []
        self.bad = []
        self.payloads = 0
        self.events = 0
        self.refused = 0
        self.side = 0
        self.dropped = 0
        self.oversized_failed = 0
