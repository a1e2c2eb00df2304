"""Which pages may read answers: one policy, written out for tracker routes and given to aiohttp-cors for the rest."""

from typing import Any, Final

import aiohttp_cors

from collector.sections import SecuritySettings
from collector.settings import CorsSettings

ANY: Final = "*"

#: Characters of an Origin header that may be one: a host name has at most 253.
_LONGEST: Final = 1_000

#: aiohttp-cors has no types.
_Options: Any = aiohttp_cors.ResourceOptions


class Origins:
    """The configured cross-origin policy."""

    def __init__(self, security: SecuritySettings, cors: CorsSettings) -> None:
        self._any = ANY in security.cors_allowed_origins
        self._allowed = frozenset(security.cors_allowed_origins)
        self._credentials = [("Access-Control-Allow-Credentials", "true")] if security.cors_allow_credentials else []
        self._allowed_headers = ", ".join(("Content-Type", "SP-Anonymous", *cors.extra_allowed_headers))
        self._max_age = str(cors.max_age_seconds)
        self._anonymous = [("Access-Control-Allow-Origin", ANY), *self._credentials]

    def headers(self, origin: str | None) -> list[tuple[str, str]]:
        """What lets the page of this Origin header read the answer; of several origins the first counts."""
        first = origin.split(None, 1)[:1] if origin and len(origin) <= _LONGEST else []
        if self._any:
            return [("Access-Control-Allow-Origin", first[0]), *self._credentials] if first else self._anonymous
        if first and first[0].lower() in self._allowed:
            return [("Access-Control-Allow-Origin", first[0]), *self._credentials, ("Vary", "Origin")]
        return [("Vary", "Origin")]

    def preflight(self, origin: str | None) -> list[tuple[str, str]]:
        """Headers of the answer to a preflight: all headers that are allowed, so that one answer serves every page."""
        return [
            *self.headers(origin),
            ("Access-Control-Allow-Headers", self._allowed_headers),
            ("Access-Control-Max-Age", self._max_age),
        ]

    def resource_options(self) -> dict[str, Any]:
        """The same policy for aiohttp-cors."""
        options = _Options(
            allow_credentials=bool(self._credentials),
            expose_headers="*",
            allow_headers=[name.strip() for name in self._allowed_headers.split(",")],
        )
        return dict.fromkeys(self._allowed, options)
