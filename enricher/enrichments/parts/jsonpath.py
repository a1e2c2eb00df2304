"""JSONPath as Snowplow's configurations use it: names, indices, slices, wildcards, `..` and filters.

A path is walked, and what it hits can be changed in place of a copy of the whole document.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from enricher.enrichments.parts.filters import InvalidFilter, Reader, Test


@dataclass(frozen=True, slots=True)
class Filter:
    """An object that fulfils the test, or the items of an array that do."""

    holds: Test


#: Several names or indices, a range of indices, None for everything, or a filter.
Selector = tuple[str | int, ...] | slice | None | Filter

#: In place of a selector: the value itself and everything below it.
_DEEP: Final = slice(0, 0)

Change = Callable[[Any], Any]

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_STEP_TEXT = (
    rf"\.?\[\s*(?P<quoted>(?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*)\s*\]"
    r"|\.?\[\s*(?P<indices>-?\d+(?:\s*,\s*-?\d+)*)\s*\]"
    r"|\.?\[\s*(?P<range>(?:-?\d+)?\s*:\s*(?:-?\d+)?(?:\s*:\s*(?:-?\d+)?)?)\s*\]"
    r"|\.?\[\s*(?P<all>\*)\s*\]"
    r"|\.(?P<star>\*)"
    r"|\.(?P<name>[^\s.\[\]*()=!<>"
)
_STEP = re.compile(_STEP_TEXT + "]+)")
#: Within a filter more characters end a name.
_STEP_OF_FILTER = re.compile(_STEP_TEXT + "&|,~'\"]+)")
_FILTER = re.compile(r"\.?\[\s*\?")
_NAMES = re.compile(_QUOTED)
_BARE_SUBSCRIPT = re.compile(r"\[\s*[^\s'\"\d*?(:@$\-]")


class InvalidPath(ValueError):
    """Not a JSONPath."""


class Path(Protocol):
    def find(self, document: Any) -> list[Any]:
        """Everything that the path hits, in document order; [] where it hits nothing."""

    def changed(self, document: Any, change: Change) -> Any:
        """A document with every hit replaced by `change(hit)`. The given one is never touched.

        It is the given one itself where `change` returned every hit as it was.
        """


def compiled(text: str) -> Path:
    """Raises InvalidPath."""
    if not text.startswith("$"):
        raise InvalidPath(f"'$' expected but {text[:1]!r} found")
    try:
        steps, end = _steps(text, 1, _STEP)
    except InvalidFilter as error:
        raise InvalidPath(str(error)) from error
    if end < len(text):
        raise InvalidPath(_complaint(text, end))
    only = steps[0] if len(steps) == 1 else None
    if isinstance(only, tuple) and len(only) == 1 and isinstance(only[0], str):
        return _Name(only[0])
    return _Simple(steps)


def _complaint(text: str, end: int) -> str:
    found = _BARE_SUBSCRIPT.search(text)
    return f"':' expected but {found.group()[-1]!r} found" if found else f"can't be read from {text[end:]!r} on"


def _steps(text: str, position: int, step: re.Pattern[str]) -> tuple[tuple[Selector, ...], int]:
    """The steps from a place on, and where they end. Raises InvalidFilter."""
    steps: list[Selector] = []
    while True:
        start = position
        if text.startswith("..", position):
            steps.append(_DEEP)
            position += 1
        if found := step.match(text, position):
            steps.append(_selector(found))
            position = found.end()
        elif opened := _FILTER.match(text, position):
            chosen, position = _filter(text, opened.end())
            steps.append(chosen)
        else:
            return tuple(steps[:-1] if position > start else steps), start


def _filter(text: str, position: int) -> tuple[Filter, int]:
    reader = Reader(text, position, _path_of_filter)
    test = reader.test()
    reader.expect("]")
    return Filter(test), reader.position


def _path_of_filter(text: str, position: int) -> tuple[Callable[[Any, Any], list[Any]], int]:
    steps, end = _steps(text, position, _STEP_OF_FILTER)
    return lambda value, root: list(_hits(value, steps, root)), end


def _selector(found: re.Match[str]) -> Selector:
    if found["quoted"]:
        return tuple(re.sub(r"\\(.)", r"\1", name[1:-1]) for name in _NAMES.findall(found["quoted"]))
    if found["indices"]:
        return tuple(map(int, found["indices"].split(",")))
    if found["range"]:
        chosen = slice(*(int(bound) if bound.strip() else None for bound in found["range"].split(":")))
        if chosen.step == 0:
            raise InvalidPath(f"a range with steps of 0: {found['range']}")
        return chosen
    return (found["name"],) if found["name"] else None


class _Name(NamedTuple):
    """`$.name`, the most common path."""

    name: str

    def find(self, document: Any) -> list[Any]:
        return [document[self.name]] if isinstance(document, dict) and self.name in document else []

    def changed(self, document: Any, change: Change) -> Any:
        if not isinstance(document, dict) or self.name not in document:
            return document
        old = document[self.name]
        new = change(old)
        return document if new is old else {**document, self.name: new}


class _Simple(NamedTuple):
    steps: tuple[Selector, ...]

    def find(self, document: Any) -> list[Any]:
        return list(_hits(document, self.steps, document))

    def changed(self, document: Any, change: Change) -> Any:
        return _changed(document, self.steps, change, document)


def _hits(value: Any, steps: Sequence[Selector], root: Any) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step is _DEEP:
        if not _is_judged_below(value, rest[0]):
            yield from _hits(value, rest, root)
        for key in _keys(value, None):
            yield from _hits(value[key], steps, root)
    elif not isinstance(step, Filter):
        for key in _keys(value, step):
            yield from _hits(value[key], rest, root)
    elif isinstance(value, dict):
        if step.holds(value, root):
            yield from _hits(value, rest, root)
    else:
        for key in _passing(value, step, root):
            yield from _hits(value[key], rest, root)


def _is_judged_below(value: Any, step: Selector) -> bool:
    """Behind `..` a filter meets every object by itself, so an array leaves its items to that."""
    return isinstance(step, Filter) and isinstance(value, list)


def _passing(value: Any, step: Filter, root: Any) -> Sequence[int]:
    return [index for index, item in enumerate(value) if step.holds(item, root)] if isinstance(value, list) else ()


def _changed(value: Any, steps: Sequence[Selector], change: Change, root: Any) -> Any:
    if not steps:
        return change(value)
    step, rest = steps[0], steps[1:]
    if step is _DEEP:
        now = value if _is_judged_below(value, rest[0]) else _changed(value, rest, change, root)
        return _changed_below(now, value, steps, change, root)
    if not isinstance(step, Filter):
        keys = _keys(value, step)
    elif isinstance(value, dict):
        return _changed(value, rest, change, root) if step.holds(value, root) else value
    else:
        keys = _passing(value, step, root)
    result = value
    for key in keys:
        old = value[key]
        new = _changed(old, rest, change, root)
        if new is not old:
            result = value.copy() if result is value else result
            result[key] = new
    return result


def _changed_below(now: Any, before: Any, steps: Sequence[Selector], change: Change, root: Any) -> Any:
    """What a hit became is looked into, for hits that it still holds, but is not changed again."""
    if type(now) is not type(before) or not isinstance(now, dict | list) or len(now) != len(before):
        return now
    result = now
    for key in _keys(before, None):
        old, new = before[key], now[key]
        deeper = _changed(old, steps, change, root) if new is old else _changed_below(new, old, steps, change, root)
        if deeper is not new:
            result = result.copy() if result is now else result
            result[key] = deeper
    return result


def _keys(value: Any, selector: tuple[str | int, ...] | slice | None) -> Sequence[Any]:
    if isinstance(value, dict):
        if selector is None:
            return list(value)
        return [name for name in selector if name in value] if isinstance(selector, tuple) else ()
    if isinstance(value, list):
        size = len(value)
        if not isinstance(selector, tuple):
            return range(size)[selector or slice(None)]
        return [index for index in selector if isinstance(index, int) and -size <= index < size]
    return ()
