"""The shape of an enrichment: one module, five names, and optional ones.

SCHEMA   the SchemaCriterion of the configuration file that switches it on
Config   a Parameters (parts/parameters.py) of that file: defaults, units, one line of meaning each
State    what an event needs of that, found once: a NamedTuple
prepare  (config, Resources) → State; once, at boot: open files, compile patterns. Raises EnrichmentRefused
enrich   (draft, state) → Patch or None; pure. Never mutates the draft: the pipeline merges the patch

An enrichment that needs the network describes its question and gets the answer, so it stays pure too:
ask      (draft, state) → Query or None
enrich   (draft, state, answer) → Patch or None; the answer is None where nothing was asked

Optional:
assets      (config) → the data files that the operator must bring
IDENTIFIER  the name that failures carry in bad rows, as Snowplow spells it; else the configuration's name
ALIASES     further criteria of configuration files that switch it on
foresee     (useragents, state) → None; texts that events are about to bring. Who keeps large tables about them looks
            them up in one go, while the tables are in the processor's caches: each alone takes five times as long
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from shared.payload import CollectorPayload


@dataclass(slots=True, init=False)
class Entity:
    """A self-describing JSON: an Iglu URI and its data. Never changed: many events may share one.

    text: the compact JSON of both where it is at hand. judged: the schema that found it valid, to be asked once only.
    """

    schema: str
    data: Any
    text: str | None
    judged: Any = field(compare=False, repr=False)

    def __init__(self, schema: str, data: Any, text: str | None = None) -> None:
        self.schema = schema
        self.data = data
        self.text = text
        self.judged = None


@dataclass(slots=True, init=False)
class Draft:
    """The event so far. Enrichments read it and describe changes; only the pipeline writes to it.

    values: 131 texts in the order of FIELDS; "" is null.
    parameters: tracker parameters as sent; a parameter without `=` is None.
    headers: request headers in order, names as sent.
    page_query: parameters of page_url's query, decoded, the last of a name; None where there is no such URL.
    contexts: valid entities of the tracker. event: the valid self-describing event's inner entity, if any.
    derived: what earlier enrichments attached.
    """

    values: list[str]
    parameters: dict[str, str | None]
    payload: CollectorPayload
    headers: Sequence[tuple[str, str]]
    page_query: Mapping[str, str | None] | None
    contexts: Sequence[Entity]
    event: Entity | None
    derived: Sequence[Entity]

    def __init__(
        self,
        values: list[str],
        parameters: dict[str, str | None],
        payload: CollectorPayload,
        headers: Sequence[tuple[str, str]] = (),
        page_query: Mapping[str, str | None] | None = None,
        contexts: Sequence[Entity] = (),
        event: Entity | None = None,
        derived: Sequence[Entity] = (),
    ) -> None:
        self.values = values
        self.parameters = parameters
        self.payload = payload
        self.headers = headers
        self.page_query = page_query
        self.contexts = contexts
        self.event = event
        self.derived = derived


class Failure(NamedTuple):
    """Why an enrichment could not do its work, in the shape of an enrichment_failures message.

    With `field` it is InputData {field, value, expectation = message}, else Simple {error = message}.
    """

    message: str
    field: str | None = None
    value: str | None = None


@dataclass(slots=True, init=False)
class Patch:
    """What an enrichment wants changed. Patches are made for every event, and shared: a tuple is cheap and safe.

    fields: column → text ("" clears it). contexts: entities to attach, in front of what is there.
    failures: each becomes a message of one enrichment_failures row; the patch's other parts still apply.
    drop: the event ends here, counted, with no output.
    event, entities: replacements of the self-describing event and of the tracker's contexts; validated again
        where `revalidate` says so.
    derived: replacement of what earlier enrichments attached; `contexts` then come in front of it.
    side_events: complete events of their own (PII identification), as column → text.
    """

    fields: Mapping[str, str]
    contexts: Sequence[Entity]
    failures: Sequence[Failure]
    drop: bool
    event: Entity | None
    entities: Sequence[Entity] | None
    derived: Sequence[Entity] | None
    side_events: Sequence[Mapping[str, str]]
    revalidate: bool

    def __init__(
        self,
        fields: Mapping[str, str] = MappingProxyType({}),
        contexts: Sequence[Entity] = (),
        failures: Sequence[Failure] = (),
        drop: bool = False,
        event: Entity | None = None,
        entities: Sequence[Entity] | None = None,
        derived: Sequence[Entity] | None = None,
        side_events: Sequence[Mapping[str, str]] = (),
        revalidate: bool = True,
    ) -> None:
        self.fields = fields
        self.contexts = contexts
        self.failures = failures
        self.drop = drop
        self.event = event
        self.entities = entities
        self.derived = derived
        self.side_events = side_events
        self.revalidate = revalidate


class Resources(NamedTuple):
    """What prepare may use: paths in a configuration are relative to `folder`, downloads lie in `data_dir`."""

    folder: Path
    data_dir: Path


class Query(NamedTuple):
    """A question for the worker: `kind` names who answers (`http`, `sql`), `question` is that one's own value."""

    kind: str
    question: Any


#: Kind of a query that asks nothing: whoever drives the pipeline may look after other things before it goes on.
TURN: Final = "turn"


class Answer(NamedTuple):
    """What came back: the value, or why there is none. An outage of what was asked is an answer too."""

    value: Any = None
    error: str | None = None


class Asset(NamedTuple):
    """A data file that the operator brings: from `uri`, kept as `name` in the downloads folder, or a local path."""

    uri: str
    name: str


@dataclass(slots=True, init=False)
class Enrichment:
    """An enrichment that is switched on.

    schema_uri: of its configuration; None for what is built in, whose failures name no enrichment.
    ask: None where the enrichment needs no answer. foresee: None where it does not care what is about to come.
    """

    name: str
    identifier: str
    schema_uri: str | None
    state: Any
    enrich: Callable[..., Patch | None]
    ask: Callable[[Draft, Any], Query | None] | None
    foresee: Callable[[Sequence[str], Any], None] | None

    def __init__(
        self,
        name: str,
        identifier: str,
        schema_uri: str | None,
        state: Any,
        enrich: Callable[..., Patch | None],
        ask: Callable[[Draft, Any], Query | None] | None = None,
        foresee: Callable[[Sequence[str], Any], None] | None = None,
    ) -> None:
        self.name = name
        self.identifier = identifier
        self.schema_uri = schema_uri
        self.state = state
        self.enrich = enrich
        self.ask = ask
        self.foresee = foresee


class EnrichmentRefused(Exception):
    """The configuration of an enrichment can't be used: refuse to boot, or keep the old one on a hot reload."""
