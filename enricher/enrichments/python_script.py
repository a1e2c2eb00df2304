"""Runs an operator's Python function on every event. evnt's own; Snowplow has no such enrichment.

The module defines `enrich(event)`, which returns entities to attach, `{"schema": …, "data": …}`, or None. It may
set columns (`event["app_id"] = "shop"`) and end the event (`event.drop()`). It runs inside the enricher: it is
trusted with everything the process can do, but not with its time.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from enricher import jsontext
from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Entity, Failure, Patch, Resources
from enricher.enrichments.parts.budget import Budget, OverBudget
from enricher.enrichments.parts.columns import typed, written
from enricher.enrichments.parts.files import present
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.tally import Tally
from shared.event import INDEX, KINDS
from shared.schema import InvalidIgluUri, SchemaCriterion, SchemaKey

SCHEMA = SchemaCriterion("io.evnt.enrichments", "python_script", "jsonschema", 1, 0)


#: Milliseconds that a file may take to load: no event is worked on meanwhile.
_LONGEST_MS = 60_000


class Config(Parameters):
    module: str
    """Path of the Python file, relative to the configuration's folder. A change of it takes effect by itself."""
    function: str = "enrich"
    """Name of the function that gets each event."""
    budget_ms: int = Field(50, ge=1, le=60_000)
    """Milliseconds that one event may take. The function is interrupted then, and the event fails."""
    apply: bool = True
    """False: run, measure and count, but change nothing."""
    shadow: str | None = None
    """Path of a second file whose function runs on the same events and is only compared with the first."""
    ignore_errors: bool = False
    """Go on without the function's result where it fails; else the event becomes a failed one."""


Function = Callable[["Event"], Any]


class State(NamedTuple):
    function: Function
    shadow: Function | None
    budget: Budget
    apply: bool
    ignore_errors: bool
    tallies: Mapping[str, Tally]


class Event(Mapping[str, Any]):
    """The event as a function sees it: columns by name, None where a column is null, numbers where it is a number.

    contexts, unstruct_event, derived_contexts: copies, as `{"schema": …, "data": …}`. headers: (name, value) pairs.
    parameters: what the tracker sent.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._set: dict[str, str] = {}
        self._dropped = False

    def __getitem__(self, column: str) -> Any:
        text = self._set.get(column)
        if text is None:
            text = self._draft.values[INDEX[column]]
        return typed(KINDS[column], text) if text else None

    def __setitem__(self, column: str, value: Any) -> None:
        """Raises ValueError for a value that the column can't hold."""
        self._set[column] = written(column, value)

    def __iter__(self) -> Iterator[str]:
        return iter(INDEX)

    def __len__(self) -> int:
        return len(INDEX)

    def drop(self) -> None:
        """End the event here: counted, with no output and no bad row."""
        self._dropped = True

    @property
    def contexts(self) -> list[dict[str, Any]]:
        return _documents(self._draft.contexts)

    @property
    def derived_contexts(self) -> list[dict[str, Any]]:
        return _documents(self._draft.derived)

    @property
    def unstruct_event(self) -> dict[str, Any] | None:
        return _documents((self._draft.event,))[0] if self._draft.event else None

    @property
    def headers(self) -> list[tuple[str, str]]:
        return list(self._draft.headers)

    @property
    def parameters(self) -> Mapping[str, str | None]:
        return dict(self._draft.parameters)

    def patch(self, returned: Any) -> Patch:
        """What the function did and returned. Raises ValueError."""
        return Patch(self._set, entities(returned), drop=self._dropped)


def _documents(found: Iterable[Entity]) -> list[dict[str, Any]]:
    return [{"schema": one.schema, "data": deepcopy(one.data)} for one in found]


def entities(returned: Any) -> list[Entity]:
    """Raises ValueError for what is no list of self-describing data."""
    if returned is None:
        return []
    if not isinstance(returned, list | tuple):
        raise ValueError(f"expected a list of contexts or None, not {type(returned).__name__}")
    return [_entity(one) for one in returned]


def _entity(one: Any) -> Entity:
    if not isinstance(one, dict) or set(one) != {"schema", "data"}:
        raise ValueError('a context is {"schema": …, "data": …}')
    try:
        SchemaKey.parse(str(one["schema"]))
    except InvalidIgluUri as error:
        raise ValueError(str(error)) from error
    return Entity(str(one["schema"]), _copied(one["data"]))


def _copied(data: Any) -> Any:
    """As JSON holds it, and no longer the function's, which may change it for the next event: events are written later.

    Raises what the encoder raises for what is no JSON.
    """
    return json.loads(jsontext.render(data))


def assets(config: Config) -> tuple[Asset, ...]:
    return tuple(Asset(path, Path(path).name) for path in (config.module, config.shadow) if path)


def prepare(config: Config, resources: Resources) -> State:
    functions = [load(present(asset, resources), config.function) for asset in assets(config)]
    shadow = functions[1] if config.shadow else None
    tallies = {"enrich": Tally()} | ({"shadow": Tally()} if shadow else {})
    return State(functions[0], shadow, Budget(config.budget_ms), config.apply, config.ignore_errors, tallies)


def load(path: Path, name: str, longest_ms: int = _LONGEST_MS) -> Function:
    """The function of a file, which is run anew. Raises EnrichmentRefused, also after `longest_ms`."""
    spec = spec_from_file_location(f"evnt_script_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise EnrichmentRefused(f"{path} is not a Python file")
    module = module_from_spec(spec)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        code = compile(path.read_bytes(), str(path), "exec")
        with Budget(longest_ms):
            exec(code, module.__dict__)  # noqa: S102 - this is what it is for
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise EnrichmentRefused(f"{path} can't be loaded: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = keep
    function: Function | None = getattr(module, name, None)
    if not callable(function):
        raise EnrichmentRefused(f"{path} defines no function {name}(event)")
    return function


def enrich(draft: Draft, state: State) -> Patch | None:
    patch = run(draft, state.function, state.budget, state.tallies["enrich"])
    if state.shadow is not None:
        tally = state.tallies["shadow"]
        if said(run(draft, state.shadow, state.budget, tally)) == said(patch):
            tally.agreed += 1
        else:
            tally.differed += 1
    if not state.apply or (patch.failures and state.ignore_errors):
        return None
    return patch


def said(patch: Patch) -> tuple[Any, ...]:
    """What two runs are compared by."""
    failed = bool(patch.failures)
    return dict(patch.fields), [(one.schema, one.data) for one in patch.contexts], patch.drop, failed


def run(draft: Draft, function: Function, budget: Budget, tally: Tally) -> Patch:
    """Never raises: what the function raises is a failure of this event."""
    event = Event(draft)
    try:
        with tally, budget:
            returned = function(event)
        patch = event.patch(returned)
    except OverBudget as error:
        tally.over_budget += 1
        patch = Patch(failures=(Failure(str(error)),))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the operator's code may raise anything, and leave with sys.exit
        patch = Patch(failures=(Failure(f"Error during execution: {type(error).__name__}: {error}"),))
    tally.record(patch)
    return patch
