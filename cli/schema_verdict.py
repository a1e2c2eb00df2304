"""Whether data conform to the schemas they name."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from enricher.iglu.contract import InvalidSchema, NotResolved, RegistriesUnavailable, Report, Resolution
from enricher.iglu.resolver import IgluResolver
from shared.schema import InvalidIgluUri


class Subject(NamedTuple):
    """place: where it stands in the source. uri: of its schema, None where it names none. problem: it is no data."""

    place: str
    uri: str | None
    data: Any
    problem: str | None = None


class _NotJson(NamedTuple):
    reason: str


def subjects_in(text: str, uri: str | None) -> Iterator[Subject]:
    """`uri`: of the schema of everything in the text; None where the data name their own.

    A line that is no JSON is a subject like the others; raises ValueError where nothing is JSON."""
    for place, value in _values(text):
        if isinstance(value, _NotJson):
            yield Subject(place, uri, None, f"not JSON: {value.reason}")
        elif uri is not None:
            yield Subject(place, uri, value)
        else:
            yield from _described(place, value)


def _values(text: str) -> list[tuple[str, Any]]:
    """The whole text as one JSON, else each of its lines."""
    whole = _parsed(text)
    if not isinstance(whole, _NotJson):
        return [("$", whole)]
    numbered = [(f"line {number}", line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    values = [(place, _parsed(line)) for place, line in numbered]
    if all(isinstance(value, _NotJson) for _, value in values):
        raise ValueError(f"neither the whole nor any line is JSON: {whole.reason}")
    return values


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return _NotJson(str(error))


def _described(place: str, value: Any) -> Iterator[Subject]:
    """A self-describing JSON, and those that lie in its data (contexts, unstruct events)."""
    if not isinstance(value, dict) or not isinstance(value.get("schema"), str) or "data" not in value:
        yield Subject(place, None, value)
        return
    yield Subject(place, value["schema"], value["data"])
    inner = value["data"] if isinstance(value["data"], list) else [value["data"]]
    for number, part in enumerate(inner):
        if isinstance(part, dict) and {"schema", "data"} == part.keys():
            where = f"data[{number}]" if isinstance(value["data"], list) else "data"
            yield from _described(f"{place}.{where}", part)


async def verdicts(subjects: list[Subject], resolver: IgluResolver) -> list[list[str]]:
    """What is wrong with each of them."""
    try:
        return [await _verdict(subject, resolver) for subject in subjects]
    finally:
        await resolver.close()


async def _verdict(subject: Subject, resolver: IgluResolver) -> list[str]:
    if subject.problem is not None:
        return [subject.problem]
    if subject.uri is None:
        return ["not self-describing: name its schema with --schema"]
    try:
        schema = await resolver.resolve(subject.uri)
    except (InvalidIgluUri, RegistriesUnavailable) as error:
        return [str(error)]
    return [_worded(problem) for problem in _problems(schema, subject)]


def _problems(schema: Resolution, subject: Subject) -> list[Report | str]:
    if isinstance(schema, NotResolved):
        return [f"schema {subject.uri} not found: {json.dumps(schema.lookup_history)}"]
    if isinstance(schema, InvalidSchema):
        return [f"invalid schema {subject.uri}: {issue.message}" for issue in schema.issues]
    return list(schema.reports(subject.data))


def _worded(problem: Report | str) -> str:
    return problem if isinstance(problem, str) else problem.message
