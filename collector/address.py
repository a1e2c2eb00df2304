"""Where a client is: its address out of the headers that proxies set, as far as they are trusted."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from collector.hit import ADDRESS_HEADERS, Header
from collector.settings import ClientIpSettings

UNKNOWN = b"unknown"

#: Bytes of an address with port, brackets and zone; longer texts are none, and are not remembered.
_LONGEST = 80


class ClientAddress:
    """Finds the client's address, and drops from the record what the client could have made up."""

    def __init__(self, settings: ClientIpSettings) -> None:
        self._names = [name.lower().encode() for name in settings.headers]
        self._hops = settings.trusted_hops

    def find(self, named: Mapping[bytes, bytes], peer: bytes) -> bytes:
        """In plain text, IPv6 compressed and without brackets; `unknown` where a proxy says so or nobody knows."""
        if self._hops != 0:
            for name in self._names:
                value = named.get(name)
                if value is not None and (found := _address(self._chosen(value))) is not None:
                    return found
        return _address(peer) or UNKNOWN

    @property
    def keeps_headers(self) -> bool:
        """Whether all that came in address headers may be recorded: without a number of hops nothing is known."""
        return self._hops is None

    def kept(self, header: Header) -> Header | None:
        """The header as it may be recorded: readers of the record take the first address in it for the client's."""
        name = header[0].lower()
        if name not in ADDRESS_HEADERS and name not in self._names:
            return header
        if not self._hops or name not in self._names:
            return None
        return header[0], b", ".join(_hops(header[1])[-self._hops :])

    def _chosen(self, value: bytes) -> bytes:
        if self._hops is None:
            return value.partition(b",")[0]
        hops = _hops(value)
        return hops[max(0, len(hops) - self._hops)]


def _hops(value: bytes) -> list[bytes]:
    return [hop.strip() for hop in value.split(b",")]


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
