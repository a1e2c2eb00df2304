"""`evnt queue`: the loader's side of the pipeline, by the names of evnt before 0.1."""

import asyncio
import sys

import typer

from loader.__main__ import main as load
from loader.settings import LoaderSettings
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import Unavailable
from shared.process import Misconfigured, run
from shared.settings import load as load_settings
from shared.stream import open_log
from shared.stream.contract import StreamError

app = typer.Typer(no_args_is_help=True, help="Run and check the loader, which empties the queues into ClickHouse.")

#: Seconds for both to answer.
PATIENCE_S = 20


@app.command()
def worker() -> None:
    """Run a loader here, the same as `python -m loader`."""
    run(load)


@app.command()
def healthcheck() -> None:
    """Say whether ClickHouse with its tables and the stream with its queues are there; exit 1 when one is missing."""
    settings = load_settings(LoaderSettings)
    answers = asyncio.run(_ask(settings))
    for name, trouble in answers.items():
        sys.stdout.write(f"{name}: {trouble or 'ok'}\n")
    if any(answers.values()):
        raise typer.Exit(1)


async def _ask(settings: LoaderSettings) -> dict[str, str | None]:
    clickhouse, stream = await asyncio.gather(_clickhouse(settings), _stream(settings))
    return {"clickhouse": clickhouse, "rabbitmq" if settings.ingest.mode == "rabbitmq" else "stream": stream}


async def _clickhouse(settings: LoaderSettings) -> str | None:
    """None when the tables are as the settings say."""
    warehouse = ClickHouse(settings.clickhouse)
    try:
        async with asyncio.timeout(PATIENCE_S):
            needed = [change.what for change in await warehouse.changes() if change.who == "loader"]
    except (Unavailable, Misconfigured, TimeoutError) as error:
        return str(error) or "does not answer"
    finally:
        await warehouse.close()
    return f"`evnt db init` is due: {'; '.join(needed)}" if needed else None


async def _stream(settings: LoaderSettings) -> str | None:
    """None when the queues are there: the log of bad rows is declared together with them, and reading it takes
    nothing away."""
    try:
        async with asyncio.timeout(PATIENCE_S), open_log(settings, "bad-rows") as log:
            await log.read(None, 1)
    except (StreamError, Misconfigured, TimeoutError) as error:
        return str(error) or "does not answer"
    return None
