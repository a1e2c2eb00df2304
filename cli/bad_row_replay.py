"""`evnt bad-rows replay`: give what bad rows were made of back to the streams, after what made them fail was mended."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, NamedTuple

import typer

from cli.bad_row_restore import STREAMS, Impossible, Original, message, restore
from cli.bad_rows import PAGE, AppId, Since, Type, Wanted, fitting, one, pages_till_now, wanted_by
from cli.giving import give
from shared.badrow import parsed
from shared.identity import now_ms
from shared.settings import SharedSettings, load
from shared.stream import open_log, open_publisher
from shared.stream.contract import LogReader, Publisher, StreamUnavailable

#: Instead of numbers: the rows come from standard input.
STDIN = "-"

_EVERYTHING = Wanted(None, None, None)

Numbers = Annotated[
    list[str] | None,
    typer.Argument(help="Rows by their numbers, as `list` prints them; - for rows from standard input, one a line."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say where each would go.")]


class Row(NamedTuple):
    """name: what a person finds it by."""

    name: str
    document: Any


def replay(
    numbers: Numbers = None,
    type_: Type = None,
    app_id: AppId = None,
    since_: Since = None,
    dry_run: DryRun = False,
) -> None:
    """Give what bad rows were made of back to the streams, after what made them fail was mended.

    Times, addresses and event ids stay what they were, so doing it twice makes no second event. The rows stay in the
    log; what fails again makes a new one. While a stream takes no more it waits. Exit 1 when some can't be given back.
    """
    wanted = wanted_by(type_, app_id, since_)
    if bool(numbers) == (wanted != _EVERYTHING):
        raise typer.BadParameter("say which: numbers, or - for standard input, or --type, --app-id, --since")
    given, kept = asyncio.run(_replay(numbers, wanted, dry_run))
    parts = [f"{given[stream]} to {stream}" for stream in STREAMS if given[stream]]
    verb = "would be given back" if dry_run else "given back"
    sys.stdout.write(f"{verb}: {', '.join(parts) or 'nothing'}\n")
    if kept:
        raise typer.Exit(1)


async def _replay(numbers: Sequence[str] | None, wanted: Wanted, dry_run: bool) -> tuple[Counter[str], int]:
    """How many were given back to each stream, and how many can't be."""
    settings = load(SharedSettings)
    given: Counter[str] = Counter()
    kept = 0
    async with open_log(settings, "bad-rows") as reader, open_publisher(settings) as publisher:
        if not publisher.ready and not dry_run:
            raise StreamUnavailable("it takes nothing: nothing was given back")
        async for rows in _rows(reader, numbers, wanted):
            found, refused = _restored(rows)
            if dry_run:
                sys.stdout.writelines(f"{row.name}: {original.stream}\n" for row, original in found)
            else:
                refused |= await _publish(publisher, found)
            kept += len(refused)
            sys.stderr.writelines(f"{name}: {reason}\n" for name, reason in refused.items())
            given.update(original.stream for row, original in found if row.name not in refused)
    return given, kept


def _restored(rows: Sequence[Row]) -> tuple[list[tuple[Row, Original]], dict[str, str]]:
    """What can be given back, and of the others why not, by name."""
    found: list[tuple[Row, Original]] = []
    refused: dict[str, str] = {}
    for row in rows:
        original = restore(row.document)
        if isinstance(original, Impossible):
            refused[row.name] = original.reason
        else:
            found.append((row, original))
    return found, refused


# ---- which --------------------------------------------------------------------------------------------------------


async def _rows(reader: LogReader, numbers: Sequence[str] | None, wanted: Wanted) -> AsyncIterator[list[Row]]:
    if not numbers:
        async for rows in _fitting(reader, wanted):
            yield rows
    elif STDIN in numbers:
        for rows in _read(numbers):
            yield rows
    else:
        yield await _named(numbers)


async def _fitting(reader: LogReader, wanted: Wanted) -> AsyncIterator[list[Row]]:
    """What is given back may fail again, and stand at the end of the log."""
    async for records in pages_till_now(reader):
        yield [Row(str(row.number), row.document) for row in fitting(records, wanted)]


async def _named(numbers: Sequence[str]) -> list[Row]:
    """All of them, or none is given back."""
    rows = []
    for text in dict.fromkeys(numbers):
        found = await one(int(text)) if text.isdecimal() and int(text) < 2**63 else None
        if found is None:
            raise typer.BadParameter(f"there is no bad row {text}: nothing was given back")
        rows.append(Row(text, found.document))
    return rows


def _read(numbers: Sequence[str]) -> Iterator[list[Row]]:
    if len(numbers) > 1:
        raise typer.BadParameter("numbers, or - for standard input, not both")
    rows = (Row(f"line {place}", _document(line)) for place, line in enumerate(sys.stdin.buffer, 1) if line.strip())
    while page := list(islice(rows, PAGE)):
        yield page


def _document(line: bytes) -> Any:
    """A bad row, or what `--json` prints of one; None where it is no JSON."""
    try:
        value = parsed(line)
    except ValueError:
        return None
    return value["bad_row"] if isinstance(value, dict) and "bad_row" in value else value


# ---- publishing ---------------------------------------------------------------------------------------------------


async def _publish(publisher: Publisher, found: Sequence[tuple[Row, Original]]) -> dict[str, str]:
    """Those that no stream takes, and why."""
    made = [(row.name, original.stream, message(row.document, original, now_ms())) for row, original in found]
    refused: dict[str, str] = {}
    for stream in STREAMS:
        mine = {name: sent for name, where, sent in made if where == stream}
        refused |= await give(publisher, stream, mine)
    return refused
