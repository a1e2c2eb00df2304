"""Who may use the embedded server: one user, and pages of one's own machine."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Refused(Exception):
    """The request must not run; `text` is the error as a server words it."""

    def __init__(self, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.headers = headers or {}


@dataclass(frozen=True)
class Access:
    """The one user of the server, and the web pages that may talk to it.

    origins: beside pages on the loopback; `*` for all. Any other page is refused even where it could not read the
    answer: a page must not drop tables behind the user's back.
    """

    username: str
    password: str = field(repr=False)
    origins: Sequence[str] = ()

    def check(self, request: web.Request) -> None:
        """Raises Refused."""
        origin = request.headers.get("Origin")
        if origin is not None and not self._allows(origin):
            raise Refused(f"Code: 497. DB::Exception: Pages of {origin} have no access. (ACCESS_DENIED)")
        user, password, given = _credentials(request)
        if not (_same(user, self.username) and _same(password, self.password)):
            challenge = {} if given else {"WWW-Authenticate": 'Basic realm="ClickHouse server HTTP API"'}
            code, name = (516, "AUTHENTICATION_FAILED") if given else (194, "REQUIRED_PASSWORD")
            raise Refused(
                f"Code: {code}. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no "
                f"user with such name. ({name})",
                challenge,
            )

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        if origin is None or not self._allows(origin):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-ClickHouse-User, "
            "X-ClickHouse-Key, X-ClickHouse-Database, X-ClickHouse-Format",
            "Access-Control-Expose-Headers": "X-ClickHouse-Summary, X-ClickHouse-Query-Id, X-ClickHouse-Format, "
            "X-ClickHouse-Exception-Code, X-ClickHouse-Timezone",
            "Access-Control-Max-Age": "86400",
            "Vary": "Origin",
        }

    def _allows(self, origin: str) -> bool:
        return "*" in self.origins or origin in self.origins or urlsplit(origin).hostname in _LOOPBACK


def _credentials(request: web.Request) -> tuple[str, str, bool]:
    headers, query = request.headers, request.query
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", ""), True
    kind, _, encoded = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", "", True
        return user or "default", password, True
    given = "user" in query or "password" in query
    return query.get("user", "default"), query.get("password", ""), given


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
