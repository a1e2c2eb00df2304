"""Who a request comes from: the network user id, anonymity, do-not-track, and the cookies that follow from it."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from collector import cookies
from collector.hit import Hit
from collector.queries import parameter
from collector.sections import UUID
from collector.settings import CollectorSettings
from collector.visitor_sections import DoNotTrackCookieSettings
from shared.identity import NewId

#: Network user id of everybody who asks to be anonymous.
NOBODY: Final = "00000000-0000-0000-0000-000000000000"

#: Where an id came from; `bounced`: from the configuration, since the browser keeps no cookie.
Source = Literal["anonymous", "query", "cookie", "bounced", "new"]


@dataclass(slots=True, init=False)
class Visitor:
    """network_userid: the id to record and to keep in the cookie. opted_out: the do-not-track cookie matched."""

    network_userid: str
    source: Source
    opted_out: bool
    set_cookies: list[str]

    def __init__(self, network_userid: str, source: Source, opted_out: bool, set_cookies: list[str]) -> None:
        self.network_userid = network_userid
        self.source = source
        self.opted_out = opted_out
        self.set_cookies = set_cookies


class Visitors:
    """Recognises visitors by the configured rules."""

    def __init__(self, settings: CollectorSettings, new_id: NewId) -> None:
        self._cookie = settings.cookie
        self._cookie_name = settings.cookie.name.encode()
        self._bounce = settings.cookie_bounce
        self._validate = settings.validate_network_userid
        rules = settings.do_not_track_cookie
        self._do_not_track = rules if rules.enabled else None
        self._writer = cookies.CookieWriter(settings.cookie)
        self._new_id = new_id

    def recognise(self, hit: Hit, now_ms: int) -> Visitor:
        """The visitor behind a request at this time, Unix milliseconds."""
        header = hit.named.get(b"cookie")
        known = cookies.read(header, self._cookie_name) if self._cookie.enabled else None
        network_userid, source = self._identify(hit, known)
        opted_out = self._do_not_track is not None and do_not_track(self._do_not_track, header)
        return Visitor(
            network_userid, source, opted_out, self._set_cookies(hit, known, network_userid, opted_out, now_ms)
        )

    def _identify(self, hit: Hit, known: bytes | None) -> tuple[str, Source]:
        if hit.anonymous:
            return NOBODY, "anonymous"
        query = self._valid(parameter(hit.query, "nuid"))
        if query is not None:
            return query, "query"
        cookie = self._valid(known.decode("latin-1") if known is not None else None)
        if cookie is not None:
            return cookie, "cookie"
        if self._bounce.enabled and parameter(hit.query, self._bounce.name) is not None:
            return self._bounce.fallback_network_userid, "bounced"
        return self._new_id(), "new"

    def _valid(self, candidate: str | None) -> str | None:
        return valid_id(candidate) if self._validate else printable_id(candidate)

    def _set_cookies(
        self, hit: Hit, known: bytes | None, network_userid: str, opted_out: bool, now_ms: int
    ) -> list[str]:
        if not self._cookie.enabled or opted_out:
            return []
        origin_bytes = hit.named.get(b"origin")
        origin = origin_bytes.decode("latin-1") if origin_bytes is not None else None
        if hit.anonymous:
            return self._writer.forget(origin, now_ms) if known is not None else []
        return self._writer.keep(network_userid, origin, now_ms)


def valid_id(candidate: str | None) -> str | None:
    """The id if it is a UUID: anything else makes the enricher refuse the whole payload."""
    return candidate if candidate is not None and UUID.fullmatch(candidate) else None


def printable_id(candidate: str | None) -> str | None:
    """The id if it can stand in a cookie as it is."""
    return candidate if candidate and re.fullmatch(r"[!#-+\--:<-\[\]-~]+", candidate) else None


def do_not_track(settings: DoNotTrackCookieSettings, header: bytes | None) -> bool:
    """Whether the visitor carries the cookie by which the operator lets people opt out."""
    value = cookies.read(header, settings.name.encode())
    return value is not None and re.fullmatch(settings.value, value.decode("latin-1")) is not None
