"""Drives the pipeline the way the worker does, with schemas from folders instead of registries."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from enricher.enrichments.contract import TURN, Answer, Enrichment, Query
from enricher.iglu.compiled import compile_schema
from enricher.iglu.contract import NotResolved, Resolution
from enricher.options import Options
from enricher.outcome import Outcome
from enricher.pipeline import Pipeline
from shared.badrow import Processor
from shared.event import FIELDS
from shared.payload import SCHEMA, CollectorPayload, encode
from shared.schema import SchemaKey
from shared.tsv import decode
from tests.vectors import ROOT, folder

MESSAGE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
ETL_MS = 1_735_787_045_678
PROCESSOR = Processor("evnt-enrich", "0.1.0")
HISTORY = [
    {
        "repository": "test",
        "errors": [{"error": "NotFound"}],
        "attempts": 1,
        "lastAttempt": "2025-01-02T03:04:05.678Z",
    }
]

#: Parameters of the plainest event.
GOOD = {"e": "pv", "p": "web", "tv": "js-4"}


class Schemas:
    """A resolver over static folders and made-up schemas that never asks anybody."""

    def __init__(self, made_up: Mapping[str, Any] | None = None, max_depth: int = 50) -> None:
        self._max_depth = max_depth
        self._folders = [folder("EVNT_IGLU_CENTRAL", "../shared/iglu-central") / "schemas", ROOT / "schemas"]
        self._made_up = dict(made_up or {})
        self._known: dict[str, Resolution] = {}

    def cached(self, uri: str) -> Resolution | None:
        return self._known.get(uri)

    def resolve(self, uri: str) -> Resolution:
        self._known[uri] = resolution = self._find(SchemaKey.parse(uri))
        return resolution

    def _find(self, key: SchemaKey) -> Resolution:
        document = self._document(key)
        if document is None:
            return NotResolved(HISTORY)
        superseding = document.get("$supersededBy")
        if superseding is None:
            return compile_schema(key, document, max_depth=self._max_depth)
        successor = key._replace(version=superseding)
        return compile_schema(successor, self._document(successor), superseding, self._max_depth)

    def _document(self, key: SchemaKey) -> Any:
        if key.uri in self._made_up:
            return self._made_up[key.uri]
        files = [place / key.path for place in self._folders]
        return next((json.loads(file.read_text()) for file in files if file.exists()), None)


_schemas = Schemas()


def run(
    steps: Generator[Query, Any, Outcome],
    schemas: Schemas = _schemas,
    answers: Callable[[Query], Answer] | None = None,
) -> Outcome:
    """Answer what the pipeline asks until it is done."""
    try:
        query = next(steps)
        while True:
            if query.kind == TURN:
                query = steps.send(None)
            elif query.kind == "schema":
                query = steps.send(schemas.resolve(query.question))
            else:
                assert answers is not None, query
                query = steps.send(answers(query))
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome


def enrich(
    *records: bytes,
    options: Options | None = None,
    schemas: Schemas = _schemas,
    enrichments: Sequence[Enrichment] = (),
    message_id: str = MESSAGE_ID,
    etl_ms: int = ETL_MS,
) -> Outcome:
    """What becomes of one raw message of these records."""
    pipeline = Pipeline(schemas.cached, lambda: enrichments, options or Options(PROCESSOR))
    return run(pipeline.process(b"".join(records), message_id, etl_ms), schemas)


def record(**fields: Any) -> bytes:
    """A collector payload's bytes: a GET without anything, unless told."""
    usual = {
        "schema": SCHEMA,
        "ip_address": "192.0.2.1",
        "timestamp": ETL_MS - 60_000,
        "encoding": "UTF-8",
        "collector": "test-collector",
        "path": "/i",
        "headers": [],
    }
    return encode(CollectorPayload(**{**usual, **fields}))


def post(*events: Mapping[str, Any], version: str = "1-0-4", **fields: Any) -> bytes:
    """A tracker's POST."""
    schema = f"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/{version}"
    body = json.dumps({"schema": schema, "data": list(events)})
    usual = {"path": "/com.snowplowanalytics.snowplow/tp2", "body": body, "content_type": "application/json"}
    return record(**{**usual, **fields})


def columns(line: bytes) -> dict[str, str]:
    """An event's columns that are not null."""
    return {field.name: value for field, value in zip(FIELDS, decode(line), strict=True) if value}


def rows(outcome: Outcome) -> list[Any]:
    """The bad rows as JSON."""
    return [json.loads(row.body) for row in outcome.bad]


def golden(name: str) -> Path:
    return Path(__file__).parent / "cases" / name


def enrichment(enrich_: Any, ask: Any = None, state: Any = None) -> Enrichment:
    """One of the test's own."""
    return Enrichment("test", "test", "iglu:com.acme/test_config/jsonschema/1-0-0", state, enrich_, ask)
