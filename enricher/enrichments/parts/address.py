"""IP addresses as trackers and proxies write them."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_V4_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
_V6_BRACKETS = re.compile(r"\[([^\]]*)\](?::\d+)?", re.ASCII)


def literal(text: str) -> IPv4Address | IPv6Address | None:
    """The address without its port, None for anything else. Never asks DNS."""
    found = _V4_PORT.fullmatch(text) or _V6_BRACKETS.fullmatch(text)
    try:
        return ip_address(found.group(1) if found else text)
    except ValueError:
        return None
