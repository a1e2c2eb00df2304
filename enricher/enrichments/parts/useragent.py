"""User agents, parsed by ua-parser with its Rust engine."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from ua_parser import Domain, PartialResult, load_lazy_builtins
from ua_parser.regex import Resolver

#: Characters of a user agent that are looked at. Longer ones don't fit the column, and cost time.
LONGEST: Final = 2_000

_LAST: Final = 500


class Versioned(NamedTuple):
    """A browser or an operating system."""

    family: str
    major: str | None = None
    minor: str | None = None
    patch: str | None = None
    patch_minor: str | None = None


class Device(NamedTuple):
    family: str
    brand: str | None = None
    model: str | None = None


class Parsed(NamedTuple):
    """None: not recognised."""

    user_agent: Versioned | None
    os: Versioned | None
    device: Device | None


Parse = Callable[[str], Parsed]


@cache
def builtin() -> Parse:
    """With the rules that come with ua-parser. Building the matcher takes about 200 ms, once a process.

    Several enrichments ask about the same user agent one after the other, so the last answers are remembered: by what
    is looked at, since an event may call its user agent a megabyte.
    """
    parse = lru_cache(_LAST)(parser(Resolver(load_lazy_builtins())))
    return lambda text: parse(text[:LONGEST])


def parser(resolver: Callable[[str, Domain], PartialResult]) -> Parse:
    """The Rust engine is asked past ua-parser's own objects, whose making takes nearly as long as the search."""
    if isinstance(resolver, Resolver):
        agent, system, device = resolver.ua.extract, resolver.os.extract, resolver.de.extract

        def parse(text: str) -> Parsed:
            text = readable(text)
            return Parsed(_versioned(agent(text)), _versioned(system(text)), _device(device(text)))

        return parse

    def slowly(text: str) -> Parsed:
        found = resolver(readable(text), Domain.ALL)
        return Parsed(_versioned(found.user_agent), _versioned(found.os), _device(found.device))

    return slowly


def _versioned(found: Any) -> Versioned | None:
    if found is None:
        return None
    return Versioned(found.family, found.major, found.minor, found.patch, found.patch_minor)


def _device(found: Any) -> Device | None:
    return None if found is None else Device(found.family, found.brand, found.model)


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
