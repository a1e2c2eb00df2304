"""JSON cut into pieces of its own text, so that numbers and escapes stay as they were written."""

import json
import re
from typing import Any, NoReturn

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+', re.DOTALL)


class NotJson(ValueError):
    """The text is no JSON document."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse(text: str) -> Any:
    """The document's value. Raises NotJson, also for what is nested too deep to read."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


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
