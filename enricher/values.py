"""Tracker parameters into column texts, with the answers that Java's own parsers give.

Each function returns the text of the column ("" is null) or a Refused that says why, in the words of Snowplow 6.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from enricher.remembered import remembered


@dataclass(slots=True, init=False)
class Refused:
    """Why a text is no value of its column's kind."""

    message: str

    def __init__(self, message: str) -> None:
        self.message = message


Converted = str | Refused

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
#: Decimal digits of any script, as far as Java's 16 bits a character reach.
_DIGIT: Final = r"(?:(?![\U00010000-\U0010ffff])\d)"
_INTEGER: Final = re.compile(f"[+-]?{_DIGIT}+")
_DECIMAL: Final = re.compile(rf"[+-]?(?:{_DIGIT}+(?:\.{_DIGIT}*)?|\.{_DIGIT}+)(?:[eE]([+-]?{_DIGIT}+))?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LOWER_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIMENSIONS: Final = re.compile(r"([0-9]+)x([0-9]+)")
#: Digits beyond which no number of a column can lie; Python refuses to read very long ones.
_LONGEST_INTEGER: Final = 300
_IP_END: Final = re.compile(r"[,| ]")

#: Digits a decimal may print as; upstream has no bound and can be made to exhaust its memory.
_LONGEST_DECIMAL: Final = 1000

EVENT_TYPES: Final = {
    "se": "struct",
    "ev": "struct",
    "ue": "unstruct",
    "ad": "ad_impression",
    "tr": "transaction",
    "ti": "transaction_item",
    "pv": "page_view",
    "pp": "page_ping",
}
PLATFORMS: Final = {name: name for name in ("web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset")}

_NOT_AN_EVENT_TYPE: Final = Refused("Not a valid event type")
_NOT_A_PLATFORM: Final = Refused("Not a valid platform")
_NOT_AN_INTEGER: Final = Refused("Cannot be converted to java.lang.Integer")
_NOT_A_BOOLEAN: Final = Refused("Cannot be converted to Boolean-like java.lang.Byte")
_NOT_A_UUID: Final = Refused("Not a valid UUID")
_NOT_MILLISECONDS: Final = Refused("Not in the expected format: ms since epoch")
_NOT_DIMENSIONS: Final = Refused(r"Does not conform to regex (\d+)x(\d+)")
_DIMENSIONS_TOO_LARGE: Final = Refused("Could not be converted to java.lang.Integer s")


#: Half a pair of UTF-16 units that was encoded by itself; no byte of another character can be the first of it.
_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]?")
_UTF_8: Final = frozenset(("utf-8", "utf8", "utf_8"))


def decoded(data: bytes, charset: str = "utf-8") -> str:
    """With U+FFFD for what is malformed; such a half is one, as in Java, where Python counts its bytes."""
    text = data.decode(charset, "replace")
    if "\ufffd" in text and charset.lower() in _UTF_8:
        return _HALF.sub(b"\xff", data).decode("utf-8", "replace")
    return text


def tsv_safe(text: str) -> str:
    """Without control characters: a tab becomes four spaces, the others go. Nothing is trimmed."""
    return text if text.isprintable() else _CONTROLS.sub("", text.replace("\t", "    "))


def user_agent(header: str) -> str:
    """The header's weaker cleaning: line ends vanish, tabs become four spaces."""
    return header if header.isprintable() else header.replace("\r", "").replace("\n", "").replace("\t", "    ")


def event_type(text: str) -> Converted:
    return EVENT_TYPES.get(text, _NOT_AN_EVENT_TYPE)


def platform(text: str) -> Converted:
    return PLATFORMS.get(text, _NOT_A_PLATFORM)


def ip_address(text: str) -> str:
    """The first of several addresses; whether it is one at all is not checked."""
    return tsv_safe(_IP_END.split(text, maxsplit=1)[0])


def _is_plain(text: str) -> bool:
    """Digits that any 32 bits hold and that print as they are: nearly all numbers that come."""
    return len(text) < 10 and text.isdigit() and text.isascii() and (text[0] != "0" or text == "0")


def integer(text: str) -> Converted:
    """32 bits, as Integer.parseInt reads them; the word `null` is null (old JavaScript trackers send it)."""
    if _is_plain(text):
        return text
    if len(text) > _LONGEST_INTEGER or _INTEGER.fullmatch(text) is None:
        return "" if text.lower() == "null" else _NOT_AN_INTEGER
    value = int(text)
    return str(value) if -(2**31) <= value < 2**31 else _NOT_AN_INTEGER


def decimal(text: str) -> Converted:
    """As BigDecimal reads and prints it: trailing zeros stay, `1.2E9` is written out, `0.0000001` is `1E-7`."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return "" if text.lower() == "null" else _not_a_decimal(_jdk_complaint(_BEYOND_16_BITS.sub("??", text)))
    complaint = _exponent_complaint(match[1]) if match[1] else None
    return _not_a_decimal(complaint) if complaint else _print_decimal(text)


def _print_decimal(text: str) -> Converted:
    sign, digits, places = Decimal(text).as_tuple()
    exponent = int(places)  # its pattern admits no infinity
    if exponent < -_LARGEST_SCALE:
        return _not_a_decimal("Scale out of range.")
    if not any(digits):
        sign, exponent = 0, min(exponent, 0)
    if len(digits) + max(exponent, 0) > _LONGEST_DECIMAL:
        return _not_a_decimal("Too many nonzero exponent digits.")
    if exponent > 0:
        digits, exponent = digits + (0,) * exponent, 0
    return str(Decimal((sign, digits, exponent)))


def _not_a_decimal(complaint: str) -> Refused:
    return Refused(f"Cannot be converted to java.math.BigDecimal. Error : {complaint}")


#: Texts up to this length after the sign go through BigDecimal's short way, which names the offending character.
_COMPACT: Final = 18

#: Most digits behind the point that a BigDecimal counts.
_LARGEST_SCALE: Final = 2**31 - 1

#: As many digits an exponent may have, leading zeros beyond these aside.
_EXPONENT: Final = 10

_ASCII_DIGITS: Final = re.compile("[0-9]*")

#: Each is two units in Java, neither of them a digit or printable.
_BEYOND_16_BITS: Final = re.compile("[\U00010000-\U0010ffff]")


def _jdk_complaint(text: str) -> str:
    """What JDK 17 says of UTF-16 units that are no decimal."""
    if not text:
        return "null"
    rest = text[1:] if text[0] in "+-" else text
    skipped = _ASCII_DIGITS.match(rest)  # one by one, a million takes seconds
    start, dots = skipped.end() if skipped is not None else 0, 0
    for position, character in enumerate(rest[start:], start):
        if character == ".":
            dots += 1
            if dots > 1:
                return "Character array contains more than one decimal point."
        elif character in "eE":
            return _exponent_complaint(rest[position + 1 :]) or "No digits found."
        elif not character.isdecimal():
            if len(rest) > _COMPACT:
                return 'Character array is missing "e" notation exponential mark.'
            return (
                f"Character {character} is neither a decimal digit number, decimal point, "
                'nor "e" notation exponential mark.'
            )
    return "No digits found."


def _exponent_complaint(text: str) -> str | None:
    """In the JDK's order: how many digits there are, whether they are any, what they say. Behind the end is `null`."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits:
        return "null"
    zeros = min(len(digits) - len(digits.lstrip("0")), max(0, len(digits) - _EXPONENT))
    while len(digits) - zeros > _EXPONENT and digits[zeros].isdecimal() and int(digits[zeros]) == 0:
        zeros += 1
    digits = digits[zeros:]
    if len(digits) > _EXPONENT:
        return "Too many nonzero exponent digits."
    if not digits.isdecimal():
        return "Not a digit."
    exponent = -int(digits) if text[0] == "-" else int(digits)
    return None if -(2**31) <= exponent < 2**31 else "Exponent overflow."


def double_like(text: str) -> Converted:
    """For webhooks: a decimal in plain notation; exactly `null` is null."""
    if text == "null":
        return ""
    match = _DECIMAL.fullmatch(text)
    if match is None or len((match[1] or "").lstrip("+-")) > 4 or len(text) > _LONGEST_DECIMAL:
        return Refused("Cannot be converted to Double-like")
    value = Decimal(text)
    return format(value or abs(value), "f")


def boolean(text: str) -> Converted:
    return text if text in ("0", "1") else _NOT_A_BOOLEAN


def uuid(text: str) -> Converted:
    """Only the canonical form, in any case; the column has it in lower case, as nearly all come."""
    if _LOWER_UUID.fullmatch(text):
        return text
    return text.lower() if _UUID.fullmatch(text) else _NOT_A_UUID


def lenient_uuid(text: str) -> str | None:
    """What java.util.UUID.fromString makes of five groups of 63 bits: `1-1-1-1-1` is a UUID to it, `+1` a group."""
    if _LOWER_UUID.fullmatch(text):
        return text
    groups = text.split("-")
    if len(text) > 36 or len(groups) != 5 or not all(re.fullmatch(r"\+?[0-9a-fA-F]+", group) for group in groups):
        return None
    numbers = [int(group, 16) for group in groups]
    if max(numbers) >= 2**63:
        return None
    widths = (8, 4, 4, 4, 12)
    return "-".join(f"{number & (1 << 4 * width) - 1:0{width}x}" for number, width in zip(numbers, widths, strict=True))


@remembered(8192)
def dimensions(text: str) -> tuple[str, str] | Refused:
    """`1920x1080`, both parts in 32 bits."""
    match = _DIMENSIONS.fullmatch(text)
    if match is None:
        return _NOT_DIMENSIONS
    width, height = match.groups()
    if _is_plain(width) and _is_plain(height):
        return width, height
    width, height = integer(width), integer(height)
    if isinstance(width, Refused) or isinstance(height, Refused):
        return _DIMENSIONS_TOO_LARGE
    return width, height


def timestamp(text: str) -> Converted:
    """Unix milliseconds into `yyyy-MM-dd HH:mm:ss.SSS`, UTC; only the years 0 to 9999 fit a warehouse."""
    if len(text) == 13 and text.isascii() and text.isdigit():
        return f"{_to_the_second(int(text[:10]))}.{text[10:]}"
    if len(text) > _LONGEST_INTEGER or _INTEGER.fullmatch(text) is None:
        return _NOT_MILLISECONDS
    milliseconds = int(text)
    if not -(2**63) <= milliseconds < 2**63:
        return _NOT_MILLISECONDS
    formatted = format_timestamp(milliseconds)
    return formatted if fits_warehouse(formatted) else Refused(f"Formatting as {formatted} is not Redshift-compatible")


def fits_warehouse(formatted: str) -> bool:
    """Whether the year of a formatted timestamp has exactly four digits and no sign."""
    return len(formatted) == 23 and formatted[0] != "-"


MILLISECONDS: Final = [f".{number:03d}" for number in range(1000)]


def format_timestamp(milliseconds: int) -> str:
    return _to_the_second(milliseconds // 1000) + MILLISECONDS[milliseconds % 1000]


_YEARS_400: Final = 146_097 * 86_400


@lru_cache(maxsize=8192)
def _to_the_second(seconds: int) -> str:
    """Python's calendar starts with year 1; the Gregorian one repeats every 400 years."""
    cycles, within = divmod(seconds, _YEARS_400)
    moment = datetime.fromtimestamp(within, UTC)
    year = moment.year + 400 * cycles
    sign, year = ("-", -year) if year < 0 else ("", year)
    return f"{sign}{year:04d}-{moment:%m-%d %H:%M:%S}"


def parse_timestamp(formatted: str) -> int:
    """Unix milliseconds of a column's text; ValueError where it is none."""
    return _parse_seconds(formatted[:19]) * 1000 + int(formatted[20:])


@lru_cache(maxsize=8192)
def _parse_seconds(formatted: str) -> int:
    cycles, year = divmod(int(formatted[:4]) - 2000, 400)
    moment = datetime.fromisoformat(f"{2000 + year}{formatted[4:]}").replace(tzinfo=UTC)
    return int(moment.timestamp()) + cycles * _YEARS_400
