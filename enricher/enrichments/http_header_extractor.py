"""Attaches request headers whose names match a pattern."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from enricher.enrichments.contract import Draft, EnrichmentRefused, Entity, Parameters, Patch, Resources
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "http_header_extractor_config", "jsonschema", 1, 0
)

_OUTPUT = "iglu:org.ietf/http_header/jsonschema/1-0-0"
_JAVA_BLANKS = "".join(map(chr, range(33)))
_NAMES_REMEMBERED = 1_000


class Config(Parameters):
    headers_pattern: str = Field(alias="headersPattern")
    """Regular expression that the whole name of a header must match. `.*` takes credentials and cookies too."""


class State(NamedTuple):
    wanted: Callable[[str], bool]


def prepare(config: Config, _: Resources) -> State:
    try:
        pattern = re.compile(config.headers_pattern)
    except re.error as error:
        raise EnrichmentRefused(f"headersPattern is not a regular expression Python knows: {error}") from error
    return State(lru_cache(_NAMES_REMEMBERED)(lambda name: pattern.fullmatch(name) is not None))


def enrich(draft: Draft, state: State) -> Patch | None:
    found = []
    for line in draft.payload.headers or ():
        name, colon, value = line.partition(":")
        if colon and state.wanted(name):
            data = {"name": name.strip(_JAVA_BLANKS), "value": value.strip(_JAVA_BLANKS)}
            found.append(Entity(_OUTPUT, data))
    return Patch(contexts=found) if found else None
