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

    def __init__(
        self,
        payloads: int = 0,
        events: int = 0,
        refused: int = 0,
        side: int = 0,
        dropped: int = 0,
        oversized_failed: int = 0,
    ) -> None:
        self.enriched = []
        self.failed = []
        self.bad = []
        self.payloads = payloads
        self.events = events
        self.refused = refused
        self.side = side
        self.dropped = dropped
        self.oversized_failed = oversized_failed
