"""One event on its way through the three phases. Every phase runs, whatever the earlier ones found.

1 read: the self-describing event and the contexts validated; all other parameters into columns
2 enrich: built-in attributes, then the enrichments in their order
3 check: what enrichments attached or changed, and the length of every column
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from enricher import attributes, limits, mapping
from enricher.badrows import BadRows
from enricher.enrichments.contract import Answer, Draft, Enrichment, Entity, Failure, Patch, Query
from enricher.entities import (
    Checked,
    Schemas,
    check_contexts,
    check_event,
    contexts_text,
    event_text,
    recheck,
    sent_text,
)
from enricher.mapping import AtomicError
from enricher.mending import Mend, untouched
from enricher.violations import AtomicErrors, EnrichmentError, Violation, entity
from shared.event import INDEX

_CONTEXTS: Final = INDEX["contexts"]
_UNSTRUCT: Final = INDEX["unstruct_event"]
_DERIVED: Final = INDEX["derived_contexts"]


@dataclass(slots=True, init=False)
class Event:
    """sent, made: violations of phases 1 and 3. errors: of phase 2, the latest enrichment first.

    infos: which schema stood in for a superseded one. event_changed, contexts_changed: replaced, to be validated again.
    """

    draft: Draft
    sent: Sequence[Violation]
    errors: Sequence[EnrichmentError]
    made: Sequence[Violation]
    infos: Sequence[Entity]
    side_events: Sequence[Mapping[str, str]]
    event_changed: bool
    contexts_changed: bool
    dropped: bool

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.sent = ()
        self.errors = ()
        self.made = ()
        self.infos = ()
        self.side_events = ()
        self.event_changed = False
        self.contexts_changed = False
        self.dropped = False

    @property
    def failed(self) -> bool:
        return bool(self.sent or self.errors or self.made)


# ---- phase 1 ------------------------------------------------------------------------------------------------------


def validate(event: Event, schemas: Schemas, max_depth: int, mend: Mend = untouched) -> None:
    """The self-describing event and the contexts, as they were sent.

    Raises UnknownSchema before anything is changed.
    """
    parameters = event.draft.parameters
    text = sent_text(parameters, "ue_px", "ue_pr")
    inner = None if text is None else check_event(mend(text), schemas, max_depth)
    text = sent_text(parameters, "cx", "co")
    contexts = None if text is None else check_contexts(mend(text), schemas, max_depth)
    if inner is not None:
        _take_event(event, inner)
        event.sent = inner.violations
    if contexts is not None:
        _take_contexts(event, contexts)
        event.sent = (*event.sent, *contexts.violations)


def map_parameters(event: Event, impossible: Sequence[AtomicError]) -> None:
    """All others into columns; their errors come first. `impossible`: what is wrong with the request's own values."""
    errors = [*impossible, *mapping.apply(event.draft.parameters, event.draft.values)]
    if errors:
        event.sent = (AtomicErrors(tuple(errors)), *event.sent)


def _take_event(event: Event, checked: Checked) -> None:
    event.draft.event = checked.entities[0] if checked.entities else None
    event.draft.values[_UNSTRUCT] = checked.text
    event.infos = (*event.infos, *checked.infos)


def _take_contexts(event: Event, checked: Checked) -> None:
    event.draft.contexts = checked.entities
    event.draft.values[_CONTEXTS] = checked.text
    event.infos = (*event.infos, *checked.infos)


# ---- phase 2 ------------------------------------------------------------------------------------------------------


def attribute(event: Event, fill: attributes.Fill) -> None:
    """One of those that every event gets without being configured."""
    failure = fill(event.draft)
    if failure is not None:
        _report(event, None, (failure,))


def enrich(event: Event, enrichment: Enrichment) -> Query | None:
    """Let it do its work, or say what it asks first; then `settle` finishes it."""
    draft, ask = event.draft, enrichment.ask
    if ask is None:
        patch = enrichment.enrich(draft, enrichment.state)
    else:
        query = ask(draft, enrichment.state)
        if query is not None:
            return query
        patch = enrichment.enrich(draft, enrichment.state, None)
    if patch is not None:
        _apply(event, enrichment, patch)
    return None


def settle(event: Event, enrichment: Enrichment, answer: Answer) -> None:
    """Finish the enrichment that asked."""
    patch = enrichment.enrich(event.draft, enrichment.state, answer)
    if patch is not None:
        _apply(event, enrichment, patch)


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
        event.side_events = (*event.side_events, *patch.side_events)
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


def check(
    event: Event, lengths: limits.AtomicLimits, accept_long: bool, schemas: Schemas, clear_long: bool = True
) -> None:
    """Derived contexts first, then lengths, then what enrichments replaced.

    clear_long: the event goes on without its over-long columns. Raises UnknownSchema before anything is changed.
    """
    draft = event.draft
    derived = recheck("derived_contexts", draft.derived, schemas) if draft.derived else None
    inner = recheck("unstruct", [draft.event], schemas) if event.event_changed and draft.event is not None else None
    contexts = recheck("contexts", draft.contexts, schemas) if event.contexts_changed else None
    if derived is not None:
        draft.derived = derived.entities
        event.made = derived.violations
    too_long = () if accept_long else lengths.violations(draft.values)
    if too_long:
        event.made = (*event.made, AtomicErrors(tuple(too_long)))
        if clear_long:
            limits.clear(draft.values, too_long)
    if inner is not None:
        inner.text = event_text(inner.entities[0]) if inner.entities else ""
        _take_event(event, inner)
        event.made = (*event.made, *inner.violations)
    if contexts is not None:
        contexts.text = contexts_text(contexts.entities)
        _take_contexts(event, contexts)
        event.made = (*event.made, *contexts.violations)
    if derived is not None:
        event.infos = (*event.infos, *derived.infos)


def conclude(event: Event, rows: BadRows) -> None:
    """Fill derived_contexts: failures, then what enrichments attached, then validation_info."""
    draft = event.draft
    if event.failed or event.infos:
        problems = (*event.sent, *event.errors, *event.made)
        failures = [entity(problem, rows.timestamp, rows.processor) for problem in problems]
        infos = {info.data["originalSchema"]: info for info in event.infos}
        draft.derived = [*failures, *draft.derived, *infos.values()]
    draft.values[_DERIVED] = contexts_text(draft.derived)
