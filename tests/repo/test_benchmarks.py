"""The table that `make bench` prints, and that what it feeds the stages with is what they take."""

import asyncio

import pytest

from benchmarks import loader
from benchmarks.__main__ import table
from benchmarks.enriched import make_chunk
from benchmarks.pageviews import record_of, records
from benchmarks.pipeline import Bench
from benchmarks.result import Result, parse
from loader import chunk


def test_a_result_survives_its_line() -> None:
    result = Result("loader", "4 contexts", 22_000.5, 30_000, "engine", 0.8)
    assert parse(result.line()) == result
    assert parse("something else") is None


@pytest.mark.parametrize(
    ("limit", "target", "reached"),
    [(200.0, 0.5, True), (201.0, 0.5, False), (None, 100, True), (None, 101, False), (None, None, None)],
)
def test_a_target_is_a_share_of_the_limit_or_a_rate(
    limit: float | None, target: float | None, reached: bool | None
) -> None:
    assert Result("s", "c", 100, limit, "", target).reached is reached


def test_the_table_compares_with_limit_and_unit() -> None:
    results = [
        Result("collector", "1 event", 10_000, 20_000, "bare handler", 0.45),
        Result("enricher", "page view", 5_000),
    ]
    _, collector, enricher = table(results, unit=5e-6)
    assert " ".join(collector.split()) == "collector 1 event 10,000 100.0 20.0 20,000 0.50 0.45 ✓ bare handler"
    assert " ".join(enricher.split()) == "enricher page view 5,000 200.0 40.0"


def test_the_loader_lays_out_what_its_benchmark_makes() -> None:
    """The rest of it needs a quiet machine; this breaks when settings or chunks no longer fit."""
    layout = asyncio.run(loader.layout_of([chunk.read(make_chunk(0))]))
    assert any(name.startswith("contexts_") for name in layout.names)


def test_the_enricher_takes_what_its_benchmark_makes() -> None:
    bench = Bench()
    outcome = bench.run(b"".join(records(300, 10, 0.5)))
    assert (len(outcome.enriched), len(outcome.bad)) == (3_000, 0)
    assert len(bench.run(record_of(Bench.broken(1))).bad) == 1
