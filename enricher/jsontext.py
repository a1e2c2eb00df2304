"""JSON texts of trackers: strict, number literals kept, bounded in depth, fast where the text is plain.

The fast way is a proof, not a guess: what msgspec read is written again, and where the result is the very same
text, the text was canonical and no number lost a digit. Everything else takes the strict way.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from enricher.literal import Number
from shared.jawn import complaint, words

TOO_DEEP: Final = "invalid json: maximum allowed JSON depth exceeded"


class Malformed(NamedTuple):
    """A text that is no JSON. `message` says why, and starts with `invalid json: `."""

    message: str


@dataclass(slots=True, init=False)
class Document:
    """A parsed text.

    value: plain Python values, for validation. exact: the same, with Number where a literal must be kept.
    canonical: the text is already what `render` would write. levels: it has no more than these, leaves included.
    """

    value: Any
    exact: Any
    canonical: bool
    levels: int

    def __init__(self, value: Any, exact: Any, canonical: bool, levels: int) -> None:
        self.value = value
        self.exact = exact
        self.canonical = canonical
        self.levels = levels


def parse(text: str, max_depth: int) -> Document | Malformed:
    """Depth counts the root as 1, and leaves too."""
    levels = _openings(text, "{", max_depth) + _openings(text, "[", max_depth) + 1
    if levels > max_depth:
        problem = _depth_problem(text, max_depth)
        if problem is not None:
            return problem
        levels = max_depth
    try:
        value = _decode(text)
        if _encode(value) == text.encode() and _prints_raw(text):
            return Document(value, value, True, levels)
    except ValueError:
        pass
    return _parse_strictly(text, levels)


def _openings(text: str, bracket: str, enough: int) -> int:
    """How often it occurs, no further than just above enough: rare as it is, finding beats looking at every letter."""
    count, place = 0, text.find(bracket)
    while place >= 0 and count <= enough:
        count += 1
        place = text.find(bracket, place + 1)
    return count


_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def render(value: Any, *, literals: bool = False) -> str:
    """Compact, order kept, escaped no more than needed: what circe prints. `literals`: there may be a Number in it."""
    if not literals:
        try:
            text = _write(value)
        except ValueError:
            return _print(value)
        if _prints_raw(text):
            return text
    return _print(value)


def verbatim(exact: Any) -> msgspec.Raw:
    """A part of Document.exact that prints with its literals wherever it is put."""
    return msgspec.Raw(render(exact, literals=True).encode("utf-8", "replace"))


def _write(value: Any) -> str:
    """The same encoder as the proof: another one would print `0.00001` as `1e-5`."""
    return _encode(value).decode()


_C1: Final = re.compile("[\x7f-\x9f]")
_ESCAPES: Final = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def _prints_raw(text: str) -> bool:
    """Nothing in the text but the encoder's own escapes needs one."""
    return "\x7f" not in text if text.isascii() else _C1.search(text) is None


# ---- the strict way -----------------------------------------------------------------------------------------------


def _parse_strictly(text: str, levels: int) -> Document | Malformed:
    literals: list[str] = []
    try:
        value = json.loads(text, parse_float=_float, parse_int=_int, parse_constant=_refuse)
        exact = json.loads(text, parse_float=_exact(literals, _float), parse_int=_exact(literals, _int))
    except json.JSONDecodeError as error:
        return Malformed(f"invalid json: {words(text, error, _LONGEST_SCANNED)}")
    except ValueError as error:
        problem = complaint(text) if len(text) <= _LONGEST_SCANNED else None
        return Malformed(f"invalid json: {problem or error}")
    return Document(value, exact if literals else value, False, levels)


#: More digits than any number that a double holds.
_LONGEST_INT: Final = 400


def _int(text: str) -> int:
    return int(text) if len(text) <= _LONGEST_INT else int(_float(text))


def _float(text: str) -> float:
    """Infinity is no JSON: what a double cannot hold is its largest value to validators, and prints as it came."""
    value = float(text)
    return math.copysign(1.7976931348623157e308, value) if math.isinf(value) else value


def _exact(literals: list[str], convert: Any) -> Any:
    def keep(text: str) -> Any:
        value = convert(text)
        if _digits(value) == text:
            return value
        literals.append(text)
        return Number(text)

    return keep


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# ---- depth --------------------------------------------------------------------------------------------------------

#: A string without an end is one token as well: looking for its end from each of its quotes would take for ever.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]|[^\s"\[\]{},:]+', re.DOTALL)


#: Characters that are scanned for what else may be wrong with a text.
_LONGEST_SCANNED: Final = 100_000


def _depth_problem(text: str, max_depth: int) -> Malformed | None:
    if not deeper_than(text, max_depth):
        return None
    problem = complaint(text) if len(text) <= _LONGEST_SCANNED else None
    return Malformed(f"invalid json: {problem}" if problem else TOO_DEEP)


def deeper_than(text: str, levels: int) -> bool:
    """Whether the values of a JSON text lie deeper than that; stops at the first that does."""
    depth = 0
    for token in _TOKEN.finditer(text):
        character = token[0]
        if character in ("]", "}"):
            depth -= 1
        elif depth >= levels:
            return True
        elif character in ("[", "{"):
            depth += 1
    return False


def depth(value: Any) -> int:
    """How deep a parsed value is: a leaf is 1."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [child for parent in level for child in _children(parent)]
    return deepest


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


# ---- printing with literals ---------------------------------------------------------------------------------------


def _print(value: Any) -> str:
    match value:
        case Number():
            return str(value)
        case msgspec.Raw():
            return bytes(value).decode()
        case str():
            return _quote(value)
        case dict():
            return "{" + ",".join(f"{_quote(str(key))}:{_print(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join([_print(item) for item in value]) + "]"
        case float() if not math.isfinite(value):
            return "null"
        case float():
            return _digits(value)
        case _:
            return json.dumps(value)


def _digits(value: float | int) -> str:
    """A finite number as `_write` prints it: `1e-7`, where Python says `1e-07`."""
    return _write(value) if isinstance(value, float) else str(value)


def _quote(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return written if _prints_raw(written) else written.translate(_ESCAPES)
