"""`evnt archive`: what the raw stream had, enriched once more."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, NamedTuple

import typer

from cli.bad_rows import pages_till_now
from cli.since import since
from shared.identity import now_ms, uuid7
from shared.settings import SharedSettings, load
from shared.stream import open_log, open_publisher
from shared.stream.contract import Message, Publisher, StreamUnavailable
from shared.stream.topology import REPLAY_HEADER

app = typer.Typer(no_args_is_help=True, help="The archive of the raw stream, with ingest.limits.raw_archive.")

#: Records at a time; one may have a megabyte.
PAGE = 20

#: Seconds between two attempts while the raw stream takes nothing.
PAUSE_S = 1.0


class Period(NamedTuple):
    """Of the times at which the collector published, Unix milliseconds."""

    since_ms: int
    until_ms: int

    def has(self, message: Message) -> bool:
        return self.since_ms <= message.timestamp_ms < self.until_ms


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
    the stream takes no more it waits. May be stopped, and done again from the beginning.
    """
    now = now_ms()
    try:
        period = Period(since(since_, now), since(until, now) if until else now)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    messages, payloads = asyncio.run(_replay(period, dry_run))
    verb = "would be given back" if dry_run else "given back"
    sys.stdout.write(f"{verb} to raw: {payloads:,} payloads in {messages:,} messages\n")


async def _replay(period: Period, dry_run: bool) -> tuple[int, int]:
    settings = load(SharedSettings)
    if not settings.ingest.limits.raw_archive:
        raise typer.BadParameter("nothing is archived: ingest.limits.raw_archive is off")
    run = uuid7()
    seen: set[str] = set()
    payloads = 0
    async with open_log(settings, "raw.archive") as log, open_publisher(settings) as publisher:
        async for records in pages_till_now(log, PAGE):  # what is given back is archived too, also by earlier replays
            found = [record.message for record in records if period.has(record.message)]
            new = {message.message_id: message for message in found if message.message_id not in seen}
            if not dry_run:
                await insist(publisher, [_named(message, run) for message in new.values()])
            seen |= new.keys()
            payloads += sum(int(message.headers.get("payloads", 1)) for message in new.values())
    return len(seen), payloads


def _named(message: Message, run: str) -> Message:
    return replace(message, headers={**message.headers, REPLAY_HEADER: run})


async def insist(publisher: Publisher, messages: Sequence[Message], pause_s: float = PAUSE_S) -> None:
    """Until the stream has room for them."""
    while messages:
        try:
            await publisher.publish("raw", messages)
        except StreamUnavailable as error:
            sys.stderr.write(f"{error}; trying again, Ctrl-C to stop\n")
            await asyncio.sleep(pause_s)
        else:
            return
