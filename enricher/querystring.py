"""Query strings and form bodies as pairs, the way Apache HttpClient splits and decodes them for Snowplow."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from enricher.java_uri import java_uri
from enricher.values import Refused, decoded

#: In order, with duplicates; a name without `=` has None.
Pairs = list[tuple[str, str | None]]

#: java.net.URI wants a whole URL; the index in its messages counts these characters too.
_FRONT: Final = "http://localhost/?"
_SEPARATORS: Final = re.compile("[&;]")
_ESCAPE: Final = re.compile("[0-9A-Fa-f]{2}")


def pairs(text: str, charset: str = "utf-8") -> Pairs | Refused:
    """Refused, with java.net.URI's message, where the text is no legal query. A raw `#` ends the query."""
    uri = java_uri(_FRONT + text)
    if isinstance(uri, Refused):
        return uri
    return split(uri.query or "", charset)


def split(query: str, charset: str = "utf-8") -> Pairs:
    """The pairs of a query that is known to be legal. Both `&` and `;` separate, empty names are dropped."""
    split_up = _SEPARATORS.split(query) if ";" in query else query.split("&")
    found: Pairs = []
    for pair in split_up:
        name, equals, value = pair.partition("=")
        if name:
            found.append((decode(name, charset), decode(value, charset) if equals else None))
    return found


def decode(text: str, charset: str = "utf-8") -> str:
    """`+` is a space; characters beyond a byte lose their upper bits, as they do upstream."""
    if text.isascii():
        if "%" not in text:
            return text.replace("+", " ") if "+" in text else text
        return decoded(unquote_to_bytes(text.replace("+", " ")), charset)
    first, *pieces = text.replace("+", " ").split("%")
    found = [_lower(first)]
    for piece in pieces:
        escaped = _ESCAPE.match(piece) is not None
        found += (bytes.fromhex(piece[:2]), _lower(piece[2:])) if escaped else (b"%", _lower(piece))
    return decoded(b"".join(found), charset)


def _lower(piece: str) -> bytes:
    """The lower byte of each UTF-16 unit, even where that is a percent sign: it escapes nothing."""
    return piece.encode("utf-16-le", "surrogatepass")[::2]


def decode_form(text: str, charset: str = "utf-8") -> str | Refused:
    """One form-encoded text, as java.net.URLDecoder reads it: a broken escape is refused."""
    broken = re.search("%(?![0-9a-fA-F]{2})", text)
    if broken is not None:
        return Refused(f"URLDecoder: Illegal hex characters in escape (%) pattern at index {broken.start()}")
    return decoded(unquote_to_bytes(text.replace("+", " ")), charset)
