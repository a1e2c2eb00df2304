"""The metrics that pages name are those that processes have, and the other way round."""

import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics import Metrics
from enricher.metrics import EnricherMetrics
from enricher.script_metrics import ScriptMetrics
from loader.metrics import LoaderMetrics
from tests.repo.tree import ROOT

PAGES = sorted(file.name for file in ROOT.glob("docs/*.md"))


def exposed() -> set[str]:
    registry = CollectorRegistry()
    Metrics(registry), EnricherMetrics(registry), LoaderMetrics(registry)
    registry.register(ScriptMetrics(list))
    return {metric.name + ("_total" if metric.type == "counter" else "") for metric in registry.collect()}


def named(page: str) -> Iterator[str]:
    """`…_bad_rows_total` is of the same process as the metric before it."""
    process = ""
    for whose, name in re.findall(
        r"`(evnt_(?:collector|enricher|loader)|…)_([a-z_]+)", (ROOT / "docs" / page).read_text("utf-8")
    ):
        process = process if whose == "…" else whose
        yield f"{process}_{name}"


@pytest.mark.parametrize("page", PAGES)
def test_what_pages_call_metrics_are_some(page: str) -> None:
    assert set(named(page)) - exposed() == set()


@pytest.mark.parametrize("process", ["collector", "enricher", "loader"])
def test_the_page_of_a_process_has_all_its_metrics(process: str) -> None:
    ours = {name for name in exposed() if name.startswith(f"evnt_{process}_")}
    assert ours
    assert ours - set(named(f"{process}.md")) == set()
