"""One raw message into enriched lines, failed lines and bad rows: pure, every event for itself.

A generator: it yields a question (a schema that is not cached, what an enrichment asks) and is sent the answer, so
that a worker drives it with sockets and a test with a dict.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from enricher import attributes
from enricher.adapters import ADAPTERS
from enricher.adapters.contract import Envelope, InputData, Limits, Message, Parameters, Refusal
from enricher.badrows import BadRow, BadRows
from enricher.enrichments.contract import Draft, Enrichment, Query
from enricher.entities import Cached, Schemas, UnknownSchema, judge, uris
from enricher.event import Event, attribute, check, conclude, enrich, map_parameters, settle
from enricher.iglu.contract import Resolution
from enricher.limits import AtomicLimits
from enricher.mapping import AtomicError
from enricher.mending import Mend, untouched
from enricher.request import Request, read
from enricher.selfdescribing import SelfDescribing, matches
from enricher.values import fits_warehouse, format_timestamp
from enricher.violations import CriterionMismatch, Violation
from shared import tsv
from shared.badrow import Processor
from shared.event import INDEX, WIDTH
from shared.identity import uuid5
from shared.payload import CollectorPayload, Damaged, decode

_EVENT_ID, _COLLECTOR_TSTAMP = INDEX["event_id"], INDEX["collector_tstamp"]


class Line(NamedTuple):
    """An event's TSV line, and the Iglu URIs that occur in it."""

    body: bytes
    event_schema: str | None
    entity_schemas: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What one raw message became. Each event ends in exactly one of: enriched, a bad row, dropped.

    failed: events that have their bad row too. refused: bad rows for a whole payload, none of whose events counts.
    side: enriched lines beside the events, made by enrichments (PII identification).
    oversized_failed: failed events that were too large for their stream; only their bad rows are left.
    """

    enriched: list[Line] = field(default_factory=list)
    failed: list[Line] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    payloads: int = 0
    events: int = 0
    refused: int = 0
    side: int = 0
    dropped: int = 0
    oversized_failed: int = 0


class Options(NamedTuple):
    """max_bytes: of an event's line and of a bad row. accept_long: over-long columns are no failure.

    mend: of JSON texts before they are read.
    """

    processor: Processor
    max_bytes: int = 6_900_000
    json_depth: int = 50
    lengths: AtomicLimits = AtomicLimits()
    accept_long: bool = False
    emit_failed: bool = True
    mend: Mend = untouched


class _Batch(NamedTuple):
    """What all events of one raw message share."""

    message_id: str
    etl_tstamp: str
    enrichments: Sequence[Enrichment]
    schemas: Schemas
    rows: BadRows
    outcome: Outcome


_Questions = Generator[Query, Any, None]
_Result = TypeVar("_Result")


class Pipeline:
    """`enrichments` is asked once a message: a reload takes effect between two messages."""

    def __init__(self, cached: Cached, enrichments: Callable[[], Sequence[Enrichment]], options: Options) -> None:
        self._cached = cached
        self._enrichments = enrichments
        self._options = options
        self._limits = Limits(options.json_depth, options.mend)
        self._v_etl = f"{options.processor.artifact}-{options.processor.version}"

    def process(self, body: bytes, message_id: str, etl_ms: int) -> Generator[Query, Any, Outcome]:
        """`message_id`: a UUID; missing event ids derive from it. `etl_ms`: when the message is processed."""
        rows = BadRows(self._options.processor, etl_ms, self._options.max_bytes)
        schemas = Schemas(self._cached)
        batch = _Batch(message_id, format_timestamp(etl_ms), self._enrichments(), schemas, rows, Outcome())
        for position, payload in enumerate(decode(body)):
            batch.outcome.payloads += 1
            try:
                yield from self._payload(payload, position, batch)
            except Exception as bug:  # noqa: BLE001 - whatever it is, the record is kept with it
                batch.outcome.bad.append(rows.generic_error(bug, payload.record))
                batch.outcome.refused += 1
        return batch.outcome

    def _payload(self, payload: CollectorPayload | Damaged, position: int, batch: _Batch) -> _Questions:
        request = read(payload)
        if isinstance(request, list):
            batch.outcome.bad += [batch.rows.format_violation(violation, payload.record) for violation in request]
            batch.outcome.refused += len(request)
            return
        try:
            events = self._adapt(request, batch.schemas)
        except UnknownSchema as unknown:
            events = yield from _learn(unknown, batch.schemas, lambda: self._adapt(request, batch.schemas))
        if isinstance(events, tuple):
            batch.outcome.bad.append(batch.rows.refusal(request, events))
            batch.outcome.refused += 1
            return
        defaults = attributes.defaults(request, batch.etl_tstamp, self._v_etl)
        for index, parameters in enumerate(events):
            batch.outcome.events += 1
            draft = Draft(defaults.copy(), parameters, request.payload, request.headers)
            try:
                yield from self._event(draft, request, f"{position}.{index}", batch)
            except Exception as bug:  # noqa: BLE001 - a bug on one event's way costs that event, not its siblings
                batch.outcome.bad.append(batch.rows.generic_error(bug, request.payload.record))

    def _adapt(self, request: Request, schemas: Schemas) -> list[Parameters] | tuple[Message | Violation, ...]:
        """The events of a request, or why there are none. Raises UnknownSchema."""
        adapter = ADAPTERS.get((request.vendor, request.version))
        if adapter is None:
            pair = f"{request.vendor}/{request.version}"
            return (InputData("vendor/version", pair, "vendor/version combination is not supported"),)
        adapted = adapter(request, self._limits)
        if isinstance(adapted, Refusal):
            return adapted.messages
        if not isinstance(adapted, Envelope):
            return adapted
        violation = _envelope_violation(adapted, schemas[adapted.schema])
        return adapted.events() if violation is None else (violation,)

    def _event(self, draft: Draft, request: Request, event_id: str, batch: _Batch) -> _Questions:
        event, impossible = Event(draft), _impossible(draft)
        try:
            self._map(event, impossible, batch)
        except UnknownSchema as unknown:
            yield from _learn(unknown, batch.schemas, lambda: self._map(event, impossible, batch))
        draft.values[_EVENT_ID] = draft.values[_EVENT_ID] or uuid5(batch.message_id, event_id)
        attribute(event)
        enrichments = iter(batch.enrichments)
        while (pending := enrich(event, enrichments)) is not None:
            settle(event, pending.enrichment, (yield pending.query))
            if event.dropped:
                break
        if event.dropped:
            batch.outcome.dropped += 1
            return
        try:
            self._check(event, batch)
        except UnknownSchema as unknown:
            yield from _learn(unknown, batch.schemas, lambda: self._check(event, batch))
        conclude(event, batch.rows)
        self._sort(event, request, batch)

    def _map(self, event: Event, impossible: Sequence[AtomicError], batch: _Batch) -> None:
        map_parameters(event, impossible, batch.schemas, self._options.json_depth, self._options.mend)

    def _check(self, event: Event, batch: _Batch) -> None:
        check(event, self._options.lengths, self._options.accept_long, batch.schemas)

    def _sort(self, event: Event, request: Request, batch: _Batch) -> None:
        """Only the first phase that found something is in the bad row; the failed event carries everything."""
        draft, outcome, rows = event.draft, batch.outcome, batch.rows
        line = _line(draft)
        if not event.failed:
            if len(line.body) > self._options.max_bytes:
                outcome.bad.append(rows.oversized_event(line.body))
            else:
                outcome.enriched.append(line)
                self._add_side_events(event, batch)
            return
        if event.errors and not event.sent:
            outcome.bad.append(rows.enrichment_failures(event.errors, draft.values, request, draft.parameters))
        else:
            found = event.sent or event.made
            outcome.bad.append(rows.schema_violations(found, draft.values, request, draft.parameters))
        if self._options.emit_failed and len(line.body) <= self._options.max_bytes:
            outcome.failed.append(line)
        elif self._options.emit_failed:
            outcome.oversized_failed += 1

    def _add_side_events(self, event: Event, batch: _Batch) -> None:
        """They get an id of their own that is the same on every run."""
        for number, columns in enumerate(event.side_events):
            parent = event.draft.values[_EVENT_ID]
            made = {"v_etl": self._v_etl, "etl_tstamp": batch.etl_tstamp, "event_id": uuid5(parent, f"side.{number}")}
            values = [""] * WIDTH
            for column, text in {**made, **columns}.items():
                values[INDEX[column]] = text
            batch.outcome.enriched.append(Line(tsv.encode(values), *uris(values)))
            batch.outcome.side += 1


def _learn(unknown: UnknownSchema, schemas: Schemas, again: Callable[[], _Result]) -> Generator[Query, Any, _Result]:
    """Ask for schemas until the call that missed them succeeds."""
    while True:
        for uri in unknown.uris:
            schemas[uri] = yield Query("schema", uri)
        try:
            return again()
        except UnknownSchema as another:
            unknown = another


def _envelope_violation(envelope: Envelope, resolution: Resolution) -> Violation | None:
    """Validity comes before the question whether this is the right kind of envelope."""
    invalid = judge("body", SelfDescribing(envelope.schema, envelope.data), resolution, None)
    if invalid is not None or matches(envelope.criterion, envelope.schema):
        return invalid
    return CriterionMismatch("body", envelope.schema, envelope.criterion.text, envelope.data)


def _impossible(draft: Draft) -> list[AtomicError]:
    """The collector's time, where no warehouse could hold it."""
    formatted = draft.values[_COLLECTOR_TSTAMP]
    if fits_warehouse(formatted):
        return []
    draft.values[_COLLECTOR_TSTAMP] = ""
    shown = formatted.replace(" ", "T") + "Z"
    return [AtomicError("collector_tstamp", shown, f"Formatted as {formatted} is not Redshift-compatible")]


def _line(draft: Draft) -> Line:
    event_schema = None if draft.event is None else draft.event.schema
    entities = tuple([entity.schema for entity in (*draft.contexts, *draft.derived)])
    return Line(tsv.encode(draft.values), event_schema, entities)
