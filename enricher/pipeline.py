"""One raw message into enriched lines, failed lines and bad rows: pure, every event for itself.

A generator: it yields a question (a schema that is not cached, what an enrichment asks) and is sent the answer, so
that a worker drives it with sockets and a test with a dict.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, Final

from enricher import attributes
from enricher.adapters.contract import Limits
from enricher.badrows import BadRows
from enricher.enrichments.contract import TURN, Draft, Enrichment, Query
from enricher.entities import Cached, Schemas, UnknownSchema, uris
from enricher.event import Event, attribute, check, conclude, enrich, map_parameters, settle, validate
from enricher.mapping import AtomicError
from enricher.opening import events_of
from enricher.options import Options
from enricher.outcome import Line, Outcome
from enricher.request import read
from enricher.underway import TURN_EVENTS, Payload, Questions, Run, Step, Underway, underway
from enricher.values import fits_warehouse, format_timestamp
from shared import rawmessage, tsv
from shared.event import INDEX, WIDTH
from shared.identity import uuid5
from shared.rawmessage import TooLarge

#: Payloads, then events, that go through a step together: enough to keep its code near, few enough to stay near too.
_TOGETHER: Final = 16

#: Payloads, and about how many bytes of them, that are read ahead of that, for the user agents in them.
_AHEAD: Final = 64
_AHEAD_BYTES: Final = 1_000_000

_EVENT_ID: Final = INDEX["event_id"]
_COLLECTOR_TSTAMP: Final = INDEX["collector_tstamp"]
_USERAGENT: Final = INDEX["useragent"]


class Pipeline:
    """`enrichments` is asked once a message: a reload takes effect between two messages."""

    def __init__(self, cached: Cached, enrichments: Callable[[], Sequence[Enrichment]], options: Options) -> None:
        self._cached = cached
        self._enrichments = enrichments
        self._options = options
        self._limits = Limits(options.json_depth, options.mend)
        self._v_etl = f"{options.processor.artifact}-{options.processor.version}"

    def process(self, body: bytes, message_id: str, etl_ms: int) -> Generator[Query, Any, Outcome]:
        """`message_id`: a UUID; missing event ids derive from it. `etl_ms`: when the message is processed.

        Some payloads go together through each step before any goes through the next one, and so do their events: what
        a step needs of code and tables is then in the processor's caches already, which saves a quarter of the time.
        """
        rows = BadRows(self._options.processor, etl_ms, self._options.max_bytes)
        schemas = Schemas(self._cached)
        enrichments = self._enrichments()
        run = Run(message_id, format_timestamp(etl_ms), schemas, rows, self._steps(enrichments))
        sent: list[rawmessage.Read] = []
        size = 0
        for one in rawmessage.read(body, self._options.longest_payload):
            sent.append(one)
            size += len(one.record)
            if len(sent) == _AHEAD or size >= _AHEAD_BYTES:
                yield from self._ahead(sent, enrichments, run)
                sent, size = [], 0
        yield from self._ahead(sent, enrichments, run)
        return run.outcome

    def _ahead(self, sent: list[rawmessage.Read], enrichments: Sequence[Enrichment], run: Run) -> Questions:
        payloads: list[Payload] = []
        for one in sent:
            try:
                self._read(one, payloads, run)
            except Exception as bug:  # noqa: BLE001 - whatever it is, the record is kept with it
                self._refuse(bug, one, run)
        _foresee(payloads, enrichments)
        for start in range(0, len(payloads), _TOGETHER):
            yield from self._together(payloads[start : start + _TOGETHER], run)

    def _together(self, payloads: list[Payload], run: Run) -> Questions:
        events: list[Underway] = []
        for payload in (yield from self._open(payloads, run)):
            for index, parameters in enumerate(payload.adapted):
                events.append(underway(payload, index, parameters))
                if len(events) == _TOGETHER:
                    yield from self._finish(events, run)
                    events = []
        yield from self._finish(events, run)

    def _open(self, payloads: list[Payload], run: Run) -> Generator[Query, Any, list[Payload]]:
        """Those that met no bug; one that is refused has no events."""
        passed = []
        for payload in payloads:
            try:
                asking = self._adapt(payload, run)
                if asking is not None:
                    yield from asking
            except Exception as bug:  # noqa: BLE001 - as above
                self._refuse(bug, payload.request.payload, run)
            else:
                passed.append(payload)
        return passed

    def _finish(self, events: list[Underway], run: Run) -> Questions:
        """A bug on one event's way costs that event, not its siblings."""
        run.outcome.events += len(events)
        if run.outcome.events >= run.next_turn:
            run.next_turn += TURN_EVENTS
            yield Query(TURN, None)
        for step in run.steps:
            for one in events:
                if not one.over:
                    try:
                        asking = step(one, run)
                        if asking is not None:
                            yield from asking
                    except Exception as bug:  # noqa: BLE001 - as above
                        one.over = True
                        run.outcome.bad.append(run.rows.generic_error(bug, one.request.payload.record))

    # ---- the steps of a payload -----------------------------------------------------------------------------------

    def _read(self, sent: rawmessage.Read, payloads: list[Payload], run: Run) -> None:
        position = run.outcome.payloads
        run.outcome.payloads += 1
        if isinstance(sent, TooLarge):
            run.outcome.bad.append(run.rows.oversized_payload(sent, self._options.longest_payload))
            run.outcome.refused += 1
            return
        request = read(sent)
        if isinstance(request, list):
            run.outcome.bad += [run.rows.format_violation(violation, sent.record) for violation in request]
            run.outcome.refused += len(request)
        else:
            columns = attributes.defaults(request, run.etl_tstamp, self._v_etl)
            payloads.append(Payload(request, position, columns))

    def _refuse(self, bug: Exception, sent: rawmessage.Read, run: Run) -> None:
        run.outcome.bad.append(run.rows.generic_error(bug, sent.record))
        run.outcome.refused += 1

    def _adapt(self, payload: Payload, run: Run) -> Questions | None:
        return _with_schemas(run.schemas, lambda: self._adapt_now(payload, run))

    def _adapt_now(self, payload: Payload, run: Run) -> None:
        adapted = events_of(payload.request, self._limits, run.schemas)
        if isinstance(adapted, tuple):
            run.outcome.bad.append(run.rows.refusal(payload.request, adapted))
            run.outcome.refused += 1
        else:
            payload.adapted = adapted

    def _steps(self, enrichments: Sequence[Enrichment]) -> list[Step]:
        """What happens to an event. Every step is taken, whatever the earlier ones found."""
        return [
            self._validate,
            self._map,
            *map(self._attribute, attributes.BUILT_IN),
            *map(self._enrich, enrichments),
            self._check,
            self._sort,
        ]

    # ---- the steps of an event ------------------------------------------------------------------------------------

    def _validate(self, one: Underway, run: Run) -> Questions | None:
        options, schemas = self._options, run.schemas
        return _with_schemas(schemas, lambda: validate(one.event, schemas, options.json_depth, options.mend))

    def _map(self, one: Underway, run: Run) -> None:
        draft = one.event.draft
        map_parameters(one.event, _impossible(draft))
        if not draft.values[_EVENT_ID]:
            draft.values[_EVENT_ID] = uuid5(run.message_id, one.place)

    def _attribute(self, fill: attributes.Fill) -> Step:
        def step(one: Underway, _run: Run) -> None:
            attribute(one.event, fill)

        return step

    def _enrich(self, enrichment: Enrichment) -> Step:
        def step(one: Underway, run: Run) -> Questions | None:
            query = enrich(one.event, enrichment)
            if query is not None:
                return self._ask(one, enrichment, query, run)
            self._drop(one, run)
            return None

        return step

    def _ask(self, one: Underway, enrichment: Enrichment, query: Query, run: Run) -> Questions:
        settle(one.event, enrichment, (yield query))
        self._drop(one, run)

    def _drop(self, one: Underway, run: Run) -> None:
        """Where the enrichment said so: the event ends here."""
        if one.event.dropped:
            one.over = True
            run.outcome.dropped += 1

    def _check(self, one: Underway, run: Run) -> Questions | None:
        options, schemas = self._options, run.schemas
        lengths, accept_long, clear_long = options.lengths, options.accept_long, options.emit_failed
        return _with_schemas(schemas, lambda: check(one.event, lengths, accept_long, schemas, clear_long))

    def _sort(self, one: Underway, run: Run) -> None:
        """Only the first phase that found something is in the bad row; the failed event carries everything."""
        event, request, outcome, rows = one.event, one.request, run.outcome, run.rows
        conclude(event, rows)
        draft = event.draft
        line = _line(draft)
        if not event.failed:
            if len(line.body) > self._options.max_bytes:
                outcome.bad.append(rows.oversized_event(line.body))
            else:
                outcome.enriched.append(line)
                self._add_side_events(event, run)
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

    def _add_side_events(self, event: Event, run: Run) -> None:
        """They get an id of their own that is the same on every run."""
        for number, columns in enumerate(event.side_events):
            parent = event.draft.values[_EVENT_ID]
            made = {"v_etl": self._v_etl, "etl_tstamp": run.etl_tstamp, "event_id": uuid5(parent, f"side.{number}")}
            values = [""] * WIDTH
            for column, text in {**made, **columns}.items():
                values[INDEX[column]] = text
            run.outcome.enriched.append(Line(tsv.encode(values), *uris(values)))
            run.outcome.side += 1


def _foresee(payloads: Sequence[Payload], enrichments: Sequence[Enrichment]) -> None:
    """A hint, for speed only: a bug in it shows, and is told, where an event asks the same."""
    useragents = [payload.columns[_USERAGENT] for payload in payloads]
    for enrichment in enrichments:
        if enrichment.foresee is not None:
            with suppress(Exception):
                enrichment.foresee(useragents, enrichment.state)


def _with_schemas(schemas: Schemas, call: Callable[[], None]) -> Questions | None:
    """Nearly always all that it needs are known, and nothing is asked."""
    try:
        call()
    except UnknownSchema as unknown:
        return _learn(unknown, schemas, call)
    return None


def _learn(unknown: UnknownSchema, schemas: Schemas, call: Callable[[], None]) -> Questions:
    """Ask for schemas until the call that missed them succeeds."""
    while True:
        for uri in unknown.uris:
            schemas[uri] = yield Query("schema", uri)
        try:
            call()
        except UnknownSchema as another:
            unknown = another
        else:
            return


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
