"""Rows into a table, whatever it takes: the failures of an insert, each answered by its duty."""

import asyncio
from collections.abc import Sequence

from loader import badrows, body, dedupe
from loader.chunk import Chunk, read
from loader.columns import TableColumns
from loader.metrics import LoaderMetrics
from loader.patience import Patience
from loader.warehouse.contract import (
    ColumnMissing,
    HintRefused,
    OutOfMemory,
    RowsRefused,
    StoredEvent,
    TableName,
    Warehouse,
)
from shared.process import Misconfigured
from shared.telemetry import logger

#: A column that is added and missing again so often is not ours to add.
MOST_ADDITIONS = 3

#: Rows before a guilty one: fewer, and there are so many guilty ones that naming them one by one takes too long.
_DENSE = 8

#: Attempts after which rows that the warehouse has no memory for are divided, and after which one row is set aside.
_ATTEMPTS_OF_MANY, _ATTEMPTS_OF_ONE = 3, 10


class _TooLarge(RowsRefused):
    """The warehouse had no memory for these rows time and again. Some of them may be stored."""


def divisions(rows: int, guilty: int | None) -> list[range]:
    """How to divide refused rows: what is before the one that is named, that one alone, and what is behind it; in
    halves where none is named. So many guilty rows cost two or three inserts each, and every row is sent a few times:
    what is behind one of the first rows is halved as well, since where all are guilty it is always one of those.
    """
    if guilty is None or not 0 <= guilty < rows:
        return _halves(0, rows)
    behind = _halves(guilty + 1, rows) if guilty < _DENSE else [range(guilty + 1, rows)]
    return [part for part in (range(guilty), range(guilty, guilty + 1), *behind) if part]


def _halves(first: int, end: int) -> list[range]:
    middle = (first + end) // 2
    return [range(first, middle), range(middle, end)]


class EventStore:
    """Puts events into `events` or `events_failed`. One instance serves all batches of its table.

    inserts: most of them at the same time; what else is under way is made ready meanwhile. run: tells inserts from the
    same ones of another run, which a table takes for copies even where their rows were deleted since.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        table: TableName,
        columns: TableColumns,
        patience: Patience,
        metrics: LoaderMetrics,
        inserts: int,
        run: str = "",
    ) -> None:
        self._warehouse = warehouse
        self._table: TableName = table
        self._columns = columns
        self._patience = patience
        self._metrics = metrics
        self._run = run
        self._served = 0
        self._room = asyncio.Semaphore(inserts)
        self._log = logger("loader")

    async def put(self, chunks: Sequence[Chunk]) -> list[bytes]:
        """Store every row that the warehouse takes; gives a bad row for each that it does not.

        Raises GivenUp or Misconfigured; then nothing is known of the rows.
        """
        try:
            await self._insert(chunks)
        except RowsRefused as refused:
            self._log.info("insert.refused", table=self._table, rows=sum(map(len, chunks)), reason=refused.reason)
            return await self._put_carefully(chunks)
        return []

    async def _put_carefully(self, chunks: Sequence[Chunk]) -> list[bytes]:
        """First what can be found wrong here, without asking; the rest by halves."""
        parsed = read(b"\n".join(chunk.body for chunk in chunks if len(chunk)), careful=True)
        parsed.replay = max((chunk.replay for chunk in chunks), default="")
        return [badrows.parsing_error(*line) for line in parsed.bad] + await self._divide(parsed)

    async def _divide(self, chunk: Chunk) -> list[bytes]:
        """Store the rows of a chunk that can be stored, and find those that can't."""
        bad: list[bytes] = []
        left = [chunk]
        aside: dict[bytes, int] = {}
        while left:
            part = left.pop()
            try:
                await self._insert([part])
            except _TooLarge as error:
                if len(part) > 1:
                    left += await self._smaller(part)
                elif self._served > aside.setdefault(part.body, self._served):  # for others there was memory
                    bad.append(badrows.runtime_error(part.body, error.reason))
                else:
                    left.insert(0, part)
            except RowsRefused as refused:
                self._metrics.refused.labels(self._table).inc()
                if len(part) == 1:
                    bad.append(badrows.runtime_error(part.body, refused.reason))
                    continue
                left += [part.take(rows) for rows in reversed(divisions(len(part), refused.row))]
        return bad

    async def _smaller(self, chunk: Chunk) -> list[Chunk]:
        """Halves of what is not stored: another part of an insert may have found the memory that one had not."""
        question = dedupe.Question()
        question.ask(chunk)
        missing = dedupe.without(chunk, await self.stored(question))
        return [missing.take(rows) for rows in reversed(_halves(0, len(missing))) if rows]

    async def _insert(self, chunks: Sequence[Chunk]) -> None:
        """Store all rows or none. Raises RowsRefused."""
        dropped: set[tuple[str, str]] = set()
        additions = 0
        stored = not any(map(len, chunks))
        while not stored:
            try:
                await self._attempt(chunks)
                stored = True
            except ColumnMissing as missing:
                additions += 1
                if additions > MOST_ADDITIONS:
                    raise Misconfigured(f"table {self._table} keeps losing columns: {missing}") from missing
                self._columns.forget()
            except HintRefused as refused:
                hint = (refused.column, refused.path)
                if hint in dropped:
                    raise
                dropped.add(hint)
                await self._drop_hint(*hint)

    async def _attempt(self, chunks: Sequence[Chunk]) -> None:
        contexts = set[bytes]().union(*(chunk.context_keys for chunk in chunks))
        events = set[bytes]().union(*(chunk.event_keys for chunk in chunks))
        layout = await self._patience(lambda: self._columns.layout(contexts, events))
        await self._send(await _laid_out(chunks, layout), dedupe.token(chunks, self._run), chunks)

    async def _send(self, insert: bytes, token: str, chunks: Sequence[Chunk]) -> None:
        rows = sum(map(len, chunks))
        async with self._room:
            with self._metrics.insert_seconds.labels(self._table).time():
                written = await self._written(insert, token, _ATTEMPTS_OF_MANY if rows > 1 else _ATTEMPTS_OF_ONE)
        self._metrics.inserts.labels(self._table).inc()
        self._metrics.batch_rows.labels(self._table).observe(rows)
        self._metrics.rows.labels(self._table).inc(written)
        if written < rows:
            self._metrics.missing.labels(self._table).inc(rows - written)
            self._log.warning("insert.short", table=self._table, sent=rows, written=written)
            await self._send_missing(chunks, rows)

    async def _written(self, insert: bytes, token: str, attempts: int) -> int:
        """How many rows the warehouse says it wrote. attempts: so often it may be out of memory."""
        failed = 0

        async def attempt() -> int:
            nonlocal failed
            try:
                return await self._warehouse.insert(self._table, insert, token)
            except OutOfMemory as error:
                failed += 1
                if failed >= attempts:
                    raise _TooLarge(str(error)) from error
                raise

        written = await self._patience(attempt)
        self._served += 1
        return written

    async def _send_missing(self, chunks: Sequence[Chunk], rows: int) -> None:
        """The warehouse says it wrote fewer rows than were sent, and no error: look, and send what is not there."""
        question = dedupe.Question()
        for chunk in chunks:
            question.ask(chunk)
        stored = await self.stored(question)
        left = [dedupe.without(chunk, stored) for chunk in chunks]
        if sum(map(len, left)) == rows:
            raise Misconfigured(f"table {self._table} took an insert of {rows} rows without an error and stored none")
        await self._insert(left)

    async def stored(self, question: dedupe.Question) -> frozenset[StoredEvent]:
        """Which of these events the table holds. Raises GivenUp or Misconfigured."""
        if not question.event_ids:
            return frozenset()
        ids, oldest, newest = question.event_ids, question.oldest, question.newest
        return await self._patience(lambda: self._warehouse.stored(self._table, ids, oldest, newest))

    async def _drop_hint(self, column: str, path: str) -> None:
        self._log.warning("hint.dropped", table=self._table, column=column, path=path)
        self._metrics.hints.labels(self._table).inc()
        await self._patience(lambda: self._warehouse.drop_hint(self._table, column, path))
        self._columns.forget()


async def _laid_out(chunks: Sequence[Chunk], layout: body.Layout) -> bytes:
    """The body of an insert, made with a pause after each chunk. Of its parts nothing is left while it is sent."""
    parts = [body.header(layout)]
    for chunk in chunks:
        parts.append(body.rows(chunk, layout))
        await asyncio.sleep(0)
    return b"".join(parts)
