"""One event on its way through the three phases. Every phase runs, whatever the earlier ones found.

1 map: parameters into columns; the self-describing event and the contexts validated
2 enrich: built-in attributes, then the enrichments in their order
3 check: what enrichments attached or changed, and the length of every column
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from enricher import attributes, limits, mapping
from enricher.badrows import BadRows
from enricher.enrichments.contract import Draft, Enrichment, Entity, Failure, Patch, Query
from enricher.entities import (
    Cached,
    Checked,
    check_contexts,
    check_event,
    conform,
    contexts_text,
    event_text,
    recheck,
    sent_text,
)
from enricher.mapping import AtomicError
from enricher.mending import Mend, untouched
from enricher.violations import AtomicErrors, EnrichmentError, Violation, entity
from shared.event import INDEX

_CONTEXTS, _UNSTRUCT, _DERIVED = INDEX["contexts"], INDEX["unstruct_event"], INDEX["derived_contexts"]

Questions = Generator[Query, Any, None]


@dataclass(slots=True)
class Event:
    """sent, made: violations of phases 1 and 3. errors: of phase 2, the latest enrichment first.

    infos: which schema stood in for a superseded one. event_changed, contexts_changed: replaced, to be validated again.
    """

    draft: Draft
    sent: list[Violation] = field(default_factory=list)
    errors: list[EnrichmentError] = field(default_factory=list)
    made: list[Violation] = field(default_factory=list)
    infos: list[Entity] = field(default_factory=list)
    side_events: list[dict[str, str]] = field(default_factory=list)
    event_changed: bool = False
    contexts_changed: bool = False
    dropped: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.sent or self.errors or self.made)


# ---- phase 1 ------------------------------------------------------------------------------------------------------


def map_parameters(
    event: Event, impossible: Sequence[AtomicError], cached: Cached, max_depth: int, mend: Mend = untouched
) -> Questions:
    """`impossible`: what is already wrong with the request's own values."""
    draft = event.draft
    errors = [*impossible, *mapping.apply(draft.parameters, draft.values)]
    if errors:
        event.sent.append(AtomicErrors(tuple(errors)))
    text = sent_text(draft.parameters, "ue_px", "ue_pr")
    if text is not None:
        checked = yield from check_event(mend(text), cached, max_depth)
        _take_event(event, checked, event.sent)
    text = sent_text(draft.parameters, "cx", "co")
    if text is not None:
        checked = yield from check_contexts(mend(text), cached, max_depth)
        _take_contexts(event, checked, event.sent)


def _take_event(event: Event, checked: Checked, violations: list[Violation]) -> None:
    event.draft.event = checked.entities[0] if checked.entities else None
    event.draft.values[_UNSTRUCT] = checked.text
    event.infos += checked.infos
    violations += checked.violations


def _take_contexts(event: Event, checked: Checked, violations: list[Violation]) -> None:
    event.draft.contexts = checked.entities
    event.draft.values[_CONTEXTS] = checked.text
    event.infos += checked.infos
    violations += checked.violations


# ---- phase 2 ------------------------------------------------------------------------------------------------------


def enrich(event: Event, enrichments: Sequence[Enrichment]) -> Questions:
    for attribute in attributes.BUILT_IN:
        failure = attribute(event.draft)
        if failure is not None:
            _report(event, None, (failure,))
    for enrichment in enrichments:
        if enrichment.ask is None:
            patch = enrichment.enrich(event.draft, enrichment.state)
        else:
            query = enrichment.ask(event.draft, enrichment.state)
            answer = None if query is None else (yield query)
            patch = enrichment.enrich(event.draft, enrichment.state, answer)
        if patch is not None:
            _apply(event, enrichment, patch)
            if patch.drop:
                return


def _apply(event: Event, enrichment: Enrichment, patch: Patch) -> None:
    draft = event.draft
    for column, text in patch.fields.items():
        draft.values[INDEX[column]] = text
    if patch.contexts or patch.derived is not None:
        draft.derived = (*patch.contexts, *(draft.derived if patch.derived is None else patch.derived))
    if patch.failures:
        _report(event, enrichment, patch.failures)
    if patch.event is not None or patch.entities is not None:
        _replace(event, patch)
    if patch.side_events:
        event.side_events += map(dict, patch.side_events)
    event.dropped = patch.drop


def _replace(event: Event, patch: Patch) -> None:
    draft = event.draft
    if patch.event is not None:
        draft.event = patch.event
        draft.values[_UNSTRUCT] = event_text(patch.event)
        event.event_changed |= patch.revalidate
    if patch.entities is not None:
        draft.contexts = patch.entities
        draft.values[_CONTEXTS] = contexts_text(patch.entities)
        event.contexts_changed |= patch.revalidate


def _report(event: Event, enrichment: Enrichment | None, failures: Sequence[Failure]) -> None:
    event.errors = [*(EnrichmentError(enrichment, failure) for failure in failures), *event.errors]


# ---- phase 3 ------------------------------------------------------------------------------------------------------


def check(event: Event, lengths: limits.AtomicLimits, accept_long: bool, cached: Cached) -> Questions:
    """Derived contexts first, then lengths, then what enrichments replaced."""
    draft = event.draft
    if draft.derived and not conform(draft.derived, cached):
        checked = yield from recheck("derived_contexts", draft.derived, cached)
        draft.derived = checked.entities
        event.made += checked.violations
        event.infos += checked.infos
    too_long = [] if accept_long else lengths.violations(draft.values)
    if too_long:
        event.made.append(AtomicErrors(tuple(too_long)))
        limits.clear(draft.values, too_long)
    if event.event_changed and draft.event is not None:
        checked = yield from recheck("unstruct", [draft.event], cached)
        checked.text = event_text(checked.entities[0]) if checked.entities else ""
        _take_event(event, checked, event.made)
    if event.contexts_changed:
        checked = yield from recheck("contexts", draft.contexts, cached)
        checked.text = contexts_text(checked.entities)
        _take_contexts(event, checked, event.made)


def conclude(event: Event, rows: BadRows) -> None:
    """Fill derived_contexts: failures, then what enrichments attached, then validation_info."""
    draft = event.draft
    if event.failed or event.infos:
        problems = (*event.sent, *event.errors, *event.made)
        failures = [entity(problem, rows.timestamp, rows.processor) for problem in problems]
        infos = {info.data["originalSchema"]: info for info in event.infos}
        draft.derived = [*failures, *draft.derived, *infos.values()]
    draft.values[_DERIVED] = contexts_text(draft.derived)
