"""Hashes what the tracker sent, so that a duplicate can be told from two events that share an id."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from operator import itemgetter
from typing import NamedTuple

from pydantic import Field, field_validator

from enricher.enrichments.contract import Draft, Parameters, Patch, Resources
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


#: Names of parameters as sent → how to take their values, and the text to put them into.
Plan = tuple[Callable[[Mapping[str, str | None]], tuple[str | None, ...]], str]


class State(NamedTuple):
    plan: Callable[[tuple[str, ...]], Plan]
    digest: Callable[[bytes], str]


def prepare(config: Config, _: Resources) -> State:
    """Trackers send the same few sets of names again and again, so each set is sorted once."""
    planned = lru_cache(_PLANS)(partial(plan, excluded=frozenset(config.exclude_parameters)))
    return State(planned, digest_of(config.hash_algorithm))


def digest_of(algorithm: str) -> Callable[[bytes], str]:
    """Lower-case hexadecimal; a fingerprint, not a defence, hence MD5 is allowed."""
    make = getattr(hashlib, _ALGORITHMS[algorithm])
    return lambda data: str(make(data, usedforsecurity=False).hexdigest())


def enrich(draft: Draft, state: State) -> Patch | None:
    text = preimage(draft.parameters, state.plan)
    return Patch({"event_fingerprint": state.digest(text.encode("utf-8", "replace"))})


def preimage(parameters: Mapping[str, str | None], planned: Callable[[tuple[str, ...]], Plan]) -> str:
    """A parameter without `=` counts as absent, an empty one does not."""
    take, text = planned(tuple(parameters))
    values = take(parameters)
    if None in values:
        return preimage({name: value for name, value in parameters.items() if value is not None}, planned)
    return text % values


def plan(names: Iterable[str], excluded: frozenset[str]) -> Plan:
    """Sorted by UTF-16 code units, name and value each with a separator behind it."""
    chosen = sorted((name for name in names if name not in excluded), key=_utf16)
    text = "".join(f"{name.replace('%', '%%')}{_SEPARATOR}%s{_SEPARATOR}" for name in chosen)
    if len(chosen) > 1:
        return itemgetter(*chosen), text
    return lambda parameters: tuple(parameters[name] for name in chosen), text


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")
