"""What the loader counts. Labels: the table that rows go to."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROWS = (1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200)


class LoaderMetrics:
    """Registered with the registry of the composition root."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, doc: str, *labels: str) -> Counter:
            return Counter(f"evnt_loader_{name}", doc, labels, registry=registry)

        self.rows = counter("rows", "Rows stored", "table")
        self.inserts = counter("inserts", "Inserts that were stored", "table")
        self.retries = counter("retries", "Calls repeated because ClickHouse or the broker was not available")
        self.refused = counter("inserts_refused", "Inserts refused for their rows and divided", "table")
        self.missing = counter(
            "rows_missing", "Rows that ClickHouse did not count as written; looked for again", "table"
        )
        self.duplicates = counter(
            "duplicates",
            "Copies: `stored` is in the table and was dropped, `synthetic` has another fingerprint and was kept",
            "kind",
        )
        self.bad_rows = counter("bad_rows", "Bad rows made by the loader", "type")
        self.hints = counter("hints_dropped", "Type hints dropped because a value contradicted them", "table")
        self.batch_rows = Histogram(
            "evnt_loader_batch_rows", "Rows of an insert", ("table",), registry=registry, buckets=_ROWS
        )
        self.insert_seconds = Histogram(
            "evnt_loader_insert_seconds", "Time of an insert, retries included", ("table",), registry=registry
        )
        self.end_to_end = Histogram(
            "evnt_loader_end_to_end_seconds",
            "From the collector's time of the oldest event of a chunk until it was stored",
            ("table",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.lag = Gauge(
            "evnt_loader_lag_seconds",
            "Age of the oldest message held and not yet stored",
            ("table",),
            registry=registry,
        )
