"""Hashes what the tracker sent, so that a duplicate can be told from two events that share an id."""

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pydantic import Field, field_validator

from enricher.enrichments.contract import Draft, Parameters, Patch, Resources
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "event_fingerprint_config", "jsonschema", 1, 0)

_ALGORITHMS: dict[str, str] = {name: name.lower() for name in ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")}
_SEPARATOR = "\x1f"


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


class State(NamedTuple):
    excluded: frozenset[str]
    digest: Callable[[bytes], str]


def prepare(config: Config, _: Resources) -> State:
    return State(frozenset(config.exclude_parameters), digest_of(config.hash_algorithm))


def digest_of(algorithm: str) -> Callable[[bytes], str]:
    """Lower-case hexadecimal; a fingerprint, not a defence, hence MD5 is allowed."""
    make = getattr(hashlib, _ALGORITHMS[algorithm])
    return lambda data: str(make(data, usedforsecurity=False).hexdigest())


def enrich(draft: Draft, state: State) -> Patch | None:
    text = preimage(draft.parameters.items(), state.excluded)
    return Patch({"event_fingerprint": state.digest(text.encode("utf-8", "replace"))})


def preimage(parameters: Iterable[tuple[str, str | None]], excluded: frozenset[str]) -> str:
    """Sorted by UTF-16 code units; a parameter without `=` counts as absent, an empty one does not."""
    values = dict(parameters)
    names = sorted(values)
    if not "".join(names).isascii():
        names.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    present = [name for name in names if name not in excluded and values[name] is not None]
    return "".join([f"{name}{_SEPARATOR}{values[name]}{_SEPARATOR}" for name in present])
