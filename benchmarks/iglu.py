"""What validation costs: the contexts of a web page view, each engine alone, a refusal, a compilation."""

import json
import timeit
from collections.abc import Callable
from typing import Any

import jsonschema_rs

from benchmarks.result import Result, unit_s
from enricher.iglu.compiled import compile_schema
from enricher.iglu.contract import InvalidSchema
from enricher.iglu.engine import CompiledSchema
from shared.iglu.config import BUNDLED
from shared.schema import SchemaKey

_UUID = "5c33fccf-6be5-4ce6-afb1-e34026a3ca75"

#: The contexts that the JavaScript tracker attaches to a page view.
CONTEXTS: dict[str, Any] = {
    "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0": {"id": _UUID},
    "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2": {
        "userId": _UUID,
        "sessionId": _UUID,
        "eventIndex": 12,
        "sessionIndex": 3,
        "previousSessionId": _UUID,
        "storageMechanism": "COOKIE_1",
        "firstEventId": _UUID,
        "firstEventTimestamp": "2024-01-31T12:34:56.789Z",
    },
    "iglu:org.ietf/http_client_hints/jsonschema/1-0-0": {
        "isMobile": False,
        "brands": [{"brand": "Chromium", "version": "130"}, {"brand": "Not?A_Brand", "version": "99"}],
        "architecture": "x86",
        "model": "",
        "platform": "Linux",
        "uaFullVersion": "130.0.6723.58",
        "platformVersion": "6.5.0",
    },
}


def main() -> None:
    schemas = {uri: _compiled(uri) for uri in CONTEXTS}
    unit = unit_s()
    costs = {
        **{f"valid {uri.split('/')[1]}": _cost(schemas[uri], CONTEXTS[uri]) for uri in CONTEXTS},
        "valid, the three contexts": _seconds(lambda: [schemas[uri].reports(CONTEXTS[uri]) for uri in CONTEXTS]),
        "the same, jsonschema alone": _seconds(lambda: [schemas[uri].judge(CONTEXTS[uri]) for uri in CONTEXTS], 500),
        "invalid client_session, with reports": _refusal(schemas),
        "compile client_session": _seconds(lambda: _compiled(_SESSION), 300),
    }
    for name, seconds in costs.items():
        print(f"{name:40} {seconds * 1e6:9.2f} µs  {seconds / unit:7.2f} json.loads")
    bare = _seconds(_bare_engine())
    print(f"{'bare limit: the engine on the three':40} {bare * 1e6:9.2f} µs  {bare / unit:7.2f} json.loads")
    three = costs["valid, the three contexts"]
    print(Result("iglu", "three valid contexts", 1 / three, 1 / bare, "jsonschema-rs alone", 0.5).line())
    refused = 1 / costs["invalid client_session, with reports"]
    print(Result("iglu", "one invalid context", refused, None, "", 1 / 150e-6).line())


_SESSION = "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2"


def _compiled(uri: str) -> CompiledSchema:
    key = SchemaKey.parse(uri)
    schema = compile_schema(key, json.loads((BUNDLED / key.path).read_bytes()))
    assert not isinstance(schema, InvalidSchema)
    return schema


def _cost(schema: CompiledSchema, instance: Any) -> float:
    return _seconds(lambda: schema.reports(instance))


def _refusal(schemas: dict[str, CompiledSchema]) -> float:
    wrong = {**CONTEXTS[_SESSION], "sessionId": "none", "sessionIndex": "3"}
    assert len(schemas[_SESSION].reports(wrong)) == 2
    return _seconds(lambda: schemas[_SESSION].reports(wrong), 2_000)


def _bare_engine() -> Callable[[], object]:
    """The same three schemas in jsonschema-rs as they are: no formats, no guard around it."""
    engines = []
    for uri, instance in CONTEXTS.items():
        document = json.loads((BUNDLED / SchemaKey.parse(uri).path).read_bytes())
        del document["$schema"]
        engines.append((jsonschema_rs.Draft4Validator(document, validate_formats=False), instance))
    return lambda: [engine.is_valid(instance) for engine, instance in engines]


def _seconds(work: Callable[[], object], number: int = 20_000) -> float:
    """Of one call, the best of five rounds."""
    return min(timeit.repeat(work, number=number, repeat=5)) / number


if __name__ == "__main__":
    main()
