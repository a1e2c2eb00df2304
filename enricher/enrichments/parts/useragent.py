"""User agents, parsed by ua-parser with its Rust engine."""

from collections.abc import Callable
from functools import cache, lru_cache

from ua_parser import BestAvailableResolver, Domain, PartialResult, RegexResolver, load_lazy_builtins

from enricher.enrichments.contract import EnrichmentRefused

#: Characters of a user agent that are looked at. Longer ones don't fit the column, and cost time.
LONGEST = 2_000

_LAST = 500

Parse = Callable[[str], PartialResult]


@cache
def builtin() -> Parse:
    """With the rules that come with ua-parser. Building the matcher takes about 200 ms, once a process.

    Several enrichments ask about the same user agent one after the other, so the last answers are remembered.
    """
    return lru_cache(_LAST)(parser(BestAvailableResolver(load_lazy_builtins())))


def parser(resolver: Callable[[str, Domain], PartialResult]) -> Parse:
    if RegexResolver is None:
        raise EnrichmentRefused("the Rust engine of ua-parser is missing: install ua-parser[regex]")
    return lambda text: resolver(readable(text), Domain.ALL)


def readable(text: str) -> str:
    """As much as is looked at, with `?` for the halves of characters, which JSON may hold and Rust does not take."""
    text = text[:LONGEST]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def joined(*parts: str | None) -> str | None:
    """`10.3.1` of its parts, up to the first that is missing."""
    version: list[str] = []
    for part in parts:
        if part is None:
            break
        version.append(part)
    return ".".join(version) or None
