"""`evnt bad-rows`: look at what failed, on either transport, without consuming anything."""

import asyncio
import json
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.bad_row_view import application, brief, original, reasons
from cli.giving import PAUSE_S
from cli.screen import screen
from cli.since import since
from shared.badrow import parsed
from shared.identity import now_ms
from shared.settings import SharedSettings, load
from shared.stream import FOLDER, open_log
from shared.stream.contract import LogReader, LogRecord, StreamUnavailable

app = typer.Typer(no_args_is_help=True, help="Look at what failed, and why, and give it back. Nothing is consumed.")

#: Most rows that are shown: they are held in memory.
MOST = 1_000_000

#: Records asked for at once; a record may have a megabyte.
PAGE = 200

#: Seconds without a further record after which a log counts as read to its end; a broker counts its newest ones late.
END_S = 0.5

#: Seconds that `tail` waits for a further record before it asks again.
PATIENCE_S = 5.0

Type = Annotated[str | None, typer.Option("--type", help="Only this type, such as schema_violations.")]
AppId = Annotated[str | None, typer.Option("--app-id", help="Only of this application.")]
Since = Annotated[str | None, typer.Option("--since", help="Only after: 15m, 2h, 7d, or 2026-01-31T12:00 (UTC).")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, max=MOST, help="How many of the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


@dataclass(frozen=True)
class BadRow:
    """A record of the log, understood."""

    number: int
    timestamp_ms: int
    type: str
    app_id: str | None
    reasons: list[str]
    payload: Any
    document: Any

    @property
    def time(self) -> str:
        moment = datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.timestamp_ms % 1000:03d}Z"


@dataclass(frozen=True)
class Wanted:
    """What the options ask for; every one that is set must fit."""

    type: str | None
    app_id: str | None
    since_ms: int | None

    def fits(self, row: BadRow) -> bool:
        return self.type in (None, row.type) and self.app_id in (None, row.app_id)

    def may_fit(self, record: LogRecord) -> bool:
        """Decided without reading the body, since a log may hold a gigabyte."""
        kind = record.message.headers.get("type")
        fresh = self.since_ms is None or record.message.timestamp_ms >= self.since_ms
        return fresh and (None in (self.type, kind) or kind == self.type)


@app.command("list")
def list_rows(
    type_: Type = None, app_id: AppId = None, since_: Since = None, limit: Limit = 20, as_json: AsJson = False
) -> None:
    """The newest bad rows, oldest of them first: number, time, type, application and reason of each."""
    wanted = wanted_by(type_, app_id, since_)
    rows = asyncio.run(_newest(wanted, limit))
    if as_json:
        _write_lines(rows)
    elif rows:
        _write_table(rows)
    else:
        fit = " that fit" if wanted != Wanted(None, None, None) else ""
        sys.stderr.write(f"no bad rows{fit} in {_place(load(SharedSettings))}\n")


def _place(settings: SharedSettings) -> str:
    """Where it looked: in another folder than that of the pipeline there is never anything."""
    if settings.ingest.mode == "direct":
        return f"{(settings.data_dir / FOLDER).absolute()} (data_dir)"
    return f"the broker at {settings.ingest.rabbitmq.host}:{settings.ingest.rabbitmq.port}"


@app.command()
def show(
    number: Annotated[int, typer.Argument(max=2**63 - 1, help="Number of the row, as `list` prints it.")],
    as_json: AsJson = False,
) -> None:
    """One bad row in full: every reason, and the original payload decoded, without its nulls unless as JSON."""
    row = asyncio.run(one(number))
    if row is None:
        sys.stderr.write(
            f"there is no bad row {number}; it may have aged out of the log, but the table bad_rows has it\n"
        )
        raise typer.Exit(1)
    if as_json:
        _write_lines([row])
    else:
        _write_row(row)


@app.command()
def tail(
    type_: Type = None, app_id: AppId = None, since_: Since = None, limit: Limit = 10, as_json: AsJson = False
) -> None:
    """The newest bad rows, then further ones as they come, until Ctrl-C."""
    wanted = wanted_by(type_, app_id, since_)
    with suppress(asyncio.CancelledError):
        asyncio.run(_follow(wanted, limit, as_json=as_json))


def understood(record: LogRecord) -> BadRow:
    """What a record says; a body that is no bad row is shown as it is."""
    try:
        document = parsed(record.message.body)
        row, kind = document["data"], document["schema"].split("/")[1]
        payload = original(row)
        said = application(payload), reasons(row), payload, document
        return BadRow(record.offset, record.message.timestamp_ms, kind, *said)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        text = record.message.body.decode("utf-8", "replace")
        return BadRow(record.offset, record.message.timestamp_ms, "unknown", None, ["not a bad row"], text, text)


async def pages(reader: LogReader, after: int | None, wait_s: float = END_S) -> AsyncIterator[list[LogRecord]]:
    """The rest of the log, up to where nothing comes for `wait_s` seconds."""
    while records := await reader.read(after, PAGE, wait_s):
        yield records
        after = records[-1].offset


async def pages_till_now(
    reader: LogReader, size: int = PAGE, pause_s: float = PAUSE_S
) -> AsyncIterator[list[LogRecord]]:
    """The log up to where it ends now, for who adds to it while reading.

    Once begun it waits for a broker that goes away, as publishing does: or all would be given back from the beginning.
    """
    end = await reader.newest()
    after: int | None = None
    while end is not None and (after is None or after < end):
        try:
            records = await reader.read(after, size, END_S)
        except StreamUnavailable as error:
            sys.stderr.write(f"{error}; trying again, Ctrl-C to stop\n")
            await asyncio.sleep(pause_s)
            continue
        if not records:  # what is left has aged out
            return
        yield [record for record in records if record.offset <= end]
        after = records[-1].offset


def fitting(records: Iterable[LogRecord], wanted: Wanted) -> list[BadRow]:
    candidates = (understood(record) for record in records if wanted.may_fit(record))
    return [row for row in candidates if wanted.fits(row)]


async def _newest(wanted: Wanted, limit: int) -> list[BadRow]:
    async with open_log(load(SharedSettings), "bad-rows") as reader:
        return (await _read_all(reader, wanted, limit))[0]


async def _read_all(reader: LogReader, wanted: Wanted, limit: int) -> tuple[list[BadRow], int | None]:
    """The newest rows that fit, and where the log ended."""
    kept: deque[BadRow] = deque(maxlen=limit)
    end: int | None = None
    async for records in pages(reader, None):
        kept.extend(fitting(records, wanted))
        end = records[-1].offset
    return list(kept), end


async def one(number: int) -> BadRow | None:
    async with open_log(load(SharedSettings), "bad-rows") as reader:
        records = await reader.read(number - 1 if number else None, 1, END_S)
    return understood(records[0]) if records and records[0].offset == number else None


async def _follow(wanted: Wanted, limit: int, *, as_json: bool) -> None:
    """Until SIGINT or SIGTERM, also in a shell's background, where Python would ignore the former."""
    following = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: following and following.cancel())
    async with open_log(load(SharedSettings), "bad-rows") as reader:
        rows, end = await _read_all(reader, wanted, limit)
        _write(rows, as_json=as_json)
        while True:
            async for records in pages(reader, end, PATIENCE_S):
                _write(fitting(records, wanted), as_json=as_json)
                end = records[-1].offset


def wanted_by(type_: str | None, app_id: str | None, since_: str | None) -> Wanted:
    try:
        return Wanted(type_, app_id, since(since_, now_ms()) if since_ else None)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _write(rows: list[BadRow], *, as_json: bool) -> None:
    if as_json:
        _write_lines(rows)
    else:
        sys.stdout.writelines(f"{row.number}  {_line(row)}\n" for row in rows)
    sys.stdout.flush()


def _line(row: BadRow) -> str:
    return "  ".join((row.time, row.type, row.app_id or "-", _first_reason(row)))


def _write_lines(rows: Iterable[BadRow]) -> None:
    sys.stdout.writelines(json.dumps(_as_object(row), ensure_ascii=False) + "\n" for row in rows)


def _as_object(row: BadRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "time": row.time,
        "type": row.type,
        "app_id": row.app_id,
        "reasons": row.reasons,
        "payload": row.payload,
        "bad_row": row.document,
    }


def _write_table(rows: list[BadRow]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("number", "time", "type", "app_id"):
        table.add_column(title, no_wrap=True)
    table.add_column("reason", overflow="ellipsis", no_wrap=True)
    for row in rows:
        cells = (str(row.number), row.time, row.type, row.app_id or "-", _first_reason(row))
        table.add_row(*(Text(cell) for cell in cells))
    screen().print(table)


def _first_reason(row: BadRow) -> str:
    more = f" (and {len(row.reasons) - 1} more)" if len(row.reasons) > 1 else ""
    return row.reasons[0].replace("\n", " ") + more


def _write_row(row: BadRow) -> None:
    processor = row.document["data"].get("processor", {}) if isinstance(row.document, dict) else {}
    console = screen()
    heading = {
        "number": str(row.number),
        "time": row.time,
        "type": row.type,
        "app_id": row.app_id or "-",
        "processor": " ".join(map(str, processor.values())) or "-",
    }
    for name, value in heading.items():
        console.print(Text(f"{name:<10} {value}"))
    console.print(Text("\n".join(["", "Why:", *(f"  {reason}" for reason in row.reasons), "", "Original:"])))
    console.print_json(json.dumps(brief(row.payload)), ensure_ascii=False)
