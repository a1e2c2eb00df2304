"""What is wrong, or unwise, with the schemas of a static folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from jsonschema import Draft4Validator

from cli.schema_changes import breaking
from enricher.iglu.compiled import issues
from enricher.iglu.formats import CHECKS
from enricher.iglu.patterns import translate
from shared.iglu.registry import Document, Failure, version_order
from shared.iglu.resolver import superseding
from shared.schema import InvalidIgluUri, SchemaKey

SELF_DESCRIBING: Final = "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#"

_KNOWN_KEYWORDS: Final = {
    *Draft4Validator.META_SCHEMA["properties"],
    "$ref",
    "$supersededBy",
    "examples",
    "format",
    "self",
}
_LOWER_AND_UPPER: Final = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


class Finding(NamedTuple):
    """place: where in the schema, as `$.properties.a`."""

    level: Literal["error", "warning"]
    file: str
    place: str
    message: str


class Library(NamedTuple):
    """The schemas of a folder that can be read, and what is wrong with the other files."""

    documents: dict[SchemaKey, Document]
    findings: list[Finding]


def read_library(root: Path) -> Library:
    documents: dict[SchemaKey, Document] = {}
    findings: list[Finding] = []
    for file in sorted(file for file in root.rglob("*") if file.is_file() and not _is_hidden(file, root)):
        result = _read(root, file)
        if isinstance(result, Finding):
            findings.append(result)
        elif result is not None:
            documents[result[0]] = result[1]
    return Library(documents, findings)


def lint(library: Library) -> list[Finding]:
    """Errors first, then warnings, each in order of file."""
    found = list(library.findings)
    for key, document in library.documents.items():
        found += _identity(key, document)
        found += _content(key, document)
        found += _superseding(key, document, library.documents)
    found += _versions({key: document for key, document in library.documents.items() if not issues(document)})
    return sorted(found, key=lambda finding: (finding.level, finding.file, finding.place))


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _read(root: Path, file: Path) -> tuple[SchemaKey, Document] | Finding | None:
    name = file.relative_to(root).as_posix()
    try:
        key = SchemaKey.parse("iglu:" + name)
    except InvalidIgluUri:
        return Finding("error", name, "$", "does not lie at <vendor>/<name>/<format>/<model>-<revision>-<addition>")
    if key.format != "jsonschema":
        return None
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, OSError) as error:
        return Finding("error", name, "$", f"is not JSON: {error}")
    return (key, document) if isinstance(document, dict) else Finding("error", name, "$", "is not a JSON object")


def _identity(key: SchemaKey, document: Document) -> Iterator[Finding]:
    if document.get("$schema") != SELF_DESCRIBING:
        yield Finding("error", key.path, "$.$schema", f"must be {SELF_DESCRIBING}")
    described = document.get("self")
    if not isinstance(described, dict):
        yield Finding("error", key.path, "$.self", "is missing: a schema names itself")
        return
    for part, expected in key._asdict().items():
        if described.get(part) != expected:
            yield Finding("error", key.path, f"$.self.{part}", f"is {described.get(part)!r}, but lies at {expected!r}")


def _content(key: SchemaKey, document: Document) -> Iterator[Finding]:
    invalid = issues(document)
    for issue in invalid:
        yield Finding("error", key.path, issue.path, issue.message.removeprefix(f"{issue.path}: "))
    if not invalid:
        yield from (Finding(level, key.path, place, text) for level, place, text in _advice(document, "$"))


def _superseding(key: SchemaKey, document: Document, documents: Mapping[SchemaKey, Document]) -> Iterator[Finding]:
    """What stands in for a schema has to be newer, and to lie in the same registry."""
    if "$supersededBy" in document:
        newer = superseding(key, document["$supersededBy"])
        if isinstance(newer, Failure):
            yield Finding("error", key.path, "$.$supersededBy", str(newer.message))
        elif newer not in documents:
            yield Finding("error", key.path, "$.$supersededBy", f"{newer.version} is not in this folder")


_Advice = tuple[Literal["error", "warning"], str, str]


def _advice(schema: Any, place: str) -> Iterator[_Advice]:
    if not isinstance(schema, dict):
        return
    yield from _patterns(schema, place)
    yield from _contradictions(schema, place)
    yield from _unbounded(schema, place)
    if not str(schema.get("$ref", "#")).startswith("#"):
        yield "warning", place, f"the reference {schema['$ref']} leads to another document and accepts everything"
    for keyword in sorted(schema.keys() - _KNOWN_KEYWORDS):
        yield "warning", place, f"{keyword} is no keyword and means nothing"
    for below, part in _parts(schema):
        yield from _advice(part, f"{place}.{below}")


def _parts(schema: Document) -> Iterator[tuple[str, Any]]:
    for keyword in ("definitions", "dependencies", "patternProperties", "properties"):
        yield from ((f"{keyword}.{name}", part) for name, part in schema.get(keyword, {}).items())
    for keyword in ("additionalItems", "additionalProperties", "items", "not"):
        yield keyword, schema.get(keyword)
    for keyword in ("allOf", "anyOf", "items", "oneOf"):
        members = schema.get(keyword)
        yield from ((f"{keyword}[{n}]", part) for n, part in enumerate(members if isinstance(members, list) else []))


def _patterns(schema: Document, place: str) -> Iterator[_Advice]:
    for pattern in [schema["pattern"]] if "pattern" in schema else [*schema.get("patternProperties", {})]:
        translated = translate(pattern)
        if translated is None:
            yield "error", place, f"the pattern {pattern} can not be compiled and would be ignored"
        elif translated.fast is None:
            yield "warning", place, f"the pattern {pattern} is beyond the fast engine: validation costs a hundredfold"
    if isinstance(schema.get("format"), str) and schema["format"] not in CHECKS:
        yield "warning", place, f"the format {schema['format']} is unknown and accepts everything"


def _contradictions(schema: Document, place: str) -> Iterator[_Advice]:
    for lower, upper in _LOWER_AND_UPPER:
        if lower in schema and upper in schema and schema[lower] > schema[upper]:
            yield "error", place, f"{lower} {schema[lower]} is above {upper} {schema[upper]}: nothing conforms"
    unknown = [name for name in schema.get("required", []) if name not in schema.get("properties", {})]
    if unknown and "properties" in schema:
        closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        text = f"required, but not among the properties: {', '.join(unknown)}"
        yield ("error" if closed else "warning"), place, text


def _unbounded(schema: Document, place: str) -> Iterator[_Advice]:
    types = schema.get("type", [])
    kinds = {types} if isinstance(types, str) else set(types)
    if "string" in kinds and not schema.keys() & {"maxLength", "enum", "format", "pattern"}:
        yield "warning", place, "text without maxLength"
    if kinds & {"integer", "number"} and "enum" not in schema and not {"minimum", "maximum"} <= schema.keys():
        yield "warning", place, "number without minimum and maximum"
    if "array" in kinds and "items" not in schema:
        yield "warning", place, "array without items"


def _versions(documents: dict[SchemaKey, Document]) -> Iterator[Finding]:
    def family(key: SchemaKey) -> tuple[str, str]:
        return key.vendor, key.name

    for _, members in groupby(sorted(documents, key=lambda key: (family(key), version_order(key))), family):
        keys = list(members)
        yield from _gaps(keys)
        for older, newer in pairwise(keys):
            if older.model == newer.model:
                yield from _changes(older, newer, documents)


def _gaps(keys: Sequence[SchemaKey]) -> Iterator[Finding]:
    if keys[0].version != "1-0-0":
        yield Finding("warning", keys[0].path, "$", "versions start with 1-0-0")
    for older, newer in pairwise(keys):
        model, revision, addition = version_order(older)
        following = [(model, revision, addition + 1), (model, revision + 1, 0), (model + 1, 0, 0)]
        if version_order(newer) not in following:
            wanted = " or ".join("-".join(map(str, version)) for version in following)
            yield Finding("warning", newer.path, "$", f"leaves a gap: after {older.version} comes {wanted}")


def _changes(older: SchemaKey, newer: SchemaKey, documents: dict[SchemaKey, Document]) -> Iterator[Finding]:
    """An addition accepts all that its predecessor accepted; a revision may refuse some of it."""
    is_addition = version_order(older)[:2] == version_order(newer)[:2]
    for place, change in breaking(documents[older], documents[newer]):
        text = f"{change}: data of {older.version} may be refused"
        hint = ", which an addition must not do" if is_addition else ""
        yield Finding("error" if is_addition else "warning", newer.path, place, text + hint)
