"""Base64 as Apache commons-codec reads it: both alphabets, padding optional, anything else skipped, never an error."""

import binascii
import re
from typing import Final

import pybase64

from enricher.values import decoded

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/]")


def decode(text: str) -> str:
    """The UTF-8 text inside, with replacement; reading ends at the first `=`."""
    standard = text.replace("-", "+").replace("_", "/")
    try:
        return pybase64.b64decode(standard + "==="[: -len(text) % 4], validate=True).decode()
    except ValueError:  # padding in the middle, foreign characters, not UTF-8
        return decoded(_decode_leniently(standard.partition("=")[0]))


def _decode_leniently(body: str) -> bytes:
    """Without foreign characters, and without a last one that holds only six bits."""
    known = _FOREIGN.sub("", body)
    return binascii.a2b_base64(known[: len(known) - (len(known) % 4 == 1)] + "==")
