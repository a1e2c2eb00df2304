"""Reference pages that derive from code: every option, and every column of the event."""

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from cli.configuration import PipelineSettings
from shared.event import FIELDS
from shared.options import Option, options
from shared.settings import SECTIONS

CONFIGURATION = """# Configuration

Every option of every process. Written by `make generate` from the `settings.py` files; do not edit.

An option is set in `config/pipeline.yml` (or the file that `EVNT_CONFIG` names), under the sections of its name, or by
its environment variable, which wins. Lists and mappings in a variable are written as YAML or JSON: `["a", "b"]`;
`null` takes back the value of the file where an option may be null. A process reads its own sections and ignores those
of others; a name that belongs to nobody is refused, with the nearest one that exists.

Relative paths are relative to the working directory of the process. `evnt settings` prints what is in force.
"""

FIELDS_HEAD = """# Columns of the event

The canonical event, in the order of the enriched TSV. Written by `make generate` from `shared/event.py`; do not edit.

*limit*: longest accepted value, in UTF-16 code units. *parameters*: those of the tracker protocol that feed the column,
the preferred one first; columns without one are filled by the enricher or by an enrichment.

| # | column | kind | limit | parameters | meaning |
|--:|---|---|--:|---|---|
"""


def configuration() -> str:
    """docs/configuration.md."""
    found: dict[str, list[Option]] = {}
    for option in options(PipelineSettings):
        found.setdefault(option.path[0], []).append(option)
    return CONFIGURATION + "".join(_section(name, found[name]) for name in SECTIONS if name in found)


def fields() -> str:
    """docs/fields.md."""
    return FIELDS_HEAD + "".join(
        f"| {position} | `{field.name}` | {field.kind} | {field.limit or ''} | "
        f"{', '.join(f'`{name}`' for name in field.params)} | {field.doc} |\n"
        for position, field in enumerate(FIELDS, 1)
    )


def _section(name: str, members: list[Option]) -> str:
    owner = {"shared": "all processes"}.get(SECTIONS[name], SECTIONS[name])
    head = (
        f"\n## {name}\n\nRead by: {owner}.\n\n| option | variable | type | default | meaning |\n|---|---|---|---|---|\n"
    )
    return head + "".join(_row(option) for option in members)


def _row(option: Option) -> str:
    cells = (f"`{option.name}`", f"`{option.variable}`", kind(option.annotation), _default(option.default), option.doc)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


def kind(annotation: Any) -> str:
    """The type of an option in a user's words."""
    return " or ".join(dict.fromkeys(_kinds(annotation)))


def _kinds(annotation: Any) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from (f"`{value}`" for value in arguments)
    elif origin in (Union, types.UnionType):
        for part in arguments:
            yield from _kinds(part)
    elif origin in (tuple, list, set, frozenset):
        yield f"list of {kind(arguments[0])}"
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield f"mapping of {kind(arguments[0])} to {kind(arguments[1])}"
    elif origin is not None:
        yield from _kinds(arguments[0])  # Annotated
    else:
        yield WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    Path: "path",
    SecretStr: "secret",
    type(None): "null",
    Any: "anything",
}


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr):
        return f"`{value.get_secret_value()}`" if value.get_secret_value() else "empty"
    return _literal(value)


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "`true`" if value else "`false`"
        case "" | () | []:
            return "empty"
        case dict():
            return "empty" if not value else f"`{ {name: str(part) for name, part in value.items()} }`"
        case tuple() | list():
            return ", ".join(_literal(part) for part in value)
        case BaseModel():
            return "see its options"
        case _:
            return f"`{value}`"
