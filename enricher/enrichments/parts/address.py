"""IP addresses as trackers and proxies write them."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_V4_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
_V6_BRACKETS = re.compile(r"\[([^\]]*)\](?::\d+)?", re.ASCII)


def literal(text: str) -> IPv4Address | IPv6Address | None:
    """The address without its port, None for anything else; IPv4 where IPv6 only wraps it. Never asks DNS."""
    found = _V4_PORT.fullmatch(text) or _V6_BRACKETS.fullmatch(text)
    try:
        address = ip_address(found.group(1) if found else text)
    except ValueError:
        return None
    wrapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if wrapped is None else wrapped
