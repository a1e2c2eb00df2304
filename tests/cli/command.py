"""The command `evnt`: as a process of its own, as an operator runs it, or quicker in this process."""

import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import IO

from typer.testing import CliRunner, Result

from cli.commands import app

ROOT = Path(__file__).parent.parent.parent

#: `python -m cli`, to which Ctrl-C means something even where a shell started these tests in its background.
IN_FRONT = (
    sys.executable,
    "-c",
    (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "runpy.run_module('cli', run_name='__main__', alter_sys=True)"
    ),
)


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


def stopped(folder: Path, *arguments: str, **variables: str) -> str:
    """What a command says at Ctrl-C, which comes when it waits and offers that."""
    line = [*IN_FRONT, *arguments]
    with subprocess.Popen(
        line, env=environment(**variables), cwd=folder, stdout=PIPE, stderr=PIPE, text=True
    ) as process:
        assert process.stderr
        assert "Ctrl-C to stop" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    return said


def invoke(*arguments: str, **variables: str) -> Result:
    """Run it here: the second that a process takes to start is saved, what `run` adds is not tested."""
    return CliRunner().invoke(app, arguments, env=variables)
