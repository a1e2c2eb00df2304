r"""Unicode's general categories (`\p{L}`) as ranges, for engines that know none, or those of another Unicode."""

import sys
import unicodedata
from collections.abc import Iterator
from functools import cache


@cache
def members(category: str) -> str | None:
    """What stands between the brackets of a class for the characters of `L` or `Lu`; None where there are none."""
    return (
        "".join(_text(first) + (f"-{_text(last)}" if last > first else "") for first, last in _ranges(category)) or None
    )


def _ranges(category: str) -> Iterator[tuple[int, int]]:
    first: int | None = None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)).startswith(category)
        if inside and first is None:
            first = code
        elif not inside and first is not None:
            yield first, code - 1
            first = None


def _text(code: int) -> str:
    """ASCII is escaped: brackets and dashes are among punctuation."""
    return chr(code) if code >= 0x80 else f"\\x{code:02x}"
