"""The table that `make bench` prints."""

import pytest

from benchmarks.__main__ import table
from benchmarks.result import Result, parse


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
