"""`evnt ready`: ask processes on their admin ports whether they take work; for health checks and scripts."""

import json
import sys
from http.client import HTTPException
from typing import Annotated, Any, Literal
from urllib.error import HTTPError
from urllib.request import urlopen

import typer

from cli.configuration import PipelineSettings, admins
from shared.settings import AdminSettings, load

Process = Literal["collector", "enricher", "loader"]


def ready(
    process: Annotated[Process | None, typer.Argument(help="Only this one.")] = None,
) -> None:
    """Say whether the processes on this machine are ready; exit 1 unless all of them are."""
    ports = admins(load(PipelineSettings))
    answers = {name: _ask(name, ports[name]) for name in ([process] if process else ports)}
    for name, trouble in answers.items():
        sys.stdout.write(f"{name}: {trouble or 'ready'}\n")
    if any(answers.values()):
        raise typer.Exit(1)


def _ask(process: str, admin: AdminSettings) -> str | None:
    """None when it is ready, else why not."""
    host = "127.0.0.1" if admin.host in ("0.0.0.0", "::") else admin.host  # noqa: S104 - compared, not bound
    try:
        with urlopen(f"http://{host}:{admin.port}/ready", timeout=5) as answer:
            other = _read(answer.read()).get("process") != process
            return f"not ready: another program answers on {host}:{admin.port}" if other else None
    except HTTPError as error:
        return _told(error.read()) or f"not ready: {host}:{admin.port} answers {error.code}"
    except (OSError, HTTPException) as error:
        return f"does not answer on {host}:{admin.port} ({error})"


def _told(body: bytes) -> str:
    """What checks complain of; nothing where another program answers on that port."""
    checks = _read(body).get("checks")
    found = checks.items() if isinstance(checks, dict) else ()
    return "; ".join(f"{name}: {said}" for name, said in found if said != "ok")


def _read(body: bytes) -> dict[str, Any]:
    """What a process says of itself; nothing where that is no JSON object."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
