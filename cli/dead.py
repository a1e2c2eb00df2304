"""`evnt dead`: poison that a stage could make nothing of, on either transport."""

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.settings import SharedSettings, load
from shared.stream import open_dead_letters
from shared.stream.contract import DeadLetters, Message
from shared.stream.topology import QUEUE_OF, REASON_HEADER

app = typer.Typer(no_args_is_help=True, help="Look at poison in the dead queues, give it back or throw it away.")

Answer = TypeVar("Answer")


def _known(queue: str) -> str:
    if queue not in QUEUE_OF.values():
        raise typer.BadParameter(f"there are {', '.join(QUEUE_OF.values())}")
    return queue


Queue = Annotated[str, typer.Argument(callback=_known, help="raw, enriched, failed or bad-rows.load.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many of the oldest.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, with the body in base64, for programs.")]


@app.command("list")
def list_(queue: Queue, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Show the oldest messages and why they are here. They stay."""
    found = _with(queue, lambda letters: letters.peek(limit))
    if as_json:
        sys.stdout.writelines(json.dumps(_described(message)) + "\n" for message in found)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("message", "time", "bytes", "reason"):
        table.add_column(title, overflow="fold")
    for message in found:
        table.add_row(*(Text(cell) for cell in _cells(message)))
    Console(soft_wrap=True).print(table)


@app.command()
def replay(queue: Queue, limit: Limit = 1000) -> None:
    """Give the oldest messages back to their queue, as if new: after what made them poison was mended."""
    sys.stdout.write(f"{_with(queue, lambda letters: letters.replay(limit))} given back to {queue}\n")


@app.command()
def purge(
    queue: Queue, yes: Annotated[bool, typer.Option("--yes", help="Do not ask; they are lost for good.")] = False
) -> None:
    """Throw all of them away."""
    if not yes:
        typer.confirm(f"Throw away everything in {queue}.dead?", abort=True)
    sys.stdout.write(f"{_with(queue, lambda letters: letters.purge())} thrown away\n")


def _with(queue: str, ask: Callable[[DeadLetters], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        name = next(name for name in QUEUE_OF.values() if name == queue)
        async with open_dead_letters(load(SharedSettings), name) as letters:
            return await ask(letters)

    return asyncio.run(run())


def _cells(message: Message) -> tuple[str, str, str, str]:
    moment = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
    reason = " ".join(str(message.headers.get(REASON_HEADER, "")).split())
    return message.message_id, moment.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{len(message.body):,}", reason


def _described(message: Message) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "timestamp_ms": message.timestamp_ms,
        "type": message.type,
        "content_type": message.content_type,
        "headers": dict(message.headers),
        "body": base64.b64encode(message.body).decode(),
    }
