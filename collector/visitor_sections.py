"""Sections of `collector` about visitors: how they are known again, and who wants to be unknown."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from collector.sections import HeaderText, Token
from shared.settings import Section


class CookieSettings(Section):
    enabled: bool = True
    """Set and read the cookie with the network user id."""
    name: Token = "sp"
    """Name of the cookie."""
    expiration_seconds: int = Field(default=31_536_000, ge=0, le=10_000_000_000)
    """How long a browser keeps the cookie after the last request; the default is 365 days."""
    domains: tuple[str, ...] = ()
    """The first of these that an origin of the request equals or ends with becomes the cookie's domain."""
    fallback_domain: str | None = None
    """Domain of the cookie when none of `domains` fits; unset: the host that was asked."""
    secure: bool = True
    """The browser sends the cookie over HTTPS only; forced when `same_site` is `None`, as browsers demand."""
    http_only: bool = True
    """Scripts can't read the cookie."""
    same_site: Literal["None", "Lax", "Strict"] | None = "None"
    """When a browser sends the cookie along with requests from other sites; null leaves the attribute out."""
    client_cookie_name: Token | None = None
    """Name of a second cookie with the same id that scripts can read; null: none."""

    @field_validator("fallback_domain")
    @classmethod
    def _one_domain(cls, value: str | None) -> str | None:
        if value and (found := re.search(r"[^A-Za-z0-9.-]", value)):
            raise ValueError(f"contains invalid character {found[0]!r}: expected one domain")
        return value

    @field_validator("same_site", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.capitalize() if isinstance(value, str) else value


class CookieBounceSettings(Section):
    enabled: bool = False
    """Redirect a pixel request without id once to itself, to learn whether the browser keeps cookies."""
    name: str = Field(default="n3pc", pattern=r"^[A-Za-z0-9._~-]+$")
    """Query parameter that marks the second request."""
    fallback_network_userid: HeaderText = "00000000-0000-4000-A000-000000000000"
    """Id of all visitors whose browser keeps no cookie."""
    forwarded_protocol_header: str | None = None
    """Header in which your proxy says `http` or `https`; set, the redirect is absolute and has that scheme."""


class DoNotTrackCookieSettings(Section):
    enabled: bool = False
    """Keep nothing of requests that carry the cookie below."""
    name: str = ""
    """Name of the cookie by which a visitor opts out."""
    value: str = ""
    """Regular expression that must match the whole value of that cookie."""

    @field_validator("value")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"expected a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _has_name(self) -> "DoNotTrackCookieSettings":
        if self.enabled and not self.name:
            raise ValueError("expected the name of the cookie when do_not_track_cookie is enabled")
        return self


class P3pSettings(Section):
    enabled: bool = True
    """Send the P3P header, which some old browsers want before they keep a third-party cookie."""
    policy_ref: HeaderText = "/w3c/p3p.xml"
    """Address of the policy in that header."""
    cp: HeaderText = "NOI DSP COR NID PSA OUR IND COM NAV STA"
    """The compact policy in that header."""
