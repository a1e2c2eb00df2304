"""A draft schema from examples: types, formats and bounds merged over all of them.

A draft is what the examples have in common, with room to grow: lengths and numbers are bounded by the next customary
size, additional properties are refused, and only what every example has is required.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cli.schema_lint import SELF_DESCRIBING
from enricher.iglu.formats import CHECKS
from shared.event import INDEX
from shared.iglu.registry import Document
from shared.schema import InvalidIgluUri, SchemaKey
from shared.tsv import decode

#: Formats that a draft asserts when all texts have them, the narrowest first.
_FORMATS: Final = ("uuid", "date-time", "date", "ipv4", "ipv6", "email", "uri")
_LENGTHS: Final = (64, 255, 1024, 4096, 65_535)
_INTEGERS: Final = (2_147_483_647, 9_223_372_036_854_775_807)
_NUMBERS: Final = (1_000_000_000, 1e12, 1e18)
_MOST_VALUES: Final = 12
_COLUMNS: Final = ("unstruct_event", "contexts", "derived_contexts")


class NoExamples(Exception):
    """There is nothing to infer from; the message says what was there instead."""


@dataclass
class Seen:
    """All values seen in one place."""

    count: int = 0
    nulls: int = 0
    booleans: int = 0
    integers: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    properties: "dict[str, Seen]" = field(default_factory=dict)
    arrays: int = 0
    items: "Seen | None" = None

    def add(self, value: Any) -> None:
        self.count += 1
        if value is None:
            self.nulls += 1
        elif isinstance(value, bool):
            self.booleans += 1
        elif isinstance(value, int):
            self.integers.append(value)
        elif isinstance(value, float):
            self.numbers.append(value)
        elif isinstance(value, str):
            self.texts[value] = self.texts.get(value, 0) + 1
        else:
            self._add_container(value)

    def _add_container(self, value: Any) -> None:
        if isinstance(value, dict):
            self.objects += 1
            for name, part in value.items():
                self.properties.setdefault(name, Seen()).add(part)
        else:
            self.arrays += 1
            self.items = self.items or Seen()
            for part in value:
                self.items.add(part)


def infer(examples: Iterable[Any], key: SchemaKey, *, enums: bool = False) -> Document:
    """`enums`: list the values of texts that take few. Raises NoExamples."""
    seen = Seen()
    for example in examples:
        if not isinstance(example, dict):
            raise NoExamples(f"the data of {key.name} are objects, but an example is {json.dumps(example)[:80]}")
        seen.add(example)
    if seen.count == 0:
        raise NoExamples("there are no examples")
    return {"$schema": SELF_DESCRIBING, "self": key._asdict(), **_schema(seen, enums=enums)}


def _schema(seen: Seen, *, enums: bool) -> Document:
    kinds = _kinds(seen)
    schema: Document = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    if seen.texts:
        schema |= _text(seen, enums=enums)
    if seen.integers or seen.numbers:
        schema |= _numeric(seen)
    if seen.objects:
        schema |= _object(seen, enums=enums)
    if seen.items is not None:
        schema["items"] = _schema(seen.items, enums=enums)
    return schema


def _kinds(seen: Seen) -> list[str]:
    numeric = "number" if seen.numbers else "integer"
    found = {
        "string": bool(seen.texts),
        numeric: bool(seen.integers or seen.numbers),
        "boolean": seen.booleans > 0,
        "object": seen.objects > 0,
        "array": seen.arrays > 0,
        "null": seen.nulls > 0,
    }
    return [kind for kind, is_there in found.items() if is_there]


def _text(seen: Seen, *, enums: bool) -> Document:
    if enums and len(seen.texts) <= _MOST_VALUES and min(seen.texts.values()) > 1 and _kinds(seen) == ["string"]:
        return {"enum": sorted(seen.texts)}
    longest = max(map(len, seen.texts))
    bound = next((length for length in _LENGTHS if length >= longest), longest)
    shared_format = next((name for name in _FORMATS if all(map(CHECKS[name], seen.texts))), None)
    if shared_format is None:
        return {"maxLength": bound}
    return {"format": shared_format} if shared_format != "uri" else {"format": "uri", "maxLength": max(bound, 4096)}


def _numeric(seen: Seen) -> Document:
    values = [*seen.integers, *seen.numbers]
    sizes: tuple[float, ...] = _NUMBERS if seen.numbers else _INTEGERS
    largest = max(map(abs, values))
    bound = next((size for size in sizes if size >= largest), largest)
    return {"minimum": 0 if min(values) >= 0 else -bound, "maximum": bound}


def _object(seen: Seen, *, enums: bool) -> Document:
    schema: Document = {
        "properties": {name: _schema(part, enums=enums) for name, part in seen.properties.items()},
        "additionalProperties": False,
    }
    required = [name for name, part in seen.properties.items() if part.count == seen.objects]
    return schema | ({"required": required} if required else {})


def examples(lines: Iterable[str], vendor: str, name: str) -> Iterator[Any]:
    """The data that lines hold for a schema.

    A line is an enriched event, a self-describing JSON (also one within contexts or an unstruct event), or plain data.
    Raises NoExamples on a line that is none of these.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield from (data for data, schema in _of_line(line, number) if schema in (None, (vendor, name)))


def _of_line(line: str, number: int) -> Iterator[tuple[Any, tuple[str, str] | None]]:
    try:
        value = json.loads(line)
    except ValueError as error:
        if "\t" not in line:
            raise NoExamples(f"line {number} is neither JSON nor an enriched event: {error}") from error
        yield from _of_event(line, number)
        return
    yield from _entities(value) if _is_self_describing(value) else [(value, None)]


def _of_event(line: str, number: int) -> Iterator[tuple[Any, tuple[str, str] | None]]:
    try:
        values = decode(line.rstrip("\r\n"))
        texts = [values[INDEX[column]] for column in _COLUMNS]
        columns = [json.loads(text) for text in texts if text]
    except ValueError as error:
        raise NoExamples(f"line {number} is no enriched event: {error}") from error
    for column in columns:
        yield from _entities(column)


def _entities(value: Any) -> Iterator[tuple[Any, tuple[str, str] | None]]:
    """What is inside the wrappers of the protocol; a self-describing JSON of its own otherwise."""
    try:
        key = SchemaKey.parse(value["schema"])
    except InvalidIgluUri:
        return
    inner = value["data"] if isinstance(value["data"], list) else [value["data"]]
    wrapped = key.name in ("contexts", "unstruct_event") and all(map(_is_self_describing, inner))
    if wrapped:
        for part in inner:
            yield from _entities(part)
    else:
        yield value["data"], (key.vendor, key.name)


def _is_self_describing(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("schema"), str) and "data" in value
