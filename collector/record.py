"""A request as it is recorded: the CollectorPayload struct that the enricher reads."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from collector import cookies
from collector.address import UNKNOWN, ClientAddress
from collector.hit import Header, Hit
from shared.payload import Encoder

_CHARSET: Final = re.compile(rb"charset\s*=\s*\"?([^\s\";,]+)", re.IGNORECASE)
#: Bytes of a content type that is looked at.
_LONGEST: Final = 200

#: Character sets that a body is decoded from. Python also knows what is none: one takes minutes for a body of a few
#: hundred kilobytes, and every name that it does not know stays in its memory.
CHARSETS: Final = frozenset(
    (
        *("utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be", "latin1", "latin-1"),
        *(f"iso-8859-{part}" for part in range(1, 17) if part != 12),
        *(f"{maker}125{page}" for maker in ("windows-", "cp") for page in range(9)),
        *("koi8-r", "koi8-u", "macintosh", "ibm866", "cp866", "tis-620", "gbk", "gb2312", "gb18030", "big5"),
        *("euc-jp", "iso-2022-jp", "shift-jis", "euc-kr"),
    )
)


class Recorder:
    """Writes requests as structs; values stay the bytes that came."""

    def __init__(self, encoder: Encoder, addresses: ClientAddress) -> None:
        self._encoder = encoder
        self._addresses = addresses
        # headers that would tell who an anonymous visitor is
        self._personal = addresses.telling | {b"cookie"}

    def record(self, hit: Hit, path: bytes, network_userid: str, now_ms: int) -> bytes:
        """One struct, under the path that the custom paths map to."""
        named = hit.named
        address = self.address(hit)
        content_type = None if hit.body is None else named.get(b"content-type", b"").lower() or None
        return self._encoder.encode(
            address,
            now_ms,
            self.header_lines(hit, content_type),
            network_userid.encode(),
            user_agent=named.get(b"user-agent"),
            referer_uri=named.get(b"referer"),
            path=path,
            querystring=hit.query,
            body=None if hit.body is None else as_utf8(hit.body, content_type),
            content_type=content_type,
            hostname=hostname(hit.host),
        )

    def address(self, hit: Hit) -> bytes:
        """The client's address, unless it asks to be anonymous."""
        return UNKNOWN if hit.anonymous else self._addresses.find(hit)

    def header_lines(self, hit: Hit, content_type: bytes | None) -> list[bytes]:
        """`Name: value` in order of arrival, then the bare content type, where the enricher looks for it."""
        headers = hit.headers
        if hit.anonymous:
            headers = [header for header in headers if header[0].lower() not in self._personal]
        elif not self._addresses.keeps_headers:
            headers = self._addresses.kept(headers)
        lines = list(map(b": ".join, headers))
        cookie = hit.named.get(b"cookie")
        if cookie is not None and ((b"Cookie", cookie) not in headers or cookies.clean(cookie) != cookie):
            _clean_cookies(headers, lines)
        if content_type is not None:
            lines.append(content_type)
        return lines


def _clean_cookies(headers: Sequence[Header], lines: list[bytes]) -> None:
    """The enricher's extractor wants the header's name with a capital C, and nothing but valid pairs in it."""
    for place in range(len(headers) - 1, -1, -1):
        name, value = headers[place]
        if len(name) == 6 and name.lower() == b"cookie":
            cleaned = cookies.clean(value)
            lines[place : place + 1] = [] if cleaned is None else [b"Cookie: " + cleaned]


def hostname(host: bytes | None) -> bytes | None:
    """The host that was asked for, lower case, without port; None for HTTP/1.0 requests that name none."""
    if not host:
        return None
    if host.startswith(b"["):
        return host[1:].partition(b"]")[0].lower()
    return host.partition(b":")[0].lower()


def as_utf8(body: bytes, content_type: bytes | None) -> bytes:
    """The body in UTF-8 when its content type names another character set that is known; else untouched."""
    charset = _foreign_charset(content_type) if content_type is not None and len(content_type) <= _LONGEST else None
    return body if charset is None else body.decode(charset, "replace").encode("utf-8", "replace")


@lru_cache(maxsize=256)
def _foreign_charset(content_type: bytes) -> str | None:
    found = _CHARSET.search(content_type)
    name = found[1].decode("ascii", "replace").replace("_", "-") if found else ""
    return name if name in CHARSETS else None
