"""What one raw message has between two steps of the pipeline: its payloads, its events, and what all of them share."""

from collections.abc import Callable, Generator
from typing import Any, Final

from enricher.adapters.contract import Parameters
from enricher.badrows import BadRows
from enricher.enrichments.contract import Draft, Query
from enricher.entities import Schemas
from enricher.event import Event
from enricher.outcome import Outcome
from enricher.request import Request

#: Events of one message after which others get a turn. A megabyte may hold a hundred thousand events: the broker would
#: take a worker for dead that is not heard of meanwhile, and deliver the message to the next one.
TURN_EVENTS: Final = 2_000


class Payload:
    """A payload between two steps. position: of it in the raw message. columns: what the request itself fills.

    adapted: parameters of its events, none where they can't be had; why is told.
    """

    __slots__ = ("adapted", "columns", "position", "request")

    def __init__(self, request: Request, position: int, columns: list[str]) -> None:
        self.request = request
        self.position = position
        self.columns = columns
        self.adapted: list[Parameters] = []


class Underway:
    """An event between two steps. place: of it in the raw message. over: it ended, or met a bug."""

    __slots__ = ("event", "over", "place", "request")

    def __init__(self, event: Event, request: Request, place: str) -> None:
        self.event = event
        self.request = request
        self.place = place
        self.over = False


Questions = Generator[Query, Any, None]
Step = Callable[[Underway, "Run"], Questions | None]


class Run:
    """The way of one raw message: what all its events share. steps: what happens to each, in this order."""

    __slots__ = ("etl_tstamp", "message_id", "next_turn", "outcome", "rows", "schemas", "steps")

    def __init__(self, message_id: str, etl_tstamp: str, schemas: Schemas, rows: BadRows, steps: list[Step]) -> None:
        self.message_id = message_id
        self.etl_tstamp = etl_tstamp
        self.schemas = schemas
        self.rows = rows
        self.steps = steps
        self.outcome = Outcome()
        self.next_turn = TURN_EVENTS


def underway(payload: Payload, index: int, parameters: Parameters) -> Underway:
    """Only now: an event takes a hundred times the memory of what it is sent in, and a payload may hold thousands."""
    request = payload.request
    draft = Draft(payload.columns.copy(), parameters, request.payload, request.headers)
    return Underway(Event(draft), request, f"{payload.position}.{index}")
