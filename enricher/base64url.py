"""Base64 as Apache commons-codec reads it: both alphabets, padding optional, anything else skipped, never an error."""

import binascii
import re

_FOREIGN = re.compile(r"[^A-Za-z0-9+/]")


def decode(text: str) -> str:
    """The UTF-8 text inside, with replacement; reading ends at the first `=`."""
    body = text.partition("=")[0].replace("-", "+").replace("_", "/")
    try:
        raw = binascii.a2b_base64(body + "==")
    except ValueError:
        raw = _decode_leniently(body)
    return raw.decode("utf-8", "replace")


def _decode_leniently(body: str) -> bytes:
    """Without foreign characters, and without a last one that holds only six bits."""
    known = _FOREIGN.sub("", body)
    return binascii.a2b_base64(known[: len(known) - (len(known) % 4 == 1)] + "==")
