"""Where a click is sent on to, and where a browser is sent to show whether it keeps cookies."""

import re
from urllib.parse import quote, urlsplit

from collector.hit import Hit
from collector.queries import last_parameter
from collector.settings import CollectorSettings

ANYWHERE = "*"

#: What would end the header or can't stand in it.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")
_UNWRITABLE = re.compile(r"[^!-~]+")

#: Schemes that lead to no place, the one of a relative target among them; others open apps.
_NOWHERE = ("", "javascript", "vbscript", "data")

#: Characters of host, port and user of a target. Python normalises what is not ASCII there, in time that grows with the
#: square of its length; no host name has more than 253.
_LONGEST_AUTHORITY = 1_000

_AUTHORITY = re.compile(r"(?:[^:/?#]*:)?//([^/?#]*)")

_ABSOLUTE = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://([^/?]*)")


class Redirects:
    """Targets of `/r/…?u=<url>`; only hosts that the operator lists."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._anywhere = ANYWHERE in settings.redirect_domains
        self._hosts = frozenset(host.lower() for host in settings.redirect_domains)
        self._macro = settings.redirect_macro

    def target(self, query: bytes | None, network_userid: str) -> str | None:
        """The `Location`, decoded once and otherwise as it came; None where there is none or it is not allowed."""
        target = (last_parameter(query, "u") or "").strip()
        if self._macro.enabled:  # before the target is judged: an id that was made up could name another host
            target = target.replace(self._macro.placeholder, network_userid)
        if not target or _FORBIDDEN.search(target) or not self._allowed(target):
            return None
        return _writable(target)

    def _allowed(self, target: str) -> bool:
        authority = _AUTHORITY.match(target)
        if authority and len(authority[1]) > _LONGEST_AUTHORITY:
            return False
        try:
            parts = urlsplit(target)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return self._anywhere and parts.scheme not in _NOWHERE
        # browsers read a backslash as a slash: what follows it could be another host
        if not host or "\\" in parts.netloc:
            return False
        return self._anywhere or host in self._hosts


def _writable(target: str) -> str:
    """Headers are Latin-1 at best: other characters are percent-encoded, everything else stays."""
    return _UNWRITABLE.sub(lambda found: quote(found[0]), target)


def bounce_location(target: str, name: str) -> str:
    """The request's own address with the parameter that marks the second attempt."""
    separator = "" if target.endswith(("?", "&")) else "&" if "?" in target else "?"
    return f"{target}{separator}{name}=true"


def _divided(target: str) -> tuple[str, str | None, str]:
    """Scheme, and host with port, of an absolute request target, and what follows them."""
    absolute = _ABSOLUTE.match(target)
    return (absolute[1].lower(), absolute[2], target[absolute.end() :]) if absolute else ("", None, target)


def own_address(hit: Hit, protocol_header: str | None) -> str:
    """What to bounce to: the request target, with a scheme only when a proxy tells which one the client used."""
    own, authority, path = _divided(hit.target.partition("#")[0])
    if protocol_header is None:
        return path if authority is None else f"//{authority}{path}"
    authority = authority or hit.named.get(b"host", b"").decode("latin-1")
    if not authority:
        return path
    said = hit.named.get(protocol_header.lower().encode(), b"").decode("latin-1").lower()
    known = (scheme for scheme in (said, own) if scheme in ("http", "https"))
    scheme = next(known, "https" if hit.secure else "http")
    return f"{scheme}://{authority}{path}"
