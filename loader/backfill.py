"""Enriched TSV from files into the warehouse: in blocks that are the same on every run, so that one that is sent twice
is stored once, and with a state that says where to go on."""

import asyncio
import gzip
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from loader import badrows, dedupe
from loader.chunk import Chunk, read
from loader.settings import BatchSettings
from loader.store import EventStore

#: Name of standard input on the command line.
STDIN = "-"


class Block(NamedTuple):
    """Lines that go in together. first: number of the first one, from 1. end: offset behind them, uncompressed.
    position: bytes of the file that were read for it, as they lie on the disk."""

    lines: list[bytes]
    first: int
    end: int
    position: int


@dataclass
class Place:
    """How far a file is loaded. size: of the file then, as it lies on the disk."""

    offset: int = 0
    lines: int = 0
    rows: int = 0
    rejected: int = 0
    size: int = 0
    done: bool = False


class State:
    """Places by file, in one JSON file that is replaced as a whole after every block."""

    def __init__(self, file: Path, again: bool = False) -> None:
        """again: files that are loaded to their end begin anew. Raises ValueError where the file is none of these,
        or OSError."""
        self._file = file
        self._again = again
        known = json.loads(file.read_text("utf-8")) if file.exists() else {}
        try:
            self._places = {name: Place(**place) for name, place in known.items()}
        except (AttributeError, TypeError) as error:
            raise ValueError("this is no file that says how far others are loaded") from error

    def knows(self, source: Path) -> bool:
        """Whether loading it was begun before."""
        return _name(source) in self._places

    def place(self, source: Path) -> Place:
        """Where to go on; from the start where the file is new, has become shorter, or is to be loaded again."""
        place = self._places.get(_name(source), Place())
        size = source.stat().st_size
        if size < place.size or (self._again and place.done):
            return Place(size=size)
        return Place(**{**asdict(place), "size": size, "done": place.done and size == place.size})

    def save(self, source: Path, place: Place) -> None:
        self._places[_name(source)] = place
        new = self._file.with_name(self._file.name + ".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({name: asdict(known) for name, known in self._places.items()}, indent=1), "utf-8")
        os.replace(new, self._file)


def _name(source: Path) -> str:
    return str(source.resolve())


def sources(paths: Iterable[Path]) -> list[Path]:
    """The files that these paths name, folders searched through, hidden files left out; raises FileNotFoundError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
            found += [path / file for file in sorted(inside) if not any(part.startswith(".") for part in file.parts)]
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(path)
    return found


def blocks(raw: IO[bytes], compressed: bool, place: Place, limits: BatchSettings) -> Iterator[Block]:
    """Blocks from a place on, each full of rows or of bytes; empty lines count as lines and are left out."""
    stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
    if place.offset:
        stream.seek(place.offset)
    lines: list[bytes] = []
    size, end, first = 0, place.offset, place.lines + 1
    for line in stream:
        lines.append(line.rstrip(b"\r\n"))
        size, end = size + len(line), end + len(line)
        if len(lines) >= limits.rows or size >= limits.bytes:
            yield Block(lines, first, end, _position(raw, end))
            first, lines, size = first + len(lines), [], 0
    if lines:
        yield Block(lines, first, end, _position(raw, end))


def _position(raw: IO[bytes], end: int) -> int:
    return raw.tell() if raw.seekable() else end


class Reject(NamedTuple):
    """A line that was not loaded, and the bad row that says why. line: its number in the file, from 1."""

    file: str
    line: int
    bad_row: Any

    def json(self) -> str:
        return json.dumps(self._asdict(), ensure_ascii=False)


class Backfill:
    """Loads sources one after the other, several blocks at a time.

    check: ask the table which rows it holds before every block, not only before one that may have been sent already.
    on_reject: told every line that can't be loaded. on_progress: told bytes of the source, as they lie on the disk.
    """

    def __init__(
        self,
        store: EventStore,
        limits: BatchSettings,
        under_way: int,
        check: bool,
        stopping: asyncio.Event,
        on_reject: Callable[[Reject], None],
    ) -> None:
        self._store = store
        self._limits = limits
        self._most = under_way
        self._check = check
        self._stopping = stopping
        self._on_reject = on_reject

    async def load_file(self, source: Path, state: State, on_progress: Callable[[int], None]) -> Place:
        """Load what is not loaded yet; the state is saved after every block."""
        place, begun = state.place(source), state.knows(source)
        if place.done:
            return place
        state.save(source, place)
        with source.open("rb") as raw:
            found = blocks(raw, source.suffix == ".gz", place, self._limits)

            def note(done: Place, position: int) -> None:
                state.save(source, done)
                on_progress(position)

            place = await self._load(str(source), found, place, self._most if begun else 0, note)
        place.done = not self._stopping.is_set()
        state.save(source, place)
        return place

    async def load_stdin(self, on_progress: Callable[[int], None]) -> Place:
        """Load standard input to its end; there is no going on after a break."""
        found = blocks(sys.stdin.buffer, False, Place(), self._limits)
        return await self._load(STDIN, found, Place(), 0, lambda _place, position: on_progress(position))

    async def _load(
        self, name: str, found: Iterator[Block], place: Place, uncertain: int, note: Callable[[Place, int], None]
    ) -> Place:
        """uncertain: so many blocks may be in the table, though nobody could note it any more."""
        waiting: deque[tuple[Block, asyncio.Task[tuple[int, list[Reject]]]]] = deque()

        async def settle() -> None:
            block, task = waiting.popleft()
            rows, rejects = await task
            for reject in rejects:
                self._on_reject(reject)
            place.offset, place.lines = block.end, block.first + len(block.lines) - 1
            place.rows, place.rejected = place.rows + rows, place.rejected + len(rejects)
            note(place, block.position)

        try:
            while block := await asyncio.to_thread(next, found, None):
                if self._stopping.is_set():
                    break
                check, uncertain = self._check or uncertain > 0, uncertain - 1
                waiting.append((block, asyncio.create_task(self._put(name, block, check))))
                if len(waiting) >= self._most:
                    await settle()
            while waiting:
                await settle()
        finally:
            for _, task in waiting:
                task.cancel()
        return place

    async def _put(self, name: str, block: Block, check: bool) -> tuple[int, list[Reject]]:
        """Rows that are in the table now, and the lines that are not."""
        chunk = read(b"\n".join(line for line in block.lines if line))
        bad = await self._store.put([await self._fresh(chunk) if check else chunk])
        rejects = [*_unreadable(name, block, chunk), *_refused(name, block, bad)]
        return len(chunk) + len(chunk.bad) - len(rejects), rejects

    async def _fresh(self, chunk: Chunk) -> Chunk:
        question = dedupe.Question()
        question.ask(chunk)
        return dedupe.without(chunk, await self._store.stored(question))


def _unreadable(name: str, block: Block, chunk: Chunk) -> Iterator[Reject]:
    """The lines that are no events, in order."""
    left = deque(chunk.bad)
    for number, line in enumerate(block.lines, block.first):
        if left and line == left[0].line:
            bad = left.popleft()
            yield Reject(name, number, json.loads(badrows.parsing_error(*bad)))


def _refused(name: str, block: Block, bodies: Iterable[bytes]) -> Iterator[Reject]:
    """The events that the warehouse refuses; which line one was is known by its id."""
    for body in bodies:
        row = json.loads(body)
        payload = row["data"]["payload"]
        mark = payload["event_id"] if isinstance(payload, dict) else payload
        numbers = (number for number, line in enumerate(block.lines, block.first) if mark.encode() in line)
        yield Reject(name, next(numbers, block.first), row)
