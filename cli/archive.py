"""`evnt archive`: what the raw stream had, enriched once more."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import typer

from cli.bad_rows import pages_till_now
from cli.giving import give
from cli.since import since
from shared.identity import now_ms, uuid7
from shared.payload import CollectorPayload
from shared.rawmessage import read
from shared.settings import SharedSettings, load
from shared.stream import open_log, open_publisher
from shared.stream.contract import Message
from shared.stream.topology import REPLAY_HEADER

app = typer.Typer(no_args_is_help=True, help="The archive of the raw stream, with ingest.limits.raw_archive.")

#: Records at a time; one may have a megabyte.
PAGE = 20


class Period(NamedTuple):
    """Of the times at which the collector published, Unix milliseconds."""

    since_ms: int
    until_ms: int

    def has(self, message: Message) -> bool:
        return self.since_ms <= _collected_ms(message) < self.until_ms


@dataclass(slots=True)
class Counts:
    """Of what was given back; refused: messages that the stream never takes."""

    messages: int = 0
    payloads: int = 0
    refused: int = 0

    def add(self, given: Sequence[Message], refused: int) -> None:
        self.messages += len(given)
        self.payloads += sum(map(_payloads, given))
        self.refused += refused

    @property
    def told(self) -> str:
        return f"{self.payloads:,} payloads in {self.messages:,} messages"


Since = Annotated[str, typer.Option("--since", help="From: 15m, 2h, 7d ago, or 2026-01-31T12:00 (UTC).")]
Until = Annotated[str | None, typer.Option("--until", help="Up to, written likewise. [default: now]")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]


@app.callback()
def archive() -> None:
    """The archive of the raw stream, with ingest.limits.raw_archive."""


@app.command()
def replay(since_: Since, until: Until = None, dry_run: DryRun = False) -> None:
    """Give what was collected in a period back to the raw stream: after enrichments or schemas changed.

    All ids and times stay what they were, so `events_unique` shows each event once, as it was enriched last. While
    the stream takes no more it waits. May be stopped, and done again from the beginning. Exit 1 when the stream never
    takes one of the messages.
    """
    now = now_ms()
    try:
        period = Period(since(since_, now), since(until, now) if until else now)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if period.since_ms >= period.until_ms:
        raise typer.BadParameter("the period ends before it begins: --since is the earlier one, --until the later")
    counts = Counts()
    verb = "would be given back" if dry_run else "given back"
    try:
        asyncio.run(_replay(period, dry_run, counts))
    except KeyboardInterrupt:
        sys.stdout.write(f"stopped; {verb} to raw: {counts.told}\n")
        raise
    sys.stdout.write(f"{verb} to raw: {counts.told}\n")
    if counts.refused:
        raise typer.Exit(1)


async def _replay(period: Period, dry_run: bool, counts: Counts) -> None:
    settings = load(SharedSettings)
    if not settings.ingest.limits.raw_archive:
        raise typer.BadParameter("nothing is archived: ingest.limits.raw_archive is off")
    run = uuid7()
    seen: set[str] = set()
    async with open_log(settings, "raw.archive") as log, open_publisher(settings) as publisher:
        async for records in pages_till_now(log, PAGE):  # what is given back is archived too, also by earlier replays
            found = [record.message for record in records if period.has(record.message)]
            new = {message.message_id: _named(message, run) for message in found if message.message_id not in seen}
            refused = {} if dry_run or not new else await give(publisher, "raw", new)
            sys.stderr.writelines(f"{name}: {reason}\n" for name, reason in refused.items())
            counts.add([message for name, message in new.items() if name not in refused], len(refused))
            seen |= new.keys()


def _named(message: Message, run: str) -> Message:
    return replace(message, headers={**message.headers, REPLAY_HEADER: run})


def _payloads(message: Message) -> int:
    """As many as its header says; other programs may leave it out, or mean something else by it."""
    said = message.headers.get("payloads")
    return said if isinstance(said, int) else 1


def _collected_ms(message: Message) -> int:
    """When the collector published it; for other programs' messages without a time, that of the first payload."""
    if message.timestamp_ms:
        return message.timestamp_ms
    first = next(read(message.body, sys.maxsize), None)
    return first.timestamp if isinstance(first, CollectorPayload) else 0
