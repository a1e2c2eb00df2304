"""Why a text is not JSON, in the words of the parser that Snowplow uses (Jawn).

Only runs on what another parser refused: a scanner without recursion that stops at the first offence.
"""

import re
import sys
from array import array
from json import JSONDecodeError
from typing import Literal, NoReturn

_CONTEXT = 6
EXHAUSTED = "exhausted input"
#: Characters behind a fault that may have a say in what is said of it.
_BEHIND = 1_000
_SPACES = " \t\r\n"
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_NUMBER_PARTS = re.compile(r"(-?)(0|[1-9][0-9]*)?")
_DIGITS = re.compile(r"[0-9]+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_HEX = re.compile(r"[0-9a-fA-F]")
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")

_State = Literal["value", "array start", "array end", "object start", "object end", "key", "colon"]


class _Offence(Exception):
    """Carries the message out of the scanner."""


def complaint(text: str) -> str | None:
    """Jawn's message; None where the text is JSON. Jawn counts and quotes UTF-16 units."""
    try:
        _Scanner(_units(text) if _BEYOND_16_BITS.search(text) else text).run()
    except IndexError:
        return EXHAUSTED
    except _Offence as offence:
        return str(offence).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return None


def words(text: str, error: JSONDecodeError, farthest: int) -> str:
    """Jawn's message about what Python's parser refused; Python's own where the fault lies farther than so many
    characters, since looking for it once more is slow."""
    if error.msg.startswith("Unterminated string"):
        return EXHAUSTED
    if error.pos > farthest:
        return str(error)
    near = text[: error.pos + _BEHIND]
    found = complaint(near)
    if found == EXHAUSTED and len(near) < len(text):
        found = complaint(text)
    return found or str(error)


def _units(text: str) -> str:
    """The UTF-16 units of a text, each as a character."""
    units = array("H", text.encode(f"utf-16-{sys.byteorder[0]}e", "surrogatepass"))
    return array("I", units).tobytes().decode(f"utf-32-{sys.byteorder[0]}e", "surrogatepass")


class _Scanner:
    """Reading behind the end raises IndexError, which is Jawn's `exhausted input`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[str] = []

    def run(self) -> None:
        place = self._skip_spaces(0)
        state: _State | None = "value"
        while state is not None:
            place, state = self._step(place, state)
        rest = self._text[place:].lstrip(_SPACES)
        if rest:
            self._die(len(self._text) - len(rest), "expected whitespace or eof")

    def _step(self, place: int, state: _State) -> tuple[int, _State | None]:
        place = self._skip_spaces(place)
        character = self._text[place]
        if (state == "array start" and character != "]") or state == "value":
            return self._value(place)
        if character in "]}" and state in _CLOSED_BY[character]:
            self._open.pop()
            return place + 1, self._after_value()
        if state in ("object start", "key"):
            return self._string(place) if character == '"' else self._die(place, 'expected "'), "colon"
        wanted, following, message = _SEPARATORS[state]
        return (place + 1, following) if character == wanted else self._die(place, message)

    def _value(self, place: int) -> tuple[int, _State | None]:
        character = self._text[place]
        if character in "[{":
            self._open.append(character)
            return place + 1, "array start" if character == "[" else "object start"
        if character == '"':
            place = self._string(place)
        elif character in _LITERALS:
            place = self._literal(place, _LITERALS[character])
        elif character in "-0123456789":
            place = self._number(place)
        else:
            self._die(place, "expected json value")
        return place, self._after_value()

    def _after_value(self) -> _State | None:
        if not self._open:
            return None
        return "array end" if self._open[-1] == "[" else "object end"

    def _literal(self, place: int, word: str) -> int:
        for offset, character in enumerate(word):
            if self._text[place + offset] != character:
                self._die(place, f"expected {word}")
        return place + len(word)

    def _number(self, place: int) -> int:
        match = _NUMBER_PARTS.match(self._text, place)
        assert match is not None  # noqa: S101 - every part of the pattern may be empty
        end = match.end()
        if match[2] is None:
            self._die(place, "expected digit") if self._text[end] else None
        end = self._digits_after(place, end, ".")
        if self._at(end) in ("e", "E"):
            sign = end + 2 if self._at(end + 1) in ("+", "-") else end + 1
            end = self._digits(place, sign)
        return end

    def _digits_after(self, start: int, place: int, mark: str) -> int:
        return self._digits(start, place + 1) if self._at(place) == mark else place

    def _digits(self, start: int, place: int) -> int:
        match = _DIGITS.match(self._text, place)
        if match is None:
            return self._die(start, "expected digit") if self._text[place] else place
        return match.end()

    def _at(self, place: int) -> str | None:
        """Only behind a complete number may the text end; inside brackets it may not."""
        if place >= len(self._text) and not self._open:
            return None
        return self._text[place]

    def _string(self, place: int) -> int:
        """`place` is at the opening quote; the place behind the closing one."""
        place += 1
        while True:
            match = _PLAIN.match(self._text, place)
            place = match.end() if match else place
            character = self._text[place]
            if character == '"':
                return place + 1
            if character != "\\":
                self._die(place, f"control char ({ord(character)}) in string", 1)
            place = self._escape(place)

    def _escape(self, place: int) -> int:
        kind = self._text[place + 1]
        if kind == "u":
            self._hexadecimal(place + 2)
            return place + 6
        if kind not in '"\\/bfnrt':
            self._die(place, f"illegal escape sequence (\\{kind})", 1)
        return place + 2

    def _hexadecimal(self, place: int) -> None:
        """Jawn looks digits up in a table of ASCII: what lies behind its end lies, to it, behind that of the text."""
        digits = self._text[place : place + 4]
        if len(digits) < 4:
            raise IndexError
        strange = _HEX.sub("", digits)
        if strange and not strange[0].isascii():
            raise IndexError
        if strange:
            self._die(place, "expected valid unicode escape")

    def _skip_spaces(self, place: int) -> int:
        while self._text[place] in _SPACES:
            place += 1
        return place

    def _die(self, place: int, message: str, context: int = _CONTEXT) -> NoReturn:
        shown = self._text[place : place + context]
        got = "eof" if not shown else f"'{shown}...'" if place + context < len(self._text) else f"'{shown}'"
        line = self._text.count("\n", 0, place) + 1
        column = place - self._text.rfind("\n", 0, place)
        raise _Offence(f"{message} got {got} (line {line}, column {column})")


_CLOSED_BY: dict[str, tuple[_State, ...]] = {
    "]": ("array start", "array end"),
    "}": ("object start", "object end"),
}
_SEPARATORS: dict[_State, tuple[str, _State, str]] = {
    "colon": (":", "value", "expected :"),
    "array end": (",", "value", "expected ] or ,"),
    "object end": (",", "key", "expected } or ,"),
}
