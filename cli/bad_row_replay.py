"""`evnt bad-rows replay`: give what bad rows were made of back to the streams, after what made them fail was mended."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Any, NamedTuple

import typer

from cli.bad_row_restore import STREAMS, Impossible, Original, Taking, message, restore
from cli.bad_rows import PAGE, AppId, Since, Type, Wanted, fitting, one, pages_till_now, wanted_by
from cli.giving import give
from shared.badrow import parsed
from shared.identity import now_ms
from shared.settings import SharedSettings, load
from shared.stream import open_log, open_publisher
from shared.stream.contract import LogReader, Message, Publisher, StreamUnavailable

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


@dataclass(slots=True)
class Counts:
    """Rows: given back, by stream; that can't be; and of originals that an earlier row has given back."""

    given: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    again: int = 0

    @property
    def told(self) -> str:
        parts = [f"{self.given[stream]} to {stream}" for stream in STREAMS if self.given[stream]]
        again = f"; {self.again} more rows are of the same" if self.again else ""
        return f"{', '.join(parts) or 'nothing'}{again}"


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
    counts = Counts()
    verb = "would be given back" if dry_run else "given back"
    try:
        asyncio.run(_replay(numbers, wanted, dry_run, counts))
    except KeyboardInterrupt:
        sys.stdout.write(f"stopped; {verb}: {counts.told}\n")
        raise
    sys.stdout.write(f"{verb}: {counts.told}\n")
    if counts.kept:
        raise typer.Exit(1)


async def _replay(numbers: Sequence[str] | None, wanted: Wanted, dry_run: bool, counts: Counts) -> None:
    settings = load(SharedSettings)
    seen: set[str] = set()
    async with open_log(settings, "bad-rows") as reader, open_publisher(settings) as publisher:
        if not publisher.ready and not dry_run:
            raise StreamUnavailable("it takes nothing: nothing was given back")
        async for rows in _rows(reader, numbers, wanted):
            restored, refused = _restored(rows)
            found = _new(restored, seen)
            counts.again += len(restored) - len(found)
            if dry_run:
                sys.stdout.writelines(f"{name}: {stream}\n" for name, (stream, _) in found.items())
            else:
                refused |= await _publish(publisher, found)
            counts.kept += len(refused)
            sys.stderr.writelines(f"{name}: {reason}\n" for name, reason in refused.items())
            counts.given.update(stream for name, (stream, _) in found.items() if name not in refused)


def _new(restored: Sequence[tuple[Row, Original]], seen: set[str]) -> dict[str, tuple[Taking, Message]]:
    """What becomes of rows, by their names, without what earlier ones became: one request may make several rows, and
    what fails again makes a new one."""
    found: dict[str, tuple[Taking, Message]] = {}
    for row, original in restored:
        made = message(original, now_ms())
        if made.message_id not in seen:
            found[row.name] = original.stream, made
            seen.add(made.message_id)
    return found


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


async def _publish(publisher: Publisher, found: Mapping[str, tuple[Taking, Message]]) -> dict[str, str]:
    """Those that no stream takes, and why."""
    refused: dict[str, str] = {}
    for stream in STREAMS:
        mine = {name: sent for name, (where, sent) in found.items() if where == stream}
        refused |= await give(publisher, stream, mine)
    return refused
