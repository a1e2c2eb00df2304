"""Attaches named cookies of the request."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple

from enricher.enrichments.contract import Draft, Entity, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.text import entity
from enricher.remembered import remembered
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "cookie_extractor_config", "jsonschema", 1, 0)

_OUTPUT = "iglu:org.ietf/http_cookie/jsonschema/1-0-0"
_BLANKS = " \t\r\n"
_LINES_REMEMBERED = 1_000


class Config(Parameters):
    cookies: tuple[str, ...]
    """Names of the cookies to attach, compared exactly."""


class State(NamedTuple):
    """of(line): the entities of a Cookie header, none for other headers. Most lines come again and again."""

    of: Callable[[str], list[Entity]]


def prepare(config: Config, _: Resources) -> State:
    return State(remembered(_LINES_REMEMBERED)(partial(_entities, names=frozenset(config.cookies))))


def _entities(line: str, names: frozenset[str]) -> list[Entity]:
    return cookies(line[7:], names) if line[:7].lower() == "cookie:" else []


def enrich(draft: Draft, state: State) -> Patch | None:
    found = list(chain.from_iterable(map(state.of, draft.payload.headers or ())))
    return Patch(contexts=found) if found else None


def cookies(text: str, names: frozenset[str]) -> list[Entity]:
    """Those of a Cookie header with these names, read by the rules of Apache HttpCore, as Snowplow does.

    `;` separates, an unquoted `,` ends the header, runs of blanks are one space, and what stands in quotes
    is taken as it is. A cookie without `=` has no value.
    """
    text = text.lstrip(_BLANKS)
    if '"' in text or "," in text or "  " in text or text[-1:] == ";" or not text.isprintable():
        return [_entity(name, value) for name, value in _read_carefully(text) if name in names]
    found: list[Entity] = []
    for cookie in text.split(";") if text else ():
        name, equals, value = cookie.partition("=")
        if (name := name.strip(" ")) in names:
            found.append(_entity(name, value.strip(" ") if equals else None))
    return found


def _entity(name: str, value: str | None) -> Entity:
    return entity(_OUTPUT, {"name": name, "value": value})


def _read_carefully(text: str) -> Iterator[tuple[str, str | None]]:
    position = 0
    while position < len(text):
        name, position = _token(text, position, "=;,", quotes=False)
        delimiter = text[position : position + 1]
        position += 1
        value = None
        if delimiter == "=":
            value, position = _token(text, position, ";,", quotes=True)
            delimiter = text[position : position + 1]
            position += 1
        yield name, value
        if delimiter == ",":
            return


def _token(text: str, position: int, ends: str, *, quotes: bool) -> tuple[str, int]:
    """The text up to one of `ends`, and where that is."""
    out: list[str] = []
    blank = False
    while position < len(text) and text[position] not in ends:
        character = text[position]
        if character in _BLANKS:
            blank = True
            position += 1
            continue
        if blank and out:
            out.append(" ")
        blank = False
        if quotes and character == '"':
            content, position = _quotation(text, position + 1)
            out += [content] if content else []
        else:
            out.append(character)
            position += 1
    return "".join(out), position


def _quotation(text: str, position: int) -> tuple[str, int]:
    """What stands between quotes; a backslash escapes a quote or a backslash, nothing else."""
    out: list[str] = []
    while position < len(text):
        character = text[position]
        position += 1
        if character == '"':
            break
        if character == "\\":
            escaped = text[position : position + 1]
            position += 1
            out.append(escaped if escaped in ('"', "\\", "") else f"\\{escaped}")
        elif character not in "\r\n":
            out.append(character)
    return "".join(out), position
