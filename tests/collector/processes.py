"""The collector as a process of its own."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from shared.settings import environment
from tests.ports import free_port
from tests.vectors import ROOT

#: Seconds for a process to start on a busy machine.
START_S = 30


_COMMAND = (sys.executable, "-m", "collector")


def _variables(variables: Mapping[str, str], port: int, data_dir: Path) -> dict[str, str]:
    return {
        **environment(),
        "EVNT_DATA_DIR": str(data_dir),
        "EVNT_COLLECTOR__PORT": str(port),
        "EVNT_COLLECTOR__ADMIN__PORT": "0",
        **variables,
    }


def fails(variables: Mapping[str, str], *, port: int, data_dir: Path) -> tuple[int, str]:
    """The exit code and the last words of a collector that can't start."""
    given = _variables(variables, port, data_dir)
    done = subprocess.run(_COMMAND, cwd=ROOT, env=given, capture_output=True, text=True, timeout=START_S, check=False)
    return done.returncode, done.stderr


@contextmanager
def process(
    variables: Mapping[str, str] | None = None, *, port: int | None = None, data_dir: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`python -m collector`, ready; killed at the end if it still runs."""
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        given = _variables(variables or {}, port, data_dir or Path(folder))
        running = subprocess.Popen(_COMMAND, cwd=ROOT, env=given, stderr=subprocess.PIPE, text=True)
        try:
            _wait(running, port)
            yield running
        finally:
            running.kill()
            running.wait()
            if running.stderr:
                running.stderr.close()


def _wait(running: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise AssertionError(f"the collector left with {running.returncode}: {running.communicate()[1]}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("the collector did not start")
