"""Self-describing JSON: `{"schema": <Iglu URI>, "data": …}`."""

from typing import Any, NamedTuple

from shared.schema import InvalidIgluUri, SchemaKey


class SelfDescribing(NamedTuple):
    uri: str
    data: Any


def self_describing(value: Any) -> SelfDescribing | str:
    """The URI and the data, or the code that bad rows carry: what exactly is missing or malformed."""
    if not isinstance(value, dict) or "data" not in value or not isinstance(value.get("schema"), str):
        return "INVALID_DATA_PAYLOAD"
    code = uri_problem(value["schema"])
    return code or SelfDescribing(value["schema"], value["data"])


def uri_problem(uri: str) -> str | None:
    """INVALID_IGLUURI, INVALID_SCHEMAVER, or None for an Iglu URI."""
    try:
        SchemaKey.parse(uri)
    except InvalidIgluUri as error:
        return error.code
    return None
