"""Events and enriched TSV lines: 131 texts, one tab between two, no quoting, "" is null."""

import re
from collections.abc import Sequence
from typing import Final

from shared.event import WIDTH

_TABS: Final = WIDTH - 1
_BREAKS: Final = re.compile(r"[\t\n\r]")


def encode(values: Sequence[str]) -> bytes:
    """One line without its newline. A value that would break the line loses its tabs and line ends.

    Lone surrogates, which UTF-8 cannot hold, become `?`, as in Java.
    """
    line = "\t".join(values)
    if line.count("\t") != _TABS or "\n" in line or "\r" in line:
        line = "\t".join([_BREAKS.sub(_harmless, value) for value in values])
    return line.encode("utf-8", "replace")


def _harmless(match: re.Match[str]) -> str:
    return "    " if match[0] == "\t" else ""


def decode(line: bytes | str) -> list[str]:
    """The 131 texts of a line. Raises ValueError where there are more or fewer."""
    text = line if isinstance(line, str) else line.decode("utf-8", "replace")
    values = text.split("\t")
    if len(values) != WIDTH:
        raise ValueError(f"{len(values)} columns instead of {WIDTH}")
    return values


def lines(chunk: bytes) -> list[bytes]:
    """The lines of a message of the enriched or failed stream."""
    return chunk.split(b"\n")
