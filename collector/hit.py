"""A request as a value: bytes as they came, the headers that decisions ask for at hand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Header = tuple[bytes, bytes]

#: Headers in which a proxy tells the client's address; none of them survives anonymous tracking.
ADDRESS_HEADERS: Final = frozenset(
    (
        b"x-forwarded-for",
        b"x-forwarded",
        b"x-real-ip",
        b"forwarded",
        b"forwarded-for",
        b"cf-connecting-ip",
        b"cf-connecting-ipv6",
        b"cf-pseudo-ipv4",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-forwarded-for",
        b"x-vercel-forwarded-for",
        b"cloudfront-viewer-address",
        b"do-connecting-ip",
        b"fastly-client-ip",
        b"fly-client-ip",
        b"x-appengine-user-ip",
        b"x-azure-clientip",
        b"x-azure-socketip",
        b"x-envoy-external-address",
        b"x-nf-client-connection-ip",
        b"client-ip",
        b"proxy-client-ip",
        b"wl-proxy-client-ip",
    )
)

_ABSOLUTE: Final = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)")


@dataclass(slots=True, init=False)
class Hit:
    """One request to a tracker route.

    target: path and query as they came. query: raw text between the first `?` and `#`; None without a `?`.
    named: first value of each header by lower-case name; cookies that came in several headers are joined.
    peer: address of whoever holds the other end of the connection.
    body: None but for POST. unread: bytes of it that were too many to keep. damage: why it could not be inflated.
    """

    method: str
    target: str
    query: bytes | None
    headers: Sequence[Header]
    peer: bytes
    body: bytes | None
    unread: int
    damage: str | None
    secure: bool
    named: dict[bytes, bytes]

    def __init__(
        self,
        method: str,
        target: str,
        query: bytes | None,
        headers: Sequence[Header],
        peer: bytes,
        body: bytes | None = None,
        unread: int = 0,
        damage: str | None = None,
        *,
        secure: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.query = query
        self.headers = headers
        self.peer = peer
        self.body = body
        self.unread = unread
        self.damage = damage
        self.secure = secure
        self.named = {name.lower(): value for name, value in reversed(headers)}
        if len(self.named) != len(headers):
            _join(self.named, headers)

    @property
    def anonymous(self) -> bool:
        return b"sp-anonymous" in self.named

    @property
    def host(self) -> bytes | None:
        """Host and port that were asked for; an absolute target names them, and the header does not count then."""
        if not self.target.startswith("/"):
            absolute = _ABSOLUTE.match(self.target.encode("utf-8", "surrogateescape"))
            if absolute is not None:
                return absolute[1].rpartition(b"@")[2]
        return self.named.get(b"host")

    @property
    def head_bytes(self) -> int:
        """Size of all that is recorded beside a body."""
        return len(self.target) + sum(len(name) + len(value) for name, value in self.headers)

    @property
    def pixel(self) -> bool:
        return self.method != "POST"


def _join(named: dict[bytes, bytes], headers: Sequence[Header]) -> None:
    for name, separator in ((b"cookie", b"; "), (b"x-forwarded-for", b", "), (b"origin", b" ")):
        values = [value for key, value in headers if key.lower() == name]
        if len(values) > 1:
            named[name] = separator.join(values)


def split_target(target: bytes) -> tuple[bytes, bytes | None]:
    """Path and query of a request target, both as they came; scheme and authority of an absolute one are left out."""
    if not target.startswith(b"/") and (absolute := _ABSOLUTE.match(target)):
        target = target[absolute.end() :] or b"/"
    path, mark, query = target.partition(b"#")[0].partition(b"?")
    return path, query if mark else None
