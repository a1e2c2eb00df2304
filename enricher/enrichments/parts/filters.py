"""Filters of JSONPaths, `[?(@.age > 17 && @.name)]`, as Jayway judges them and, where it knows them, Gatling."""

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from enricher.iglu.patterns import translate

#: What a filter, or a path in it, makes of the value in question (`@`) and of the whole document (`$`).
Test = Callable[[Any, Any], bool]
Operand = Callable[[Any, Any], Any]

#: The path that starts at a place of a text, as what it hits, and where it ends.
ReadPath = Callable[[str, int], tuple[Callable[[Any, Any], list[Any]], int]]

MISSING: Final = object()

_TOKEN = re.compile(
    r"\s*(?:(?P<sign>\|\||&&|[=!]==?|<=|>=|=~|[<>!()\[\],])"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<pattern>/(?:[^/\\]|\\.)+/[a-zA-Z]*)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<path>[@$]))"
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


class InvalidFilter(ValueError):
    """Not a filter."""


class Reader:
    """Reads one filter of a text, from `position` on, which is then behind it. Methods raise InvalidFilter."""

    def __init__(self, text: str, position: int, read_path: ReadPath) -> None:
        self.position = position
        self._text = text
        self._read_path = read_path

    def test(self) -> Test:
        return self._several("||", lambda: self._several("&&", self._one, all), any)

    def _several(self, sign: str, read: Callable[[], Test], combine: Callable[[Any], bool]) -> Test:
        tests = [read()]
        while self._take(sign):
            tests.append(read())
        return tests[0] if len(tests) == 1 else lambda value, root: combine(test(value, root) for test in tests)

    def _one(self) -> Test:
        if self._take("!"):
            inner = self._one()
            return lambda value, root: not inner(value, root)
        if self._take("("):
            inner = self.test()
            self.expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Test:
        left = self._operand()
        found = _TOKEN.match(self._text, self.position)
        compare = _OPERATORS.get((found["sign"] or found["word"] or "").lower()) if found else None
        if found is None or compare is None:
            return lambda value, root: left(value, root) is not MISSING
        self.position = found.end()
        right = self._operand()
        return lambda value, root: compare(left(value, root), right(value, root))

    def _operand(self) -> Operand:
        found = _TOKEN.match(self._text, self.position)
        if found is None:
            raise self._unexpected()
        start, self.position = self.position, found.end()
        if found["path"]:
            return self._path(from_root=found["path"] == "$")
        if found["sign"] == "[":
            return self._list()
        literal = _literal(found)
        if literal is MISSING:
            self.position = start
            raise self._unexpected()
        return lambda _, __: literal

    def _path(self, *, from_root: bool) -> Operand:
        find, self.position = self._read_path(self._text, self.position)

        def first(value: Any, root: Any) -> Any:
            hits = find(root if from_root else value, root)
            return MISSING if not hits else hits[0] if len(hits) == 1 else hits

        return first

    def _list(self) -> Operand:
        items: list[Operand] = []
        while not self._take("]"):
            items.append(self._operand())
            self._take(",")
        return lambda value, root: [item(value, root) for item in items]

    def _take(self, sign: str) -> bool:
        found = _TOKEN.match(self._text, self.position)
        if found is None or found["sign"] != sign:
            return False
        self.position = found.end()
        return True

    def expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected()

    def _unexpected(self) -> InvalidFilter:
        rest = self._text[self.position :].strip()
        return InvalidFilter(f"a filter can't be read at {rest[:20]!r}" if rest else "a filter has no end")


def _literal(found: re.Match[str]) -> Any:
    """MISSING for what is none."""
    if found["text"]:
        return re.sub(r"\\(.)", r"\1", found["text"][1:-1])
    if found["number"]:
        return float(found["number"])
    if found["pattern"]:
        return _pattern(*found["pattern"][1:].rsplit("/", 1))
    return _WORDS.get((found["word"] or "").lower(), MISSING)


def _pattern(text: str, flags: str) -> re.Pattern[str]:
    translated = translate(text.replace("\\/", "/"))
    if translated is None:
        raise InvalidFilter(f"not a regular expression: {text}")
    return re.compile(translated.text, sum(_FLAGS.get(flag, 0) for flag in set(flags)))


# ---- operators ----------------------------------------------------------------------------------------------------


def _same(left: Any, right: Any) -> bool:
    """What is missing is null; a number may stand in a text."""
    left, right = _plain(left), _plain(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str) != isinstance(right, str):
        return _number(left) == _number(right) is not None
    return bool(left == right)


def _plain(value: Any) -> Any:
    return None if value is MISSING else value


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Of two numbers or of two texts."""

    def judged(left: Any, right: Any) -> bool:
        if isinstance(left, bool) or isinstance(right, bool):
            return False
        alike = isinstance(left, str) and isinstance(right, str)
        return (alike or (isinstance(left, int | float) and isinstance(right, int | float))) and compare(left, right)

    return judged


def _fits(left: Any, right: Any) -> bool:
    """Of a text or a number, or of any in an array."""
    if not isinstance(right, re.Pattern):
        return False
    ones = left if isinstance(left, list) else [left]
    return any(right.fullmatch(str(one)) for one in ones if isinstance(one, str | int | float))


def _among(value: Any, values: Any) -> bool:
    return isinstance(values, list) and any(_same(value, one) for one in values)


def _contains(left: Any, right: Any) -> bool:
    return right in left if isinstance(left, str) and isinstance(right, str) else _among(right, left)


def _size(left: Any, right: Any) -> bool:
    return isinstance(left, str | list) and len(left) == right


def _is_empty(left: Any, right: Any) -> bool:
    return isinstance(left, str | list | dict) and (not left) is right


def _overlap(left: Any, right: Any) -> bool:
    return isinstance(left, list) and any(_among(one, right) for one in left)


def _within(left: Any, right: Any) -> bool:
    return isinstance(left, list) and all(_among(one, right) for one in left)


def _not(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: not compare(left, right)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("==", "==="), _same),
    **dict.fromkeys(("!=", "!=="), _not(_same)),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "=~": _fits,
    "in": _among,
    "nin": _not(_among),
    "contains": _contains,
    "size": _size,
    "empty": _is_empty,
    "anyof": _overlap,
    "noneof": _not(_overlap),
    "subsetof": _within,
}
