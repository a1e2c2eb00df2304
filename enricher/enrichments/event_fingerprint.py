"""Hashes what the tracker sent, so that a duplicate can be told from two events that share an id."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from pydantic import Field, field_validator

from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.remembered import remembered
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "event_fingerprint_config", "jsonschema", 1, 0)

_ALGORITHMS: dict[str, str] = {name: name.lower() for name in ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")}
_SEPARATOR = "\x1f"
_PLANS = 1_000


class Config(Parameters):
    exclude_parameters: tuple[str, ...] = Field(("cv", "eid", "nuid", "stm"), alias="excludeParameters")
    """Tracker parameters that may differ between two copies of one event."""
    hash_algorithm: str = Field("MD5", alias="hashAlgorithm")
    """MD5, SHA1, SHA256, SHA384 or SHA512."""

    @field_validator("hash_algorithm")
    @classmethod
    def _supported(cls, name: str) -> str:
        if name not in _ALGORITHMS:
            raise ValueError(f"[{name}] is not a supported event fingerprint generation algorithm")
        return name


class Plan(NamedTuple):
    """How one set of parameter names is hashed: `take` their values, sorted, for the gaps between the `pieces`."""

    take: Callable[[Mapping[str, str | None]], Sequence[str | None]]
    pieces: list[str | None]


class State(NamedTuple):
    planned: Callable[[tuple[str, ...]], Plan]
    hashed: Callable[[bytes], "hashlib._Hash"]


def prepare(config: Config, _: Resources) -> State:
    """Trackers send the same few sets of names again and again, so each set is sorted once."""
    planned = remembered(_PLANS, _length)(partial(plan, excluded=frozenset(config.exclude_parameters)))
    # A fingerprint, not a defence, hence MD5 is allowed.
    return State(planned, partial(getattr(hashlib, _ALGORITHMS[config.hash_algorithm]), usedforsecurity=False))


def _length(names: tuple[str, ...]) -> int:
    return sum(map(len, names))


def enrich(draft: Draft, state: State) -> Patch | None:
    """A parameter without `=` counts as absent, an empty one does not."""
    parameters = draft.parameters
    take, pieces = state.planned(tuple(parameters))
    pieces = pieces.copy()
    pieces[1::2] = take(parameters)
    try:
        text = _SEPARATOR.join(pieces)  # type: ignore[arg-type]
    except TypeError:
        present: dict[str, str | None] = {name: value for name, value in parameters.items() if value is not None}
        return enrich(replace(draft, parameters=present), state)
    return Patch({"event_fingerprint": state.hashed(text.encode("utf-8", "replace")).hexdigest()})


def plan(names: Iterable[str], excluded: frozenset[str]) -> Plan:
    """Sorted by UTF-16 code units, name and value each with a separator behind it."""
    chosen = sorted((name for name in names if name not in excluded), key=_utf16)
    pieces = [piece for name in chosen for piece in (name, None)] + [""]
    if len(chosen) > 1:
        return Plan(itemgetter(*chosen), pieces)
    return Plan(lambda parameters: [parameters[name] for name in chosen], pieces)


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")
