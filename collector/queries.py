"""Query strings: read only as far as a decision needs, never rewritten."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

#: What no URI can carry, however lenient the reader is; and all the rest, by deleting which they are found quickly.
_UNWRITABLE: Final = bytes(range(0x21)) + b"\x7f"
_WRITABLE: Final = bytes(set(range(256)) - set(_UNWRITABLE))

_RULE: Final = "expected '+', query-char, pct-encoded, '=', '&' or 'EOI'"


def parameter(query: bytes | None, name: str) -> str | None:
    """The first value of a parameter, decoded; None where it is absent. Names are compared as they are written."""
    if not query or name.encode() not in query or (found := _pattern(name).search(query)) is None:
        return None
    return _decoded(found[1])


def last_parameter(query: bytes | None, name: str) -> str | None:
    """The last value of a parameter, decoded; None where it is absent."""
    found: list[bytes] = _pattern(name).findall(query or b"")
    return _decoded(found[-1]) if found else None


def parameters(query: bytes | None) -> dict[str, str]:
    """All parameters, decoded; the last of several wins."""
    halves = (pair.partition(b"=") for pair in (query or b"").split(b"&") if pair)
    return {_decoded(name): _decoded(value) for name, _, value in halves}


def complaint(query: bytes | None) -> str | None:
    """Why a query string can't stand in a URI; None when it can. Anything but spaces and controls is let through."""
    if not query or not (found := query.translate(None, _WRITABLE)):
        return None
    text, column = query.decode("utf-8", "replace"), query.index(found[:1])
    place = f"(line 1, column {column + 1}): {text}\n{' ' * column}^"
    return f"Illegal query: Invalid input {found[:1].decode()!r}, {_RULE} {place}"


@lru_cache(maxsize=16)
def _pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:^|&)" + re.escape(name.encode()) + rb"(?:=|(?=&)|$)([^&]*)")


def _decoded(raw: bytes) -> str:
    return unquote_plus(raw.decode("utf-8", "replace"))
