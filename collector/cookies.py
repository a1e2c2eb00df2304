"""Cookies: what came, read leniently; what goes, written by hand since it is the same but for id and date."""

import re
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from collector.visitor_sections import CookieSettings

_OCTETS: Final = rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+"
_VALID: Final = re.compile(_OCTETS)
_ALL_VALID: Final = re.compile(_OCTETS + rb"(?:;" + _OCTETS + rb")*")


def read(header: bytes | None, name: bytes) -> bytes | None:
    """Value of the first cookie of that exact name, without surrounding quotes; None where there is none."""
    if header is None or name not in header:
        return None
    for pair in header.split(b";"):
        key, mark, value = pair.strip().partition(b"=")
        if mark and key.strip() == name:
            value = value.strip()
            quoted = len(value) > 1 and value.startswith(b'"') and value.endswith(b'"')
            return value[1:-1] if quoted else value
    return None


def clean(header: bytes) -> bytes | None:
    """The Cookie header as the enricher's extractor can read it: no spaces, only parts that RFC 6265 allows."""
    packed = header.replace(b" ", b"")
    if _ALL_VALID.fullmatch(packed):
        return packed
    return b";".join(part for part in packed.split(b";") if _VALID.fullmatch(part)) or None


def origin_hosts(origin: str | None) -> list[str]:
    """Host names of all origins in an Origin header, without scheme and port."""
    return [host for one in (origin or "").split() if (host := _host(one))]


def _host(origin: str) -> str:
    authority = origin.partition("://")[2].partition("/")[0]
    return authority.partition("]")[0] + "]" if authority.startswith("[") else authority.partition(":")[0]


def domain_matches(host: str, entry: str) -> bool:
    """Whether a cookie for `entry` may be set by `host`: the same or a subdomain."""
    return host == entry or host.endswith("." + entry)


def domain(domains: Sequence[str], fallback: str | None, origin: str | None) -> str | None:
    """The first configured domain that one of the origins belongs to, else the fallback."""
    if not domains:
        return fallback
    hosts = origin_hosts(origin)
    return next((entry for entry in domains if any(domain_matches(host, entry) for host in hosts)), fallback)


class CookieWriter:
    """Set-Cookie values for the network user id."""

    def __init__(self, settings: CookieSettings) -> None:
        self._settings = settings
        # browsers drop a SameSite=None cookie that is not Secure
        secure = settings.secure or settings.same_site == "None"
        same_site = f"; SameSite={settings.same_site}" if settings.same_site else ""
        self._names = [(settings.name, ("; Secure" * secure) + ("; HttpOnly" * settings.http_only) + same_site)]
        if settings.client_cookie_name:
            self._names.append((settings.client_cookie_name, ("; Secure" * secure) + same_site))

    def keep(self, value: str, origin: str | None, now_ms: int) -> list[str]:
        """Let the browser keep this id from now on."""
        return self._write(value, origin, now_ms // 1000 + self._settings.expiration_seconds)

    def forget(self, origin: str | None, now_ms: int) -> list[str]:
        """Let the browser delete the cookies."""
        return self._write("", origin, now_ms // 1000 - self._settings.expiration_seconds)

    def _write(self, value: str, origin: str | None, expires: int) -> list[str]:
        chosen = domain(self._settings.domains, self._settings.fallback_domain, origin)
        middle = f"={value}; Expires={http_date(expires)}{f'; Domain={chosen}' if chosen else ''}; Path=/"
        return [name + middle + attributes for name, attributes in self._names]


@lru_cache(maxsize=16)
def http_date(seconds: int) -> str:
    """Unix seconds as HTTP writes them."""
    return formatdate(max(seconds, 0), usegmt=True)
