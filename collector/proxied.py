"""Which addresses the proxy for scripts may fetch, and how they are written into its own."""

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from collector.sections import ProxySettings

_DEFAULT_PORTS = {"http": 80, "https": 443}

#: Addresses in which the last four bytes are an IPv4 address that a gateway connects to.
_NAT64 = IPv6Network("64:ff9b::/96")


class NotProxied(Exception):
    """The proxy won't fetch this; status and words of the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Targets:
    """The operator's lists: hosts, paths, ports."""

    def __init__(self, settings: ProxySettings) -> None:
        self._domains = frozenset(domain.lower() for domain in settings.domains)
        self._paths = tuple(path.strip("/") for path in settings.paths)
        self._ports = frozenset(settings.ports)

    def route(self, url: str) -> str | None:
        """`<scheme>/<host>/<path>`, the last two in base64; None for an address that the proxy would refuse."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        try:
            self.check(url)
        except NotProxied:
            return None
        return f"{scheme.lower()}/{_encode(host)}/{_encode(path if slash else '')}"

    def target(self, scheme: str, host: str, path: str) -> str:
        """The address behind a route. Raises NotProxied."""
        if scheme not in _DEFAULT_PORTS:
            raise NotProxied(400, "Unsupported proxy scheme")
        try:
            url = f"{scheme}://{_decode(host)}/{_decode(path).removeprefix('/')}"
        except (NotBase64, ValueError) as error:
            raise NotProxied(400, "Invalid proxy target") from error
        self.check(url)
        return url

    def check(self, url: str) -> None:
        """Whether this address may be fetched. Raises NotProxied."""
        # before it is taken apart: Python normalises other hosts, in time that grows with the square of their length
        plain = url.isascii() and url.isprintable() and not any(odd in url for odd in " \\")
        if not plain:
            raise NotProxied(403, "Proxy target not allowed")
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError as error:
            raise NotProxied(400, "Invalid proxy target") from error
        listed = (parts.hostname or "") in self._domains and port in self._ports
        if not (listed and "@" not in parts.netloc and self._path_listed(parts.path)):
            raise NotProxied(403, "Proxy target not allowed")

    def _path_listed(self, path: str) -> bool:
        plain = path.strip("/")
        return not self._paths or any(plain == entry or plain.endswith("/" + entry) for entry in self._paths)


def is_public(address: str) -> bool:
    """Whether an address is somewhere on the Internet: neither of this machine nor of a network behind it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inside = _inside(found) if isinstance(found, IPv6Address) else None
    return _is_public(found) and (inside is None or _is_public(inside))


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that connecting to this IPv6 address may end at."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    return (address.is_global or mapped) and not address.is_multicast and not address.is_unspecified


def _encode(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str) -> str:
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
