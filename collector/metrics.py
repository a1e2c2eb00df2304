"""What an operator watches: plain counters on the hot path, turned into Prometheus metrics when they are read."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: Upper bounds of the latency histogram, seconds.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Methods that are counted by their names.
METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"))


class Metrics(Collector):
    """Counters of one collector process; registers itself where it is told to."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.in_flight = 0
        self.received_bytes = 0
        self.published = 0
        self.bad = 0
        self.spooled = 0
        self.drained = 0
        self.refused = 0
        self.cut_off = 0
        self.spool_oldest_ms: int | None = None
        self._latency = [0] * (len(BOUNDS) + 1)
        self._latency_sum = 0.0
        if registry is not None:
            registry.register(self)

    def answered(self, method: str, status: int, seconds: float) -> None:
        """A request was answered after this time."""
        self.count(method, status)
        self._latency[bisect_left(BOUNDS, seconds)] += 1
        self._latency_sum += seconds

    def count(self, method: str, status: int) -> None:
        """A request was answered; methods that somebody made up are one."""
        self.requests[method if method in METHODS else "other", status] += 1

    def collect(self) -> Iterator[Metric]:
        """The metrics as Prometheus reads them."""
        requests = CounterMetricFamily("evnt_collector_requests", "Requests answered.", labels=["method", "status"])
        for (method, status), count in self.requests.items():
            requests.add_metric([method, str(status)], count)
        yield requests
        yield self._histogram()
        for name, text, value in (
            ("received_bytes", "Bytes of request bodies.", self.received_bytes),
            ("payloads_published", "Payloads that became durable, in the stream or the spool.", self.published),
            ("bad_rows_published", "Bad rows that became durable.", self.bad),
            ("messages_spooled", "Messages put into the spool.", self.spooled),
            ("messages_drained", "Messages that left the spool for the stream.", self.drained),
            ("requests_refused", "Requests answered 503 since nothing could be made durable.", self.refused),
            ("connections_cut_off", "Connections closed for being slow, broken or too many.", self.cut_off),
        ):
            yield CounterMetricFamily(f"evnt_collector_{name}", text, value=value)
        yield GaugeMetricFamily("evnt_collector_requests_in_flight", "Requests being served.", value=self.in_flight)
        oldest = (self.spool_oldest_ms or 0) / 1000
        text = "Unix time of the oldest spooled message; 0: none."
        yield GaugeMetricFamily("evnt_collector_spool_oldest_timestamp_seconds", text, value=oldest)

    def _histogram(self) -> HistogramMetricFamily:
        total, buckets = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._latency, strict=True):
            total += count
            buckets.append((bound, float(total)))
        text = "Time from the head of a request to its answer."
        return HistogramMetricFamily("evnt_collector_request_seconds", text, buckets, self._latency_sum)
