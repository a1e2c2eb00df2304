"""`format`: which ones are asserted, and what each accepts.

The set and its leniency are those of the validator inside Snowplow's Iglu client, but for `uri`: there a tracker's URL
with an unclean query, or letters beyond ASCII, costs the event. An unknown format accepts everything. Every check is a
full match.
"""

import ipaddress
import re
from calendar import monthrange
from collections.abc import Callable
from typing import Final

from jsonschema import FormatChecker

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_PLAIN_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ATOM: Final = r"""[^\s@,;:<>()\[\]\\".]+"""
_MAILBOX: Final = rf"""(?=[^@]{{1,64}}@){_ATOM}(?:[.]{_ATOM})*|"[^"]+\""""
_MAIL_LABEL: Final = r"[^\s@._-](?:[^\s@._]{0,61}[^\s@._-])?"
_MAIL_TOP: Final = r"(?:[^\s@._0-9-]{2,63}|xn--[A-Za-z0-9-]{1,59})"
_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_ZONE: Final = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?"
_EVERYDAY: Final = (
    "[1-9][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_DATE = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])-([0-3][0-9])")
_DATE_TIME = re.compile(f"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[Tt ](?:{_CLOCK}|[0-2][0-9]:59:60){_ZONE}")
_CSS_COLORS: Final = (
    "aqua|black|blue|fuchsia|gray|green|lime|maroon|navy|olive|orange|purple|red|silver|teal|white|yellow"
)

UUID_PATTERN: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
URI_PATTERN: Final = r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:|//)[^ \t\n\x0b\f\r]*"

#: Format → pattern of the values it accepts.
PATTERNS: Final[dict[str, str]] = {
    "alpha": "[a-zA-Z]+",
    "alphanumeric": "[a-zA-Z0-9]+",
    "color": f"#?[0-9A-Fa-f]{{3,6}}|{_CSS_COLORS}|rgb\\([0-9%, ]+\\)",
    "email": rf"\s*(?:{_MAILBOX})@(?:(?:{_MAIL_LABEL}[.])+{_MAIL_TOP}|\[{_OCTET}(?:[.]{_OCTET}){{3}}\])\s*",
    "hostname": f"{_LABEL}(?:[.]{_LABEL})*",
    "ip-address": f"{_OCTET}(?:[.]{_OCTET}){{3}}",
    "ipv4": f"{_PLAIN_OCTET}(?:[.]{_PLAIN_OCTET}){{3}}",
    "phone": r"\+(?:[0-9] ?){6,14}[0-9]",
    "style": r"\s*.+?:\s*[^;]+;?",
    "time": "[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]+)?",
    "uri": URI_PATTERN,
    "utc-millisec": "[0-9]+(?:[.]?[0-9]+)?",
    "uuid": UUID_PATTERN,
}

_MESSAGE_OCTET: Final = "([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
_MESSAGE_LABEL: Final = r"([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])"

#: Format → the pattern that upstream's message quotes, where it is another one.
QUOTED: Final = {
    "alpha": "^[a-zA-Z]+$",
    "alphanumeric": "^[a-zA-Z0-9]+$",
    "hostname": rf"^{_MESSAGE_LABEL}(\.{_MESSAGE_LABEL})*$",
    "ip-address": rf"^(?:{_OCTET}\.){{3}}{_OCTET}$",
    "ipv4": rf"^({_MESSAGE_OCTET}\.){{3}}{_MESSAGE_OCTET}$",
    "phone": r"^\+(?:[0-9] ?){6,14}[0-9]$",
    "style": r"\s*(.+?):\s*([^;]+);?",
    "time": r"^\d{2}:\d{2}:\d{2}(?:\.\d+)?$",
    "uri": (
        r"^[A-Za-z][A-Za-z0-9+.-]*:(\/\/([A-Za-z0-9._~\-%!$&'()*+,;=:]*@)?[A-Za-z0-9._~\-!$&'()*+,;=%:\[\]]*"
        r"(:[0-9]*)?)?[A-Za-z0-9._~\-%!$&'()*+,;=:@\/]*([?][A-Za-z0-9._~\-%!$&'()*+,;=:@\/?]*)?"
        r"([#][A-Za-z0-9._~\-%!$&'()*+,;=:@\/?]*)?"
    ),
    "utc-millisec": r"^[0-9]+(\.?[0-9]+)?$",
}

#: Formats whose check the fast engine gets as a pattern, which is cheaper there than a call back into Python.
#: Each pattern accepts a subset of what the check accepts (date-time: all but 29 February and leap seconds).
FAST_PATTERNS: Final[dict[str, str]] = {
    "uuid": f"^{UUID_PATTERN}$",
    "uri": f"^{URI_PATTERN}$",
    "date-time": f"^{_EVERYDAY}[Tt]{_CLOCK}{_ZONE}$",
}

#: The fast patterns that accept exactly what the check accepts.
EXACT: Final = frozenset({"uuid", "uri"})


def is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(part) for part in match.groups())
    return 1 <= day <= monthrange(year or 2000, month)[1]


def is_date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    return match is not None and is_date(match[1])


def is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def is_style(text: str) -> bool:
    """What its pattern says, without trying every colon: the first one behind all declarations but the last decides.

    A line break that begins the text is passed over, but can't be all of the name."""
    body = text.removesuffix(";")
    colon = text.find(":", max(body.rfind(";"), 0) + 1)
    if colon > 0 and text[:colon].isspace() and text[colon - 1] == "\n":
        colon = text.find(":", colon + 1)
    return 0 < colon < len(body) - 1 and "\n" not in text[:colon].lstrip(" \t\n\r\f\v")


def _matcher(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


#: Format → whether a text has it.
CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "date": is_date,
    "date-time": is_date_time,
    "ipv6": is_ipv6,
    **{name: _matcher(pattern) for name, pattern in PATTERNS.items()},
    "style": is_style,
    # as its pattern, but for the two ways in which that reads digits without a point: it would try all of them
    "utc-millisec": _matcher("[0-9]+(?:[.][0-9]+)?"),
}


def _checks_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or check(value)


def format_checker() -> FormatChecker:
    """jsonschema's view of the same checks, and of no others."""
    checker = FormatChecker(formats=())
    for name, check in CHECKS.items():
        checker.checks(name)(_checks_text(check))
    return checker
