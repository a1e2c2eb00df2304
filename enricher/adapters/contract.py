"""The shape of an adapter: one module, `adapt(request, limits) → Adapted`, pure.

It turns what one kind of sender puts into a request into tracker parameters, one set an event. A failure is a value
and counts for the whole request: its events share one body, and the bad row quotes that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from enricher.mending import Mend, untouched
from enricher.request import Request
from enricher.selfdescribing import Family

#: Tracker parameters of one event; a parameter without a value has None.
Parameters = dict[str, str | None]


class InputData(NamedTuple):
    """A field that is not what it should be."""

    field: str
    value: str | None
    expectation: str


class NotJson(NamedTuple):
    """A field that should be JSON. `error` is the parser's text."""

    field: str
    value: str | None
    error: str


class NotIglu(NamedTuple):
    """JSON that is not self-describing; `error` is INVALID_DATA_PAYLOAD, INVALID_IGLUURI or INVALID_SCHEMAVER."""

    json: Any
    error: str


class SchemaMapping(NamedTuple):
    """A kind of event that the adapter has no schema for."""

    actual: str | None
    expected_mapping: dict[str, str]
    expectation: str


Message = InputData | NotJson | NotIglu | SchemaMapping


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing of the request can be used. At least one message."""

    messages: tuple[Message, ...]


@dataclass(slots=True, init=False)
class Envelope:
    """Events inside a self-describing JSON that has to conform first.

    The pipeline validates `data` against `schema`, then looks whether that is `wanted`, and only then takes `events`.
    """

    schema: str
    data: Any
    wanted: Family
    events: Callable[[], list[Parameters]]

    def __init__(self, schema: str, data: Any, wanted: Family, events: Callable[[], list[Parameters]]) -> None:
        self.schema = schema
        self.data = data
        self.wanted = wanted
        self.events = events


Adapted = list[Parameters] | Envelope | Refusal


@dataclass(slots=True, init=False)
class Limits:
    """json_depth: levels a JSON text may have, the root and leaves counted. mend: of a body that is no JSON."""

    json_depth: int
    mend: Mend

    def __init__(self, json_depth: int = 50, mend: Mend = untouched) -> None:
        self.json_depth = json_depth
        self.mend = mend


Adapter = Callable[[Request, Limits], Adapted]

UNSTRUCT_EVENT: Final = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
CONTEXTS: Final = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"


def refuse(field: str, value: str | None, expectation: str) -> Refusal:
    return Refusal((InputData(field, value, expectation),))
