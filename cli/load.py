"""`evnt load`: fill the warehouse with enriched events from files."""

import asyncio
import signal
import time
import zlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, TextIO
from uuid import uuid4

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from loader.__main__ import AHEAD, until_stopped
from loader.backfill import STDIN, Backfill, Place, Reject, State, sources
from loader.columns import TableColumns
from loader.documents import open_documents
from loader.metrics import LoaderMetrics
from loader.patience import GivenUp, Patience
from loader.settings import LoaderSettings
from loader.store import EventStore
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import TableName, Unavailable
from shared.settings import load as load_settings
from shared.telemetry import configure

Paths = Annotated[
    list[Path], typer.Argument(help="Files, plain or .gz; folders, searched through; - for standard input.")
]
Failed = Annotated[bool, typer.Option("--failed", help="Into the table of failed events.")]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Ask ClickHouse which events it holds, before every block, of files loaded before too: slower."
    ),
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Where to keep how far each file is loaded. [default: load.json in data_dir, or load-failed.json]",
    ),
]
RejectsFile = Annotated[
    Path, typer.Option("--rejects", help="Where lines go that can't be loaded, as bad rows, one JSON object a line.")
]


def load(
    paths: Paths,
    failed: Failed = False,
    check: Check = False,
    state: StateFile = None,
    rejects: RejectsFile = Path("rejects.jsonl"),
) -> None:
    """Load enriched events (TSV, as Snowplow's enrich or evnt write it) into ClickHouse.

    May be stopped and started again: it goes on where it was, and what is sent twice is stored once. Exit 1 when
    lines were rejected or a file could not be read.
    """
    settings = load_settings(LoaderSettings)
    configure(settings.logging, "load")
    try:
        names = [path for path in paths if str(path) != STDIN]
        files = sources(names)
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{error} is not there") from error
    if not rejects.parent.is_dir():
        raise typer.BadParameter(f"{rejects.parent} is not a folder", param_hint="--rejects")
    table: TableName = "events_failed" if failed else "events"
    state = state or settings.data_dir / ("load-failed.json" if failed else "load.json")
    run = Run(settings, table, check, _state(state, check), rejects)
    if not asyncio.run(run.all(files, stdin=len(names) < len(paths))):
        raise typer.Exit(1)


def _state(file: Path, again: bool) -> State:
    try:
        return State(file, again)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} can't be read: {error}", param_hint="--state") from error


class Run:
    """One call of the command."""

    def __init__(self, settings: LoaderSettings, table: TableName, check: bool, state: State, rejects: Path) -> None:
        self._settings = settings
        self._table = table
        self._check = check
        self._state = state
        self._rejects = Rejects(rejects)
        self._console = Console(stderr=True)
        self._unreadable = 0

    async def all(self, files: Sequence[Path], stdin: bool) -> bool:
        """Whether every line of every file is in the table."""
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with AsyncExitStack() as stack:
            stack.callback(self._rejects.close)
            try:
                backfill = await self._backfill(stack, stopping)
                places = [await self._file(backfill, file) for file in files if not stopping.is_set()]
                if stdin:
                    places.append(await backfill.load_stdin(lambda _position: None))
            except GivenUp:
                self._console.print("stopped while ClickHouse could not be reached; start again to go on")
                return False
        return self._sum_up(places, stopping.is_set())

    async def _backfill(self, stack: AsyncExitStack, stopping: asyncio.Event) -> Backfill:
        loader = self._settings.loader
        metrics = LoaderMetrics(CollectorRegistry())
        patience = Patience(loader.retry, stopping, metrics.retries.inc)
        documents = open_documents(loader.iglu, time.time)
        stack.push_async_callback(documents.close)
        warehouse = ClickHouse(self._settings.clickhouse)
        stack.push_async_callback(warehouse.close)
        await self._reach(warehouse, patience, stopping)
        columns = TableColumns(warehouse, self._table, documents, loader.max_schema_columns)
        run = str(uuid4()) if self._check else ""
        store = EventStore(warehouse, self._table, columns, patience, metrics, loader.inserts_in_flight, run)
        under_way = loader.inserts_in_flight + AHEAD[self._table]
        return Backfill(store, loader.batch, under_way, self._check, stopping, self._rejects.add)

    async def _reach(self, warehouse: ClickHouse, patience: Patience, stopping: asyncio.Event) -> None:
        """Wait for ClickHouse, and say so. Raises GivenUp."""
        try:
            await warehouse.run("SELECT 1")
        except Unavailable as error:
            self._console.print(f"{error}; waiting for it, Ctrl-C to stop", soft_wrap=True)
        await until_stopped(patience(warehouse.prepare), stopping)

    async def _file(self, backfill: Backfill, file: Path) -> Place:
        if (place := self._state.place(file)).done:
            self._console.print(f"{file}: loaded before", soft_wrap=True)
            return place
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=self._console) as progress:
            bar = progress.add_task(file.name, total=_size(file))
            try:
                return await backfill.load_file(
                    file, self._state, lambda position: progress.update(bar, completed=position)
                )
            except (OSError, EOFError, zlib.error) as error:
                self._unreadable += 1
                self._console.print(f"{file}: can't be read on: {error}")
                return self._state.place(file)

    def _sum_up(self, places: Sequence[Place], stopped: bool) -> bool:
        rows, rejected = sum(place.rows for place in places), sum(place.rejected for place in places)
        self._console.print(
            f"{rows:,} events in {self._table}" + (", stopped; start again to go on" if stopped else "")
        )
        if rejected:
            lines = "1 line" if rejected == 1 else f"{rejected:,} lines"
            self._console.print(f"{lines} rejected: {self._rejects.file}", soft_wrap=True)
        return not (rejected or stopped or self._unreadable)


def _size(file: Path) -> int:
    return file.stat().st_size


class Rejects:
    """The file of rejected lines; not there until there is one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._out: TextIO | None = None

    def add(self, reject: Reject) -> None:
        self._out = self._out or self.file.open("a", encoding="utf-8")
        self._out.write(reject.json() + "\n")
        self._out.flush()

    def close(self) -> None:
        if self._out:
            self._out.close()
