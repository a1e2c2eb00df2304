"""Entities that carry their text, and the pairs of a raw query."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from enricher import jsontext
from enricher.enrichments.contract import Entity


def entity(schema: str, data: Any) -> Entity:
    """An entity that is attached many times, so its text is made once."""
    return Entity(schema, data, jsontext.render({"schema": schema, "data": data}))


def query_pairs(query: str) -> Iterator[tuple[str, str]]:
    """Form-decoded pairs of a raw query in order; only `&` separates, a name without `=` has the value ""."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name:
            yield decoded(name), decoded(value)


def decoded(text: str) -> str:
    return unquote_plus(text, errors="replace") if "%" in text or "+" in text else text
