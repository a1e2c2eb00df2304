"""ClickHouse for tests: the embedded server as a real process on a free port."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.ports import free_port
from tests.vectors import ROOT

#: Seconds for the engine to be loaded on a busy machine.
START_S = 60

USERNAME, PASSWORD = "default", "s3cret"


@dataclass
class Server:
    """A running embedded server; `folder` is its data_dir."""

    process: subprocess.Popen[str]
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def query(self, sql: str, **parameters: str) -> str:
        """Run one statement and return its output; raises urllib.error.HTTPError."""
        credentials = {"X-ClickHouse-User": USERNAME, "X-ClickHouse-Key": PASSWORD}
        request = urllib.request.Request(f"{self.url}?{urlencode(parameters)}", sql.encode(), credentials)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return str(answer.read().decode())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        if self.process.stderr:
            self.process.stderr.close()
        return code


def launch(
    folder: Path, port: int, extra: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start the process without waiting for it. before: a command that becomes the one that follows it."""
    variables = {
        "EVNT_DATA_DIR": str(folder),
        "EVNT_CLICKHOUSE__CONNECTION__PORT": str(port),
        "EVNT_CLICKHOUSE__CONNECTION__PASSWORD": PASSWORD,
        **(extra or {}),
    }
    command = [*before, sys.executable, "-m", "loader.warehouse.embedded"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True)


def start(
    folder: Path, port: int | None = None, extra: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> Server:
    """Start the server and wait until it answers."""
    port = port or free_port()
    server = Server(launch(folder, port, extra, before), port, folder)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(server.process.stderr.read() if server.process.stderr else "")
        try:
            with urllib.request.urlopen(server.url + "ping", timeout=5):  # noqa: S310
                return server
        except OSError:
            time.sleep(0.05)
    server.stop(signal.SIGKILL)
    raise AssertionError("the embedded ClickHouse did not start")


@contextmanager
def running(folder: Path, port: int | None = None, extra: Mapping[str, str] | None = None) -> Iterator[Server]:
    server = start(folder, port, extra)
    try:
        yield server
    finally:
        server.stop()
