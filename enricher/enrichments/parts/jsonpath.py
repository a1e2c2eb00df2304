"""JSONPath as Snowplow's configurations use it.

Names, indices, slices, wildcards and `..`, which is nearly all of them, are walked here, and can be changed in place
of a copy of the whole document; filters go to jsonpath-ng.
"""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from jsonpath_ng.ext.parser import parse as parse_extended

#: Several names or indices, a range of indices, or None for everything.
Selector = tuple[str | int, ...] | slice | None

#: In place of a selector: the value itself and everything below it.
_DEEP: Final = slice(0, 0)

Change = Callable[[Any], Any]

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_STEP = re.compile(
    rf"\.?\[\s*(?P<quoted>(?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*)\s*\]"
    r"|\.?\[\s*(?P<indices>-?\d+(?:\s*,\s*-?\d+)*)\s*\]"
    r"|\.?\[\s*(?P<range>(?:-?\d+)?\s*:\s*(?:-?\d+)?(?:\s*:\s*(?:-?\d+)?)?)\s*\]"
    r"|\.?\[\s*(?P<all>\*)\s*\]"
    r"|\.(?P<star>\*)"
    r"|\.(?P<name>[^\s.\[\]*()=!<>]+)"
)
_NAMES = re.compile(_QUOTED)
#: Jayway's way to write a subscript; behind another dot it is a descent.
_DOTTED_SUBSCRIPT = re.compile(r"(?<!\.)\.\[")
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
    steps = _steps(text)
    if steps is not None:
        only = steps[0] if len(steps) == 1 else None
        if isinstance(only, tuple) and len(only) == 1 and isinstance(only[0], str):
            return _Name(only[0])
        return _Simple(steps)
    if found := _BARE_SUBSCRIPT.search(text):
        raise InvalidPath(f"':' expected but {found.group()[-1]!r} found")
    try:
        return _Extended(parse_extended(_DOTTED_SUBSCRIPT.sub("[", text)))
    except Exception as error:
        raise InvalidPath(str(error)) from error


def _steps(text: str) -> tuple[Selector, ...] | None:
    """None where the path has a filter, or is none."""
    steps: list[Selector] = []
    position = 1
    while position < len(text):
        if text.startswith("..", position):
            steps.append(_DEEP)
            position += 1
        found = _STEP.match(text, position)
        if not found:
            return None
        steps.append(_selector(found))
        position = found.end()
    return tuple(steps)


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
        return list(_hits(document, self.steps))

    def changed(self, document: Any, change: Change) -> Any:
        return _changed(document, self.steps, change)


class _Extended(NamedTuple):
    path: Any

    def find(self, document: Any) -> list[Any]:
        return [hit.value for hit in self.path.find(document)]

    def changed(self, document: Any, change: Change) -> Any:
        result = self.path.update(copy.deepcopy(document), lambda old, *_: change(old))
        return document if result == document else result


def _hits(value: Any, steps: Sequence[Selector]) -> Iterator[Any]:
    if not steps:
        yield value
    elif steps[0] is _DEEP:
        yield from _hits(value, steps[1:])
        for key in _keys(value, None):
            yield from _hits(value[key], steps)
    else:
        for key in _keys(value, steps[0]):
            yield from _hits(value[key], steps[1:])


def _changed(value: Any, steps: Sequence[Selector], change: Change) -> Any:
    if not steps:
        return change(value)
    if steps[0] is _DEEP:
        return _changed_below(_changed(value, steps[1:], change), value, steps, change)
    result = value
    for key in _keys(value, steps[0]):
        new = _changed(value[key], steps[1:], change)
        if new is not value[key]:
            result = value.copy() if result is value else result
            result[key] = new
    return result


def _changed_below(now: Any, before: Any, steps: Sequence[Selector], change: Change) -> Any:
    """What a hit became is looked into, for hits that it still holds, but is not changed again."""
    if type(now) is not type(before) or not isinstance(now, dict | list) or len(now) != len(before):
        return now
    result = now
    for key in _keys(before, None):
        old, new = before[key], now[key]
        deeper = _changed(old, steps, change) if new is old else _changed_below(new, old, steps, change)
        if deeper is not new:
            result = result.copy() if result is now else result
            result[key] = deeper
    return result


def _keys(value: Any, selector: Selector) -> Sequence[Any]:
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
