"""`evnt schema`: look at, check and draft schemas in any folder of Iglu's layout."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.schema_infer import NoExamples, examples, infer
from cli.schema_lint import Finding, lint, read_library
from cli.schema_verdict import Subject, subjects_in, verdicts
from cli.screen import screen
from enricher.iglu.resolver import IgluResolver
from shared.iglu.config import BUNDLED, ResolverRefused, load, open_resolver, parse
from shared.iglu.folder import read, schema_keys, schemas_folder
from shared.iglu.registry import Document, Failure, version_order
from shared.process import Misconfigured
from shared.schema import InvalidIgluUri, SchemaKey

app = typer.Typer(no_args_is_help=True, help="Look at, check and draft schemas in a folder of Iglu's layout.")

Folder = Annotated[
    Path, typer.Option("--folder", "-f", help="Folder in Iglu's layout; without it, the schemas that come with evnt.")
]
PlaceOf = Annotated[Path, typer.Argument(help="Folder in Iglu's layout; without it, the schemas that come with evnt.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
Source = Annotated[Path, typer.Argument(help="A file, or - for standard input.", allow_dash=True)]


@app.command("list")
def list_schemas(
    folder: PlaceOf = BUNDLED,
    vendor: Annotated[str, typer.Option("--vendor", help="Only vendors that start with this.")] = "",
    as_json: AsJson = False,
) -> None:
    """The schemas of a folder: vendor, name and versions."""
    keys = [key for key in schema_keys(_existing(folder)) if key.vendor.startswith(vendor)]
    if as_json:
        sys.stdout.writelines(json.dumps({"uri": key.uri, **key._asdict()}) + "\n" for key in keys)
        return
    table = Table("vendor", "name", "versions", box=None, pad_edge=False)
    for (owner, name), members in groupby(keys, lambda key: (key.vendor, key.name)):
        table.add_row(owner, name, " ".join(key.version for key in members))
    screen().print(table)


@app.command()
def show(
    schema: Annotated[str, typer.Argument(help="iglu:vendor/name/jsonschema/1-0-0, or vendor/name for the newest.")],
    folder: Folder = BUNDLED,
    as_json: AsJson = False,
) -> None:
    """One schema: what data it accepts."""
    key = _chosen(schema, _existing(folder))
    document = read(_existing(folder), key)
    if isinstance(document, Failure):
        absent = document.error == "NotFound"
        _refuse(f"{key.uri} is not in {folder}" if absent else f"{key.uri} can't be read: {document.message}")
        return
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        _print_schema(key, document)


@app.command("lint")
def lint_schemas(
    folder: Annotated[Path, typer.Argument(help="Folder in Iglu's layout.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on warnings too.")] = False,
    quiet: Annotated[bool, typer.Option("--errors-only", help="No warnings.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the schemas of a folder: names, versions, validity, patterns, bounds, breaking changes.

    Exit 1 on errors."""
    library = read_library(_existing(folder))
    found = [finding for finding in lint(library) if finding.level == "error" or not quiet]
    if as_json:
        sys.stdout.writelines(json.dumps(finding._asdict(), ensure_ascii=False) + "\n" for finding in found)
    else:
        sys.stdout.writelines(f"{_in_words(finding)}\n" for finding in found)
        errors = sum(finding.level == "error" for finding in found)
        warnings = len(found) - errors
        sys.stderr.write(f"{len(library.documents)} schemas, {errors} errors, {warnings} warnings\n")
    if any(strict or finding.level == "error" for finding in found):
        raise typer.Exit(1)


@app.command()
def validate(
    source: Source,
    schema: Annotated[
        str | None, typer.Option("--schema", help="URI of the schema, where the data do not name theirs.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", "-f", help="Folder in Iglu's layout, besides the schemas of evnt.")
    ] = None,
    resolver: Annotated[
        Path | None, typer.Option("--resolver", help="Resolver configuration (YAML or JSON) instead of a folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validate data: one JSON, or one a line, self-describing or with --schema. Exit 1 when something is not valid."""
    subjects = _read_subjects(_text(source), schema)
    found = asyncio.run(verdicts(subjects, _resolver(folder, resolver)))
    for subject, problems in zip(subjects, found, strict=True):
        _print_verdict(subject, problems, as_json=as_json)
    if any(found):
        raise typer.Exit(1)


@app.command("infer")
def infer_schema(
    source: Source,
    name: Annotated[str, typer.Option("--name", help="vendor/name, or a whole iglu: URI, of the new schema.")],
    enums: Annotated[bool, typer.Option("--enums", help="List the values of texts that take few.")] = False,
) -> None:
    """Draft a schema from examples, one a line: data, self-describing JSON, or enriched events."""
    key = _new_key(name)
    try:
        document = infer(examples(_text(source).split("\n"), key.vendor, key.name), key, enums=enums)
    except NoExamples as error:
        _refuse(f"nothing to infer {key.uri} from: {error}")
        return
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a folder")
    return schemas_folder(folder)


def _refuse(message: str) -> None:
    sys.stderr.write(message + "\n")
    raise typer.Exit(1)


def _text(source: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{source} can't be read: {error}") from error


def _key(uri: str) -> SchemaKey:
    try:
        return SchemaKey.parse(uri)
    except InvalidIgluUri as error:
        raise typer.BadParameter(f"{error} (expected iglu:vendor/name/jsonschema/1-0-0)") from error


def _new_key(name: str) -> SchemaKey:
    if name.startswith("iglu:"):
        return _key(name)
    return _key(f"iglu:{name}/jsonschema/1-0-0")


def _chosen(schema: str, root: Path) -> SchemaKey:
    if schema.startswith("iglu:") or schema.count("/") == 3:
        return _key(f"iglu:{schema.removeprefix('iglu:')}")
    known = [key for key in schema_keys(root) if f"{key.vendor}/{key.name}" == schema]
    if not known:
        raise typer.BadParameter(f"no version of {schema} in {root}")
    return max(known, key=version_order)


def _in_words(finding: Finding) -> str:
    return f"{finding.level}: {finding.file}: {finding.place}: {finding.message}"


def _print_schema(key: SchemaKey, document: Document) -> None:
    console = screen()
    console.print(Text(key.uri, style="bold"))
    if "description" in document:
        console.print(Text(str(document["description"])))
    table = Table("property", "type", "required", "bounds", "description", box=None, pad_edge=False)
    for row in _rows(document, ""):
        table.add_row(*map(Text, row))
    console.print(table)
    closed = document.get("additionalProperties") is False
    console.print(Text(f"additional properties: {'refused' if closed else 'accepted'}"))


def _rows(schema: Document, prefix: str) -> Iterator[tuple[str, ...]]:
    required = schema.get("required", [])
    for name, part in schema["properties"].items() if isinstance(schema.get("properties"), dict) else ():
        types = part.get("type", "anything")
        kind = types if isinstance(types, str) else " or ".join(types)
        yield f"{prefix}{name}", kind, "yes" if name in required else "", _bounds(part), part.get("description", "")
        yield from _rows(part, f"{prefix}{name}.")
        if isinstance(part.get("items"), dict):
            yield from _rows(part["items"], f"{prefix}{name}[].")


def _bounds(schema: Document) -> str:
    shown = (
        "enum",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "multipleOf",
        "minItems",
        "maxItems",
    )
    values = {keyword: schema[keyword] for keyword in shown if keyword in schema}
    return " ".join(f"{keyword} {_brief(value)}" for keyword, value in values.items())


def _brief(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _resolver(folder: Path | None, file: Path | None) -> IgluResolver:
    try:
        if file is not None:
            return _opened(load(file), file.parent)
        given = [] if folder is None else [_repository(folder)]
        return _opened(parse({"repositories": given}, "--folder"), Path())
    except ResolverRefused as error:
        raise Misconfigured("\n".join(error.problems)) from error


def _repository(folder: Path) -> dict[str, Any]:
    return {"name": str(folder), "connection": {"embedded": {"path": str(_existing(folder).absolute())}}}


def _opened(config: Any, folder: Path) -> IgluResolver:
    return IgluResolver(open_resolver(config, folder, time.time), time.time)


def _read_subjects(text: str, schema: str | None) -> list[Subject]:
    try:
        return list(subjects_in(text, None if schema is None else _key(schema).uri))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _print_verdict(subject: Subject, problems: list[str], *, as_json: bool) -> None:
    if as_json:
        verdict = {"place": subject.place, "schema": subject.uri, "valid": not problems, "problems": problems}
        sys.stdout.write(json.dumps(verdict, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(f"{'not valid' if problems else 'valid'}: {subject.place}: {subject.uri or 'no schema'}\n")
    sys.stdout.writelines(f"  {problem}\n" for problem in problems)
