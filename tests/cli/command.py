"""The command `evnt`: as a process of its own, as an operator runs it, or quicker in this process."""

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import IO

from typer.testing import CliRunner, Result

from cli.commands import app

ROOT = Path(__file__).parent.parent.parent


def environment(**variables: str) -> dict[str, str]:
    """What a bare shell has, and these settings."""
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables}


def evnt(
    folder: Path, *arguments: str, stdin: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run it as a process in a folder and wait for its end."""
    return evnt_to(PIPE, folder, *arguments, stdin=stdin, **variables)


def evnt_to(
    output: int | IO[str], folder: Path, *arguments: str, stdin: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """The same, with somewhere else for what it says."""
    line = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(
        line,
        env=environment(**variables),
        cwd=folder,
        input=stdin,
        stdout=output,
        stderr=PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def invoke(*arguments: str, **variables: str) -> Result:
    """Run it here: the second that a process takes to start is saved, what `run` adds is not tested."""
    return CliRunner().invoke(app, arguments, env=variables)
