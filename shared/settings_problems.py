"""What is wrong with a configuration, in words for who wrote it: the key, what was expected, and where it is set."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from shared.options import is_secret, model_at, option_at, options, variable

#: What pydantic says in words of Python.
_EXPECTED = {
    "tuple_type": 'expected a list such as ["a", "b"]',
    "dict_type": 'expected a mapping such as {"name": "value"}',
    "model_type": "expected options of its own below it",
}


def problem(model: type[BaseModel], error: ErrorDetails, file: Path, from_environment: Mapping[str, Any]) -> str:
    """One finding of pydantic's: the key, what was expected, what was found unless it is a secret, where it is set."""
    path = tuple(str(part) for part in error["loc"])
    option = option_at(model, path)
    source = _source(option, file, from_environment)
    if error["type"] == "extra_forbidden":
        return f"{'.'.join(path)}: unknown option{_hint(model, path)} (set in {source})"
    expected = _EXPECTED.get(error["type"], error["msg"].removeprefix("Value error, "))
    silent = error["type"] == "missing" or is_secret(model, option) or isinstance(error["input"], dict)
    found = "" if silent else f", found {error['input']!r}"
    return f"{'.'.join(path)}: {expected[0].lower()}{expected[1:]}{found} (set in {source})"


def _source(path: tuple[str, ...], file: Path, from_environment: Mapping[str, Any]) -> str:
    level: Any = from_environment
    for part in path:
        if not isinstance(level, dict) or part not in level:
            return str(file) if level is from_environment or isinstance(level, dict) else variable(path)
        level = level[part]
    return variable(path)


def _hint(model: type[BaseModel], path: tuple[str, ...]) -> str:
    """The nearest name beside the unknown one; else the options of the same name elsewhere; else what is there."""
    parent = model_at(model, path[:-1])
    beside = list(parent.model_fields) if parent else []
    near = get_close_matches(path[-1], beside, 1)
    found = [".".join((*path[:-1], name)) for name in near]
    found = found or [option.name for option in options(model) if option.path[-1] == path[-1]]
    return f"; did you mean {' or '.join(found)}?" if found else f"; valid here: {', '.join(beside)}"


def unknown_section(name: str, known: Collection[str], source: str) -> str:
    """A top-level name that nobody declares."""
    near = get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; valid here: {', '.join(known)}"
    return f"{name}: unknown section{hint} (set in {source})"
