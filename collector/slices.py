"""JSON cut into pieces of its own text, so that numbers and escapes stay as they were written."""

import json
import re
from typing import Any, NoReturn

from shared.jawn import EXHAUSTED, complaint, words

#: Digits of an integer that is read as one; Python refuses to read very long ones, and only their text is needed.
_LONGEST_INTEGER = 4_000

#: Characters up to which a fault is looked for a second time, for the words of the Scala collectors' parser.
_WORTH_WORDS = 10_000

#: Possessive: the places that a plain repetition could go back to take a hundred times the memory of the text.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s"]+', re.DOTALL)

#: Levels below an item of an array from which it is set aside, of a text that is too deep to read.
_DEEP = 400

#: Brackets around what is inside of an item: of the object, of the array, its own.
_ITEM_LEVEL = 3

#: A string without an end is one token as well: looking for its end from each of its quotes would take for ever.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]+|[\]}]+', re.DOTALL)


class NotJson(ValueError):
    """The text is no JSON document."""


class TooDeep(NotJson):
    """The text is nested deeper than it can be read."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _LONGEST_INTEGER else float(text)


_DECODER: Any = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse)


def parse(text: str) -> Any:
    """The document's value. Raises NotJson, also for what is nested too deep to read."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(words(text, error, _WORTH_WORDS)) from error
    except RecursionError as error:
        raise TooDeep(str(error)) from error
    except ValueError as error:  # a constant that is not JSON
        raise NotJson(_near(text) or str(error)) from error


def _near(text: str) -> str | None:
    """What the Scala collectors' parser says, where it says so near the beginning."""
    found = complaint(text[:_WORTH_WORDS])
    return None if found == EXHAUSTED and len(text) > _WORTH_WORDS else found


def set_aside(text: str) -> tuple[str, dict[str, str]]:
    """The text of an object with a name in place of whatever lies very deep in its members' items; name → its text."""
    aside: dict[str, str] = {}
    kept: list[str] = []
    depth = begin = deepest = place = 0
    for token in _STRUCTURE.finditer(text):
        start, before = token.start(), depth
        if text[start] in "[{":
            depth += token.end() - start
            if before < _ITEM_LEVEL <= depth:
                begin, deepest = start + _ITEM_LEVEL - before - 1, 0
            deepest = max(deepest, depth)
        elif text[start] in "]}":
            depth -= token.end() - start
            if depth < _ITEM_LEVEL <= before and deepest > _DEEP:
                name, end = f'"item {len(aside)} of {len(text)}"', start + before - _ITEM_LEVEL + 1
                aside[name] = text[begin:end]
                kept += (text[place:begin], name)
                place, deepest = end, 0
    return "".join((*kept, text[place:])), aside


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
    found, place, scan = [], 1, _DECODER.scan_once
    while text[place] != "]":
        _, end = scan(text, place)
        found.append(text[place:end])
        place = end + (text[end] == ",")
    return found
