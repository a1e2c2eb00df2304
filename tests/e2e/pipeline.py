"""The whole pipeline as real processes: what a user starts, on free ports and a folder of its own."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from tests.ports import free_port, free_ports

ROOT = Path(__file__).parent.parent.parent

#: Process name → how it is started, in the order in which the README's Procfile starts them.
COMMANDS = {
    "clickhouse": "loader.warehouse.embedded",
    "collector": "collector",
    "enricher": "enricher",
    "loader": "loader",
}

#: Seconds until a process that does not come up, or rows that do not arrive, fail the test.
PATIENCE_S = 60


class Pipeline:
    """Starts, watches, kills and restarts the processes by their own pids.

    `environment` is added to each; what a process writes goes to `<folder>/<process>.log`, shown on failure. Further
    processes of a kind are called as under honcho: `loader.2`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.collector_port, self.clickhouse_port, *admin = free_ports(5)
        self._admin = dict(zip(("collector", "enricher", "loader"), admin, strict=True))
        self._environment = {**_inherited(), **self._settings(), **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start these processes (all by default) and wait until each is ready."""
        for name in names or COMMANDS:
            self._running[name] = self._spawn(name)
        for name in names or COMMANDS:
            self._wait_until(partial(self._ready, name), f"{name} to be ready")

    def stop(self) -> dict[str, int]:
        """SIGTERM from the front of the pipeline to its end; exit codes by process."""
        order = ("collector", "enricher", "loader", "clickhouse")
        names = sorted({*order, *self._running}, key=lambda name: (order.index(_kind(name)), name))
        return {name: self._end(name, signal.SIGTERM) for name in names}

    def kill(self, name: str) -> None:
        """SIGKILL one process."""
        self._end(name, signal.SIGKILL)

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a SELECT, through ClickHouse's HTTP interface as any client would."""
        url = f"http://127.0.0.1:{self.clickhouse_port}/?{urlencode({'database': 'evnt', 'query': statement})}"
        with urllib.request.urlopen(url + "+FORMAT+JSONEachRow", timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            return [json.loads(line) for line in answer.read().splitlines()]

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.query(f"SELECT count() AS n FROM {table}")[0]["n"])

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until the condition holds, or fail with the logs."""
        self._wait_until(condition, what)

    def logs(self) -> str:
        """What every process wrote."""
        return "\n".join(f"--- {file.name}\n{file.read_text()[-4000:]}" for file in sorted(self.folder.glob("*.log")))

    def _settings(self) -> dict[str, str]:
        admin = {f"EVNT_{name.upper()}__ADMIN__PORT": str(port) for name, port in self._admin.items()}
        return {
            "EVNT_DATA_DIR": str(self.folder / "var"),
            "EVNT_COLLECTOR__PORT": str(self.collector_port),
            "EVNT_CLICKHOUSE__CONNECTION__PORT": str(self.clickhouse_port),
            **admin,
        }

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", COMMANDS[_kind(name)]],
                cwd=ROOT,
                env={**self._environment, **self._numbered(name)},
                stdout=log,
                stderr=log,
            )

    def _numbered(self, name: str) -> dict[str, str]:
        """What tells a further process of a kind from the first one: its number, and an admin port of its own."""
        kind, _, number = name.partition(".")
        if not number:
            return {}
        port = self._admin.setdefault(name, free_port())
        first = port - int(number) + 1  # the process counts up from there by its number
        return {"HONCHO_PROCESS_NAME": name, f"EVNT_{kind.upper()}__ADMIN__PORT": str(first)}

    def _ready(self, name: str) -> bool:
        if name == "clickhouse":
            return _answers(f"http://127.0.0.1:{self.clickhouse_port}/ping")
        return _answers(f"http://127.0.0.1:{self._admin[name]}/ready")

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            dead = [name for name, process in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise AssertionError(f"waited for {what}; ended: {dead}\n{self.logs()}")
            time.sleep(0.1)

    def _end(self, name: str, number: signal.Signals) -> int:
        process = self._running.pop(name, None)
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(PATIENCE_S)


def _kind(name: str) -> str:
    return name.partition(".")[0]


def decoded(text: str) -> str:
    """base64 → text, for payloads of bad rows."""
    return base64.b64decode(text).decode("utf-8", "replace")


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("EVNT_")}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (HTTPError, URLError, OSError):
        return False
