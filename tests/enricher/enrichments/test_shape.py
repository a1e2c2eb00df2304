"""Every enrichment is one file of one shape, in the order, with an example, a line of documentation and cases."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from enricher.enrichments import ORDER, Step
from enricher.enrichments.contract import Draft, Patch, Query, Resources
from enricher.enrichments.loading import choose, configurations
from enricher.enrichments.parts.parameters import Parameters
from shared.schema import SchemaCriterion
from tests.vectors import ROOT

FOLDER = ROOT / "enricher/enrichments"
EXAMPLES = ROOT / "config/enrichments"
NOT_ENRICHMENTS = {"__init__", "contract", "loading"}

STEPS = [pytest.param(step, id=step.name) for step in ORDER]


def test_every_file_is_in_the_order_once() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - NOT_ENRICHMENTS
    assert sorted(step.name for step in ORDER) == sorted(files)


@pytest.mark.parametrize("step", STEPS)
def test_shape(step: Step) -> None:
    module = step.module
    assert isinstance(module.SCHEMA, SchemaCriterion)
    assert issubclass(module.Config, Parameters)
    asks = hasattr(module, "ask")
    assert _signature(module.prepare) == [module.Config, Resources]
    assert inspect.signature(module.prepare).return_annotation == module.State
    assert _signature(module.enrich)[:2] == [Draft, module.State]
    assert len(_signature(module.enrich)) == (3 if asks else 2)
    assert inspect.signature(module.enrich).return_annotation == Patch | None
    if asks:
        assert inspect.signature(module.ask).return_annotation == Query | None
        assert _signature(module.ask) == _signature(module.enrich)[:2]
    if hasattr(module, "foresee"):
        assert _signature(module.foresee) == [Sequence[str], module.State]


def _signature(function: object) -> list[object]:
    assert callable(function)
    return [parameter.annotation for parameter in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("step", STEPS)
def test_options_are_documented(step: Step) -> None:
    for model in _models(step.module):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def _models(module: ModuleType) -> list[type[BaseModel]]:
    """What a configuration file is read with; files of specifications are not."""
    seen: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [module.Config]
    while waiting:
        model = waiting.pop()
        seen.append(model)
        mentioned = str([field.annotation for field in model.model_fields.values()])
        found = [one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, Parameters)]
        waiting += [one for one in found if f".{one.__name__}" in mentioned and one not in seen]
    return seen


@pytest.mark.parametrize("step", STEPS)
def test_there_is_an_example_that_can_be_used(step: Step) -> None:
    """Switched on, each example's parameters are valid."""
    found, problems = configurations(EXAMPLES)
    mine = [one for one in found if one.key.name == step.module.SCHEMA.name]
    assert problems == []
    assert [Path(one.file).stem for one in mine] == [step.name]
    assert "enabled" in mine[0].data
    switched_on = [one._replace(data={**one.data, "enabled": True}) for one in mine]
    chosen, problems = choose(switched_on)
    assert problems == []
    assert any(one.source for one in chosen)


@pytest.mark.parametrize("step", STEPS)
def test_there_is_a_line_of_documentation(step: Step) -> None:
    lines = (ROOT / "docs/enrichments.md").read_text().splitlines()
    assert any(line.startswith(f"| `{step.name}`") for line in lines)


def test_the_order_has_reasons() -> None:
    assert all(step.reason for step in ORDER)
    names = [step.name for step in ORDER]
    for first, second in (
        ("ip_lookups", "anon_ip"),
        ("ip_lookups", "asn_lookups"),
        ("asn_lookups", "bot_detection"),
        ("javascript_script", "sql_query"),
        ("sql_query", "api_request"),
        ("anon_ip", "pii"),
        ("pii", "event_spec"),
    ):
        assert names.index(first) < names.index(second)
