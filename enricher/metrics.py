"""What the enricher counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from enricher.outcome import Outcome


class EnricherMetrics:
    """Registered with the registry of the composition root."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, doc: str, *labels: str) -> Counter:
            return Counter(f"evnt_enricher_{name}", doc, labels, registry=registry)

        self.messages = counter("messages", "Raw messages processed")
        self.payloads = counter("payloads", "Collector payloads in them")
        self.events = counter("events", "Events in them")
        self.enriched = counter("enriched", "Events published as enriched")
        self.failed = counter("failed", "Events published as failed, beside their bad row")
        self.oversized_failed = counter("failed_oversized", "Failed events too large to publish; their bad rows are")
        self.dropped = counter("dropped", "Events that an enrichment dropped")
        self.bad_rows = counter("bad_rows", "Bad rows", "type")
        self.retries = counter("retries", "Attempts repeated because something was out of reach", "what")
        self.buried = counter("buried", "Raw messages moved to the dead queue")
        self.questions = counter("questions", "Questions that schemas and enrichments asked", "kind")
        self.reloads = counter("enrichment_reloads", "Changes of the enrichment folder", "result")
        self.held_bytes = Gauge("evnt_enricher_held_bytes", "Raw bytes taken in and not yet acked", registry=registry)
        self.lag = Gauge("evnt_enricher_lag_seconds", "Age of the oldest raw message held", registry=registry)
        self.batch_events = Histogram(
            "evnt_enricher_batch_events",
            "Events published together",
            registry=registry,
            buckets=(1, 10, 50, 100, 250, 500, 1_000),
        )

    def count(self, outcome: Outcome) -> None:
        """One raw message."""
        self.messages.inc()
        self.payloads.inc(outcome.payloads)
        self.events.inc(outcome.events)
        self.enriched.inc(len(outcome.enriched))
        if outcome.bad or outcome.dropped:
            self._count_rest(outcome)

    def _count_rest(self, outcome: Outcome) -> None:
        self.failed.inc(len(outcome.failed))
        self.oversized_failed.inc(outcome.oversized_failed)
        self.dropped.inc(outcome.dropped)
        for row in outcome.bad:
            self.bad_rows.labels(row.type).inc()
