"""Where a client is: its address out of the headers that proxies set, as far as they are trusted."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

from collector.hit import ADDRESS_HEADERS, Header, Hit
from collector.settings import ClientIpSettings

UNKNOWN: Final = b"unknown"

_FORWARDED_FOR: Final = b"x-forwarded-for"

#: Headers from which readers of the record take the client's address again, before the one that was recorded.
_READ_AGAIN: Final = frozenset((_FORWARDED_FOR, b"forwarded"))

#: Bytes of an address with port, brackets and zone; longer texts are none, and are not remembered.
_LONGEST: Final = 80


class ClientAddress:
    """Finds the client's address, and drops from the record what the client could have made up."""

    def __init__(self, settings: ClientIpSettings) -> None:
        self._names = [name.lower().encode() for name in settings.headers]
        self._hops = settings.trusted_hops
        #: Every header that may tell an address, by lower-case name.
        self.telling = ADDRESS_HEADERS.union(self._names)

    def find(self, hit: Hit) -> bytes:
        """In plain text, IPv6 compressed and without brackets; `unknown` where a proxy says so or nobody knows."""
        if self._hops != 0:
            for name in self._names:
                value = hit.named.get(name)
                if value is not None and (found := _address(self._chosen(name, value, hit.headers))) is not None:
                    return found
        return _address(hit.peer) or UNKNOWN

    @property
    def keeps_headers(self) -> bool:
        """Whether all that came in address headers may be recorded.

        Without a number of hops nothing is known of them; where the address comes from another header, others would
        still win over it.
        """
        return self._hops is None and self._names[:1] == [_FORWARDED_FOR]

    def kept(self, headers: Sequence[Header]) -> list[Header]:
        """What may be recorded: readers of the record take the first address in it for the client's.

        Of the trusted hops one header is made, however many they came in.
        """
        if self._hops is None:
            return [header for header in headers if header[0].lower() not in _READ_AGAIN]
        found: list[Header] = []
        written = set()
        for header in headers:
            name = header[0].lower()
            if name not in self.telling:
                found.append(header)
            elif self._hops and name in self._names and name not in written:
                written.add(name)
                found.append((header[0], b", ".join(_hops(name, headers)[-self._hops :])))
        return found

    def _chosen(self, name: bytes, value: bytes, headers: Sequence[Header]) -> bytes:
        if self._hops is None:
            return value.partition(b",")[0]
        hops = _hops(name, headers)
        return hops[max(0, len(hops) - self._hops)]


def _hops(name: bytes, headers: Sequence[Header]) -> list[bytes]:
    """All that proxies and whoever came before them have written into the headers of this lower-case name."""
    return [hop.strip() for key, value in headers if key.lower() == name for hop in value.split(b",")]


def _address(text: bytes) -> bytes | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]:80`, in canonical form; None where there is none."""
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=8192)
def _parsed(text: bytes) -> bytes | None:
    plain = text.strip().strip(b'"')
    if plain.lower() == UNKNOWN:
        return UNKNOWN
    if plain.startswith(b"["):
        plain = plain[1:].partition(b"]")[0]
    elif plain.count(b":") == 1:
        plain = plain.partition(b":")[0]
    try:
        address = ip_address(plain.decode("ascii").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address).encode()
