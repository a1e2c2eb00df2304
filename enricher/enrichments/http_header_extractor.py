"""Attaches request headers whose names match a pattern."""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pydantic import Field

from enricher.enrichments.contract import Draft, EnrichmentRefused, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.text import entity
from enricher.iglu.patterns import translate
from enricher.remembered import remembered
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "http_header_extractor_config", "jsonschema", 1, 0
)

_OUTPUT = "iglu:org.ietf/http_header/jsonschema/1-0-0"
_JAVA_BLANKS = "".join(map(chr, range(33)))
_LINES_REMEMBERED = 1_000


class Config(Parameters):
    headers_pattern: str = Field(alias="headersPattern")
    """Java's regular expression that the whole name of a header must match. `.*` takes credentials and cookies too."""


class State(NamedTuple):
    """of(line): what attaches the header where it is wanted. Most lines come again and again."""

    of: Callable[[str], Patch | None]


def prepare(config: Config, _: Resources) -> State:
    pattern = translate(config.headers_pattern)
    if pattern is None:
        raise EnrichmentRefused(f"headersPattern is not a regular expression: {config.headers_pattern}")
    return State(remembered(_LINES_REMEMBERED)(partial(_patch, wanted=re.compile(pattern.text))))


def _patch(line: str, wanted: re.Pattern[str]) -> Patch | None:
    name, colon, value = line.partition(":")
    if not colon or not wanted.fullmatch(name):
        return None
    data = {"name": name.strip(_JAVA_BLANKS), "value": value.strip(_JAVA_BLANKS)}
    return Patch(contexts=(entity(_OUTPUT, data),))


def enrich(draft: Draft, state: State) -> Patch | None:
    found = list(filter(None, map(state.of, draft.payload.headers or ())))
    if len(found) < 2:
        return found[0] if found else None
    return Patch(contexts=[one for patch in found for one in patch.contexts])
