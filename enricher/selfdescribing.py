"""Self-describing JSON: `{"schema": <Iglu URI>, "data": …}`."""

from functools import lru_cache
from typing import Any, NamedTuple

from enricher.remembered import remembered
from shared.schema import InvalidIgluUri, SchemaCriterion, SchemaKey


class SelfDescribing(NamedTuple):
    uri: str
    data: Any


def self_describing(value: Any) -> SelfDescribing | str:
    """The URI and the data, or the code that bad rows carry: what exactly is missing or malformed."""
    if not isinstance(value, dict) or "data" not in value or not isinstance(value.get("schema"), str):
        return "INVALID_DATA_PAYLOAD"
    uri = value["schema"]
    return uri_problem(uri) or SelfDescribing(uri, value["data"])


@remembered(4096)
def uri_problem(uri: str) -> str | None:
    """INVALID_IGLUURI, INVALID_SCHEMAVER, or None for an Iglu URI."""
    try:
        SchemaKey.parse(uri)
    except InvalidIgluUri as error:
        return error.code
    return None


@lru_cache(maxsize=4096)
def matches(criterion: SchemaCriterion, uri: str) -> bool:
    """Whether a valid Iglu URI is of the criterion's family."""
    return criterion.matches(SchemaKey.parse(uri))
