"""Metrics of operators' functions: counted by the enrichments themselves, read when somebody asks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from enricher.enrichments.contract import Enrichment
from enricher.enrichments.parts.tally import Tally

_FAMILIES: Mapping[str, tuple[str, Callable[[Tally], float]]] = {
    "calls": ("Calls of an operator's function", lambda tally: tally.calls),
    "failures": ("Calls that failed", lambda tally: tally.failures),
    "dropped": ("Events that the function dropped", lambda tally: tally.dropped),
    "over_budget": ("Calls that were stopped for taking too long", lambda tally: tally.over_budget),
    "shadow_agreed": ("Events on which the shadow said the same", lambda tally: tally.agreed),
    "shadow_differed": ("Events on which the shadow said something else", lambda tally: tally.differed),
    "seconds": ("Time spent in the function, seconds", lambda tally: tally.seconds),
}


class ScriptMetrics(Collector):
    """Register it with the composition root's registry. A reload that makes a function anew starts it at zero."""

    def __init__(self, current: Callable[[], Sequence[Enrichment]]) -> None:
        self._current = current

    def describe(self) -> Iterable[CounterMetricFamily]:
        return [_family(name) for name in _FAMILIES]

    def collect(self) -> Iterator[CounterMetricFamily]:
        tallies = list(self._tallies())
        for name, (_, read) in _FAMILIES.items():
            family = _family(name)
            for labels, tally in tallies:
                family.add_metric(labels, read(tally))
            yield family

    def _tallies(self) -> Iterator[tuple[tuple[str, str, str], Tally]]:
        """Several scripts of one kind are told apart by their place."""
        for place, enrichment in enumerate(self._current()):
            for function, tally in getattr(enrichment.state, "tallies", {}).items():
                yield (enrichment.name, str(place), function), tally


def _family(name: str) -> CounterMetricFamily:
    doc, _ = _FAMILIES[name]
    return CounterMetricFamily(f"evnt_enricher_script_{name}", doc, labels=("enrichment", "place", "function"))
