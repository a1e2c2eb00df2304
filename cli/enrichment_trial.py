"""Runs operators' functions on recorded events and sums up what they would do."""

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enricher.enrichments import ORDER
from enricher.enrichments.contract import Draft, Enrichment, Entity, Patch, Resources
from enricher.enrichments.loading import Chosen
from enricher.enrichments.parts.tally import Tally
from shared import tsv
from shared.event import INDEX
from shared.payload import CollectorPayload
from shared.process import Misconfigured

_SCRIPTS = ("python_script", "javascript_script")


def scripts_of(chosen: Iterable[Chosen], resources: Resources) -> list[Enrichment]:
    """The functions that configurations switch on. Raises EnrichmentRefused."""
    return [_prepared(one.step.name, one.config, resources) for one in chosen if one.step.name in _SCRIPTS]


def single_script(script: Path, shadow: Path | None, budget_ms: int) -> list[Enrichment]:
    """One file, whatever is configured. Raises EnrichmentRefused."""
    module = next(step.module for step in ORDER if step.name == "python_script")
    parameters: dict[str, Any] = {"module": str(script.absolute()), "budget_ms": budget_ms}
    if shadow:
        parameters["shadow"] = str(shadow.absolute())
    return [_prepared("python_script", module.Config.model_validate(parameters), Resources(Path(), Path()))]


def _prepared(name: str, config: Any, resources: Resources) -> Enrichment:
    module = next(step.module for step in ORDER if step.name == name)
    return Enrichment(name, name, None, module.prepare(config, resources), module.enrich)


def events(files: Iterable[Path]) -> Iterator[tuple[str, Draft]]:
    """Each event and where it stands. What the recording does not hold, headers and parameters, is empty."""
    for file in files:
        for number, line in enumerate(_lines(file), 1):
            if line.strip(b"\r\n"):
                yield f"{file}:{number}", _draft(line.strip(b"\r\n"), f"{file}:{number}")


def _lines(file: Path) -> Iterator[bytes]:
    if str(file) == "-":
        yield from sys.stdin.buffer
        return
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(f"{file} can't be read: {error}") from error


def _draft(line: bytes, place: str) -> Draft:
    try:
        values = tsv.decode(line)
        contexts, derived = (_entities(values[INDEX[name]]) for name in ("contexts", "derived_contexts"))
        event = _entities(values[INDEX["unstruct_event"]])
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{place} is not an enriched event: {error}") from error
    return Draft(values, {}, CollectorPayload(), contexts=contexts, event=event[0] if event else None, derived=derived)


def _entities(text: str) -> list[Entity]:
    data = json.loads(text)["data"] if text else []
    return [Entity(one["schema"], one["data"]) for one in (data if isinstance(data, list) else [data])]


@dataclass(slots=True)
class Report:
    """columns, entities, messages: how many events had this column set, this entity attached, this failure."""

    events: int = 0
    dropped: int = 0
    failures: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    tallies: list[tuple[str, Tally]] = field(default_factory=list)


class Trial:
    """Functions run one after the other, each seeing what those before it set, as in the enricher."""

    def __init__(self, scripts: Sequence[Enrichment]) -> None:
        self._scripts = scripts
        self._report = Report()

    def run(self, place: str, draft: Draft) -> dict[str, Any]:
        """What happened to the event, as JSON."""
        report = self._report
        report.events += 1
        effect: dict[str, Any] = {"event": place, "columns": {}, "entities": [], "failures": [], "dropped": False}
        for script in self._scripts:
            patch = script.enrich(draft, script.state)
            if patch is not None:
                _apply(draft, patch, effect)
            if effect["dropped"]:
                break
        report.dropped += effect["dropped"]
        report.failures += bool(effect["failures"])
        report.columns.update(effect["columns"].keys())
        report.entities.update(one["schema"] for one in effect["entities"])
        report.messages.update(effect["failures"])
        return effect

    def report(self) -> Report:
        self._report.tallies = [
            (f"{script.name} {place} {function}", tally)
            for place, script in enumerate(self._scripts, 1)
            for function, tally in script.state.tallies.items()
        ]
        return self._report


def _apply(draft: Draft, patch: Patch, effect: dict[str, Any]) -> None:
    for column, text in patch.fields.items():
        before = draft.values[INDEX[column]]
        if before != text:
            effect["columns"][column] = [before, text]
            draft.values[INDEX[column]] = text
    effect["entities"] += [{"schema": one.schema, "data": one.data} for one in patch.contexts]
    kept = draft.derived if patch.derived is None else patch.derived
    draft.derived = [*patch.contexts, *kept]
    draft.contexts = draft.contexts if patch.entities is None else patch.entities
    draft.event = patch.event or draft.event
    effect["failures"] += [one.message for one in patch.failures]
    effect["dropped"] = patch.drop
