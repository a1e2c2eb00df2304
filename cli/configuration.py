"""The settings of all processes as one model, and `evnt settings`, which prints what is in force."""

import json
import socket
import sys
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from collector.settings import Settings as CollectorSettings
from enricher.settings import EnricherSettings
from loader.settings import LoaderSettings
from shared.settings import AdminSettings, load


class PipelineSettings(CollectorSettings, EnricherSettings, LoaderSettings):
    """Everything that can be set."""


def admins(settings: PipelineSettings) -> dict[str, AdminSettings]:
    """Process → where it answers `/health`, `/ready` and `/metrics`."""
    return {
        "collector": settings.collector.admin,
        "enricher": settings.enricher.admin,
        "loader": settings.loader.admin,
    }


app = typer.Typer(help="Print the configuration in force: defaults, config/pipeline.yml, environment.")


@app.callback(invoke_without_command=True)
def settings(
    context: typer.Context,
    raw: Annotated[bool, typer.Option("--raw", help="On one line, without colours or spaces.")] = False,
    indent: Annotated[int, typer.Option("--indent", min=0, max=16, help="Spaces a level.")] = 2,
) -> None:
    """Print the configuration in force as JSON, secrets redacted."""
    if context.invoked_subcommand is None:
        document = load(PipelineSettings).model_dump(mode="json")
        style: dict[str, Any] = {"separators": (",", ":")} if raw else {"indent": indent}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, **style) + "\n")


@app.command()
def hostname() -> None:
    """Print the name of this machine, as processes report it."""
    sys.stdout.write(socket.gethostname() + "\n")


@app.command("to_dict")
def to_dict() -> None:
    """Print the configuration in force as a Python dictionary, secrets redacted."""
    document = load(PipelineSettings).model_dump()
    sys.stdout.write(f"{_plain(document)!r}\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, SecretStr) or not isinstance(value, str | int | float | bool | None):
        return str(value)
    return value
