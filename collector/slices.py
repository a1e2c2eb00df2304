"""JSON cut into pieces of its own text, so that numbers and escapes stay as they were written."""

import json
import re
from typing import Any, NoReturn

from shared.jawn import complaint

#: Digits of an integer that is read as one; Python refuses to read very long ones, and only their text is needed.
_LONGEST_INTEGER = 4_000

#: Characters up to which a fault is looked for a second time, for its words: that is slow.
_WORTH_WORDS = 10_000

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+', re.DOTALL)


class NotJson(ValueError):
    """The text is no JSON document."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _LONGEST_INTEGER else float(text)


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse)


def parse(text: str) -> Any:
    """The document's value. Raises NotJson, also for what is nested too deep to read."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(_words(text, error)) from error
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _words(text: str, error: json.JSONDecodeError) -> str:
    """As the parser of the Scala collectors would say it, where that is quickly found out."""
    if error.msg.startswith("Unterminated string"):
        return "exhausted input"
    return (complaint(text) if error.pos <= _WORTH_WORDS else None) or str(error)


def compact(text: str) -> str:
    """A valid document without the white space between its tokens."""
    return "".join(_TOKEN.findall(text))


def members(text: str) -> dict[str, str]:
    """Name → text of each member of a compact object; the last of several wins."""
    found, place = {}, 1
    while text[place] != "}":
        name, place = _DECODER.raw_decode(text, place)
        _, end = _DECODER.raw_decode(text, place + 1)
        found[name] = text[place + 1 : end]
        place = end + (text[end] == ",")
    return found


def items(text: str) -> list[str]:
    """Text of each item of a compact array."""
    found, place = [], 1
    while text[place] != "]":
        _, end = _DECODER.raw_decode(text, place)
        found.append(text[place:end])
        place = end + (text[end] == ",")
    return found
