"""Runs an operator's JavaScript on every event, in QuickJS, within bounds of time and memory."""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import quickjs
from pydantic import Field, field_validator

from enricher import jsontext
from enricher.enrichments.contract import Draft, EnrichmentRefused, Entity, Failure, Patch, Resources
from enricher.enrichments.parts.columns import typed, written
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.tally import Tally
from shared.event import FIELDS
from shared.schema import InvalidIgluUri, SchemaCriterion, SchemaKey

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "javascript_script_config", "jsonschema", 1, 0)
IDENTIFIER = "Javascript enrichment"

_BRIDGE = Path(__file__).parent / "bridge.js"
_CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
_BASE64 = re.compile(r"[A-Za-z0-9_\-+/\s]*={0,2}\s*")
_JSON = ("unstruct_event", "contexts")


class Config(Parameters):
    script: str
    """The source in URL-safe base64. It defines `process(event, params, headers)`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """What the script gets as `params`."""
    timeout: int = Field(500, ge=1, le=60_000)
    """Milliseconds of processor time that one event may take. evnt's own option."""
    memory: int = Field(64, ge=1, le=4_096)
    """Megabytes that the script may hold. evnt's own option."""

    @field_validator("script")
    @classmethod
    def _decodes(cls, script: str) -> str:
        source(script)
        return script


class State(NamedTuple):
    engine: "Engine"
    tallies: Mapping[str, Tally]


def source(script: str) -> str:
    """Raises ValueError."""
    try:
        if not _BASE64.fullmatch(script):
            raise ValueError("script is not URL-safe base64")
        packed = "".join(script.split()).rstrip("=").replace("+", "-").replace("/", "_")
        text = urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"script is not URL-safe base64: {error}") from error
    if not text.strip():
        raise ValueError("Provided script for JS enrichment is empty")
    return text


class Engine:
    """One script in one QuickJS context. What it keeps in globals stays from event to event."""

    def __init__(self, script: str, params: Mapping[str, Any], timeout_ms: int, memory_mb: int) -> None:
        self._script = script
        self._params = jsontext.render(params)
        self._seconds = timeout_ms / 1000
        self._memory = memory_mb << 20
        self._start()

    def _start(self) -> None:
        """Raises EnrichmentRefused."""
        context = quickjs.Context()
        context.set_memory_limit(self._memory)
        context.set_time_limit(max(1.0, self._seconds))
        columns = json.dumps([field.name for field in FIELDS])
        run = context.eval(f"({_BRIDGE.read_text(encoding='utf-8')})({columns}, {self._params})")
        try:
            context.eval(self._script)
        except (quickjs.JSException, quickjs.StackOverflow) as error:
            raise EnrichmentRefused(f"Error compiling JavaScript function: [{_said(error)}]") from error
        if context.eval("typeof process") != "function":
            raise EnrichmentRefused("Error compiling JavaScript function: [it defines no function `process`]")
        context.set_time_limit(self._seconds)
        self._context, self._run = context, run

    def run(self, text: str) -> dict[str, Any] | str:
        """What the bridge says, or why the engine stopped."""
        try:
            output: dict[str, Any] = json.loads(self._run(text))
        except (quickjs.JSException, quickjs.StackOverflow) as error:
            said = _said(error)
            self._restart()
            return f"{said} (more than {self._seconds} s)" if "interrupted" in said else said
        if "out of memory" in output.get("error", ""):
            self._restart()
        return output

    def _restart(self) -> None:
        """A script that does not load this time stays with what it has, and fails again at the next event."""
        with suppress(EnrichmentRefused):
            self._start()


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return "out of memory" if text in ("", "null") else text.partition("\n")[0]


def prepare(config: Config, _: Resources) -> State:
    engine = Engine(source(config.script), config.config, config.timeout, config.memory)
    return State(engine, {"process": Tally()})


def enrich(draft: Draft, state: State) -> Patch | None:
    tally = state.tallies["process"]
    with tally:
        output = state.engine.run(question(draft))
    patch = Patch(failures=(_execution(output),)) if isinstance(output, str) else read(draft, output)
    tally.record(patch)
    return patch


def question(draft: Draft) -> str:
    """The event as the bridge reads it: columns with a value, JSON columns as texts, headers as they came."""
    values = {field.name: typed(field.kind, text) for field, text in zip(FIELDS, draft.values, strict=True) if text}
    if draft.derived:
        values["derived_contexts"] = envelope(draft.derived)
    return json.dumps({"event": values, "headers": draft.payload.headers or []})


def envelope(entities: Any) -> str:
    """A JSON column's text."""
    inner = ",".join(one.text or jsontext.render({"schema": one.schema, "data": one.data}) for one in entities)
    return f'{{"schema":"{_CONTEXTS}","data":[{inner}]}}'


def read(draft: Draft, output: Mapping[str, Any]) -> Patch:
    """Changes count even where the script failed after it made them."""
    failures: list[Failure] = []
    contexts: list[Entity] = []
    if "error" in output:
        failures.append(_execution(output["error"]))
    else:
        outcome = results(output.get("result"))
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            contexts = outcome
    fields: dict[str, str] = {}
    replaced: dict[str, Any] = {}
    for column, value in output["changed"].items():
        try:
            if column in _JSON:
                replaced[column] = json.loads(value) if value else None
            else:
                fields[column] = written(column, value)
        except (ValueError, RecursionError) as error:
            failures.append(_execution(str(error)))
    return Patch(
        fields,
        contexts,
        failures,
        drop=output["dropped"],
        event=_event(replaced.get("unstruct_event")),
        entities=_entities(replaced["contexts"]) if "contexts" in replaced else None,
        derived=() if output["erased"] else None,
    )


def _event(replaced: Any) -> Entity | None:
    return Entity(replaced["data"]["schema"], replaced["data"]["data"]) if replaced else None


def _entities(replaced: Any) -> list[Entity]:
    """None where a script took them all away."""
    return [Entity(one["schema"], one["data"]) for one in replaced["data"]] if replaced else []


def results(text: str | None) -> list[Entity] | Failure:
    """The entities in the JSON that a script returned; null is none, and so is what has no JSON."""
    if text is None:
        return []
    try:
        result = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Failure(f"Could not parse output JSON of Javascript function. Error: [{error}]")
    if result is None:
        return []
    if not isinstance(result, list):
        shown = jsontext.render(result)
        return Failure(f"Output of JavaScript function [{shown}] could be parsed as JSON but is not read as an array")
    wrong = [f"error code:[{code}],json:[{jsontext.render(one)}]" for one in result if (code := _problem(one))]
    if wrong:
        return Failure(f"Resulting contexts are not self-desribing. Error(s): [{';'.join(wrong)}]")
    return [Entity(one["schema"], one["data"]) for one in result]


def _problem(one: Any) -> str | None:
    if not isinstance(one, dict) or "data" not in one:
        return "INVALID_DATA_PAYLOAD"
    try:
        SchemaKey.parse(str(one.get("schema", "")))
    except InvalidIgluUri as error:
        return error.code
    return None


def _execution(message: str) -> Failure:
    return Failure(f"Error during execution of JavaScript function: [{message}]")
