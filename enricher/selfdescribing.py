"""Self-describing JSON: `{"schema": <Iglu URI>, "data": …}`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from enricher.remembered import remembered
from shared.schema import InvalidIgluUri, SchemaCriterion, SchemaKey


@dataclass(slots=True, init=False)
class SelfDescribing:
    uri: str
    data: Any

    def __init__(self, uri: str, data: Any) -> None:
        self.uri = uri
        self.data = data


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


@dataclass(slots=True, init=False)
class Family:
    """has(uri): whether a valid Iglu URI is one of those that the criterion's text describes."""

    text: str
    has: Callable[[str], bool]

    def __init__(self, text: str, has: Callable[[str], bool]) -> None:
        self.text = text
        self.has = has


def family(criterion: SchemaCriterion) -> Family:
    """The same few URIs are asked about again and again, so each is compared once."""
    return Family(criterion.text, remembered(1_000)(lambda uri: criterion.matches(SchemaKey.parse(uri))))
