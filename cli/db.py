"""`evnt db`: the tables in ClickHouse, made, compared with the settings, changed, and derived from."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from loader.settings import LoaderSettings
from loader.warehouse import models
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import Unavailable
from loader.warehouse.migration import Change
from loader.warehouse.settings import ClickhouseSettings, ConfigurationSettings
from shared.settings import load

app = typer.Typer(no_args_is_help=True, help="Make and change the tables in ClickHouse, and derive others from them.")

#: Exit code when ClickHouse can't be reached (sysexits EX_UNAVAILABLE).
EXIT_UNAVAILABLE = 69

T = TypeVar("T")


class _Task(StrEnum):
    CREATE = "create"
    REFRESH = "refresh"
    DROP = "drop"


ShowSql = Annotated[bool, typer.Option("--sql", help="Print the statements.")]
Every = Annotated[
    str, typer.Option("--every", help="How often the server fills the tables anew: '15 MINUTE', '1 HOUR'.")
]


@app.command()
def init() -> None:
    """Create what is missing: database, tables, columns, views. Changes nothing that is there; can run again."""

    async def create(warehouse: ClickHouse) -> list[Change]:
        needed = [change for change in await warehouse.changes() if change.who == "loader"]
        await warehouse.apply(needed)
        return needed

    made = _with_warehouse(create)
    _say([change.what for change in made] or ["nothing to do"])


@app.command()
def diff(sql: ShowSql = False) -> None:
    """Say how the tables differ from the settings. Exits 1 when they do."""
    found = _with_warehouse(lambda warehouse: warehouse.changes())
    for change in found:
        _say([_described(change), *(f"    {statement};" for statement in change.statements if sql)])
    if found:
        raise typer.Exit(1)
    _say(["the tables are as the settings say"])


@app.command()
def migrate(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before what rewrites or deletes data.")] = False,
) -> None:
    """Change the tables to what the settings say: also types of columns, and how long rows are kept."""

    async def change_all(warehouse: ClickHouse) -> list[Change]:
        found = await warehouse.changes()
        for change in found:
            if _may(change, yes):
                await warehouse.apply([change])
                _say([f"done: {change.what}"])
        return await warehouse.changes()

    left = _with_warehouse(change_all)
    _say([f"left: {_described(change)}" for change in left] or ["the tables are as the settings say"])
    if left:
        raise typer.Exit(1)


@app.command("models")
def derive(
    every: Every = "1 HOUR",
    sql: ShowSql = False,
    task: Annotated[_Task, typer.Argument(help="Make the tables, fill them now, or remove them.")] = _Task.CREATE,
) -> None:
    """Derive page_views, sessions and users from events_unique: tables that the server fills anew by itself.

    With --sql the SELECTs are printed instead, to be run by a scheduler of your own.
    """
    configuration = load(LoaderSettings).clickhouse.configuration
    found = models.models()
    if sql:
        _say([models.select(configuration, model) for model in found])
        return
    try:
        statements = [statement for model in found for statement in _statements(configuration, model, every, task)]
    except models.InvalidInterval as error:
        raise typer.BadParameter(str(error), param_hint="--every") from error
    _with_warehouse(lambda warehouse: warehouse.execute(statements))
    done = {_Task.CREATE: f"filled now and every {every.lower()}", _Task.REFRESH: "filled", _Task.DROP: "removed"}
    _say([f"{model.name}: {done[task]}" for model in found])


def _statements(configuration: ConfigurationSettings, model: models.Model, every: str, task: _Task) -> list[str]:
    if task is _Task.CREATE:
        return models.create(configuration, model, every)
    return models.refresh(configuration, model) if task is _Task.REFRESH else [models.drop(configuration, model)]


def _with_warehouse(work: Callable[[ClickHouse], Awaitable[T]]) -> T:
    """Do something with the configured warehouse, and leave with 69 where it can't be reached."""

    async def run(settings: ClickhouseSettings) -> T:
        warehouse = ClickHouse(settings)
        try:
            return await work(warehouse)
        finally:
            await warehouse.close()

    try:
        return asyncio.run(run(load(LoaderSettings).clickhouse))
    except Unavailable as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EXIT_UNAVAILABLE) from error


def _may(change: Change, yes: bool) -> bool:
    """Whether to make a change, asking the operator where it touches data."""
    return change.who == "loader" or (change.who == "operator" and (yes or typer.confirm(f"{change.what}: change it?")))


def _described(change: Change) -> str:
    who = {"loader": "added by the loader itself", "operator": "needs `evnt db migrate`", "hand": "needs a new table"}
    return f"{change.what} ({who[change.who]})"


def _say(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
