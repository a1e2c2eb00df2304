"""java.net.URI by hand: what it takes, the parts it finds and the messages of its refusals.

urllib and yarl normalise, refuse or forgive other things, and what they do shows in the output.
"""

import re
from dataclasses import dataclass
from typing import Final

from enricher.remembered import remembered
from enricher.values import Refused


@dataclass(slots=True, init=False)
class Uri:
    """A URI's text and its raw parts, "" where there is none. `port` is None where the text names none."""

    text: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    def __init__(
        self,
        text: str,
        scheme: str = "",
        host: str = "",
        port: int | None = None,
        path: str = "",
        query: str | None = None,
        fragment: str | None = None,
    ) -> None:
        self.text = text
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.query = query
        self.fragment = fragment


class _Illegal(Exception):
    def __init__(self, reason: str, index: int) -> None:
        super().__init__(reason)
        self.reason, self.index = reason, index


_OTHER: Final = (
    "\\u00a1-\\u167f\\u1681-\\u1fff\\u200b-\\u2027\\u202a-\\u202e\\u2030-\\u205e\\u2060-\\u2fff\\u3001-\\U0010ffff"
)
_UNRESERVED: Final = "A-Za-z0-9_.!~*'()\\-"
_URIC: Final = re.compile(f"[{_UNRESERVED};/?:@&=+$,\\[\\]%{_OTHER}]*")
_PATH: Final = re.compile(f"[{_UNRESERVED}:@&=+$,;/%{_OTHER}]*")
_REGISTRY: Final = re.compile(f"[{_UNRESERVED}$,;:@&=+%{_OTHER}]*")
_SERVER: Final = re.compile(f"[{_UNRESERVED};:&=+$,@\\[\\]%{_OTHER}]*")
_USERINFO: Final = re.compile(f"[{_UNRESERVED};:&=+$,%{_OTHER}]*")
_SCHEME: Final = re.compile(r"[A-Za-z0-9+.\-]*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY_END: Final = re.compile(r"[/?#]|\Z")
_IPV6: Final = re.compile(r"([0-9A-Fa-f:.]+)(?:%[A-Za-z0-9_.]+)?")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,4}")
_IPV4: Final = re.compile(r"(?:0*(?:[0-1]?[0-9]{1,2}|2[0-4][0-9]|25[0-5])(?:\.(?!$)|$)){4}")
_HOSTNAME: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?"
)
_LAST_LABEL: Final = re.compile(r"(?:^|\.)([^.]+)\.?$")

#: The URLs that nearly all events carry: one match instead of the long way.
_USUAL: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*)://([A-Za-z0-9.\-]+)(?::([0-9]{1,9}))?"
    r"(/[A-Za-z0-9_.!~*'():@&=+$,;/%\-]*)?"
    r"(?:\?([A-Za-z0-9_.!~*'():@&=+$,;/?\[\]%\-]*))?(?:#([A-Za-z0-9_.!~*'():@&=+$,;/?\[\]%\-]*))?"
)


def java_uri(text: str) -> Uri | Refused:
    """`new java.net.URI(text)`: the parts, or the message of its exception."""
    match = _USUAL.fullmatch(text)
    if match is not None and _is_server_name(match[2]) and ("%" not in text or _BAD_ESCAPE.search(text) is None):
        scheme, host, port, path, query, fragment = match.groups()
        return Uri(text, scheme, host, int(port) if port else None, path or "", query, fragment)
    try:
        return _parse(text)
    except _Illegal as illegal:
        index = len(text[: illegal.index].encode("utf-16-le", "surrogatepass")) // 2
        return Refused(f"{illegal.reason} at index {index}: {text}")


@remembered(4096)
def _is_server_name(host: str) -> bool:
    """An IPv4 address, or a name whose last label starts with a letter (a single label may start with a digit)."""
    if _IPV4.fullmatch(host):
        return True
    if _HOSTNAME.fullmatch(host) is None:
        return False
    last = _LAST_LABEL.search(host)
    return last is not None and (last.start(1) == 0 or last[1][0].isalpha())


def _parse(text: str) -> Uri:
    colon = re.search(r"[:/?#]", text)
    if colon is None or colon[0] != ":":
        return _hierarchical(text, "", 0)
    end = colon.start()
    if end == 0:
        raise _Illegal("Expected scheme name", 0)
    if not (text[0].isascii() and text[0].isalpha()):
        raise _Illegal("Illegal character in scheme name", 0)
    _check(text, 0, end, _SCHEME, "scheme name")
    if text[end + 1 : end + 2] == "/":
        return _hierarchical(text, text[:end], end + 1)
    return _opaque(text, end)


def _opaque(text: str, colon: int) -> Uri:
    """`mailto:x`: no path, no query."""
    end = _find(text, "#", colon + 1)
    if end == colon + 1:
        raise _Illegal("Expected scheme-specific part", end)
    _check(text, colon + 1, end, _URIC, "opaque part")
    return Uri(text, text[:colon], fragment=_fragment(text, end))


def _hierarchical(text: str, scheme: str, start: int) -> Uri:
    host, port = "", None
    if text.startswith("//", start):
        start += 2
        end = _end_of_authority(text, start)
        if end > start:
            host, port = _authority(text, start, end)
        elif end == len(text):
            raise _Illegal("Expected authority", start)
        start = end
    hash_ = _find(text, "#", start)
    mark = _find(text, "?", start, hash_)
    _check(text, start, mark, _PATH, "path")
    query = None
    if mark < hash_:
        _check(text, mark + 1, hash_, _URIC, "query")
        query = text[mark + 1 : hash_]
    return Uri(text, scheme, host, port, text[start:mark], query, _fragment(text, hash_))


def _fragment(text: str, hash_: int) -> str | None:
    if hash_ == len(text):
        return None
    _check(text, hash_ + 1, len(text), _URIC, "fragment")
    return text[hash_ + 1 :]


def _find(text: str, character: str, start: int, end: int | None = None) -> int:
    limit = len(text) if end is None else end
    found = text.find(character, start, limit)
    return limit if found < 0 else found


def _end_of_authority(text: str, start: int) -> int:
    match = _AUTHORITY_END.search(text, start)
    return match.start() if match else len(text)


def _check(text: str, start: int, end: int, legal: re.Pattern[str], what: str) -> None:
    match = legal.match(text, start, end)
    stop = match.end() if match else start
    bad = _BAD_ESCAPE.search(text, start, stop)
    if bad is not None and (len(text) - bad.start() < 3 or not re.match("%[0-9A-Fa-f]{2}", text[bad.start() :])):
        raise _Illegal("Malformed escape pair", bad.start())
    if stop < end:
        raise _Illegal(f"Illegal character in {what}", stop)


def _authority(text: str, start: int, end: int) -> tuple[str, int | None]:
    """Host and port; both absent where the authority is legal but names no server (`a_b.com:80`)."""
    registry = True
    for legal in (_SERVER, _REGISTRY) if text.startswith("]", start) else (_REGISTRY,):
        match = legal.match(text, start, end)
        stop = match.end() if match else start
        bad = _BAD_ESCAPE.search(text, start, stop)
        if bad is not None:
            raise _Illegal("Malformed escape pair", bad.start())
        registry = stop == end
    failure = _Illegal("Illegal character in authority", start)
    if _SERVER.fullmatch(text, start, end):
        try:
            return _server(text, start, end)
        except _Illegal as illegal:
            failure = illegal
    if registry:
        return "", None
    raise failure


def _server(text: str, start: int, end: int) -> tuple[str, int | None]:
    at = text.find("@", start, end)
    if at >= 0:
        _check(text, start, at, _USERINFO, "user info")
        start = at + 1
    if text.startswith("[", start):
        return _ipv6(text, start, end)
    colon = _find(text, ":", start, end)
    host = text[start:colon]
    if not host:
        raise _Illegal("Expected hostname", start)
    if not _is_server_name(host):
        raise _Illegal("Illegal character in hostname", start + _first_offence(host))
    return host, _port(text, colon, end)


def _first_offence(host: str) -> int:
    match = re.search(r"[^A-Za-z0-9.\-]|-(?=\.|$)|(?:(?<=\.)|^)[-.]", host)
    last = _LAST_LABEL.search(host)
    return match.start() if match else last.start(1) if last else 0


def _ipv6(text: str, start: int, end: int) -> tuple[str, int | None]:
    close = text.find("]", start, end)
    if close < 0:
        raise _Illegal("Expected closing bracket for IPv6 address", end)
    match = _IPV6.fullmatch(text, start + 1, close)
    if match is None or not _is_ipv6(match[1]):
        raise _Illegal("Malformed IPv6 address", start + 1)
    return text[start : close + 1], _port(text, close + 1, end)


def _is_ipv6(text: str) -> bool:
    """Eight groups of 16 bits, or fewer and one `::`; the last two may be written as an IPv4 address."""
    halves = text.split("::")
    groups = [group for half in halves if half for group in half.split(":")]
    if groups and "." in groups[-1] and not text.endswith("::"):
        if _IPV4.fullmatch(groups.pop()) is None:
            return False
        groups += "00"
    count_fits = len(groups) == 8 if len(halves) == 1 else len(halves) == 2 and len(groups) < 8
    return count_fits and all(map(_HEX.fullmatch, groups))


def _port(text: str, colon: int, end: int) -> int | None:
    if colon == end:
        return None
    if text[colon] != ":":
        raise _Illegal("Expected port number", colon)
    digits = text[colon + 1 : end]
    if digits and not (digits.isascii() and digits.isdigit()):
        raise _Illegal("Illegal character in port number", colon + 1)
    if digits and int(digits[-400:]) >= 2**31:
        raise _Illegal("Malformed port number", colon + 1)
    return int(digits) if digits else None
