"""URLs that java.net.URI refuses, encoded anew the way Snowplow's second parser (scala-uri) does."""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from enricher.values import decoded

_SPLIT: Final = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.\-]*:)?)(//[^/?#]*)?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_AUTHORITY: Final = re.compile(r"//(?:([^:?\[\]@]*)(?::([^@]*))?@)?(\[[^\]]*\]|[^:]*)(:[0-9]+)?")
_SAFE: Final = re.compile(r"[A-Za-z0-9\-._~+]*")


def relax(text: str) -> str | None:
    """Decode user and password, each path segment, query name, query value and the fragment, then encode all but the
    safest characters. None where a port is no number."""
    match = _SPLIT.fullmatch(text)
    if match is None:
        return text
    scheme, authority, path, query, fragment = match.groups()
    front = "" if authority is None else _relax_authority(authority)
    if front is None:
        return None
    encoded = scheme + front + "/".join(map(_recode, path.split("/")))
    if query is not None:
        encoded += "?" + "&".join("=".join(map(_recode, pair.split("=", 1))) for pair in query.split("&"))
    return encoded if fragment is None else f"{encoded}#{_recode(fragment)}"


def _relax_authority(text: str) -> str | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    user, password, host, port = match.groups()
    server = host + (port or "")
    if user is None:
        return f"//{server}"
    return f"//{_recode(user)}@{server}" if password is None else f"//{_recode(user)}:{_recode(password)}@{server}"


def _recode(text: str) -> str:
    if _SAFE.fullmatch(text):
        return text
    return quote(decoded(unquote_to_bytes(text.encode("utf-8", "replace"))), safe="+", errors="replace")
