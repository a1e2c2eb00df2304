"""`make run`: start the pipeline, wait until it takes events, say how to use it, stop it cleanly on Ctrl-C."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple
from urllib.request import urlopen

from cli.configuration import PipelineSettings, admins
from shared.compiled import refusal
from shared.settings import SettingsError, load

WELCOME = """
evnt is ready: the collector takes events at {collector}

Send one:
  curl '{collector}/i?e=pv&p=web&aid=try&page=Hello&url=http%3A%2F%2Fexample.com%2F'

or from a page, with the official tracker (npm package @snowplow/browser-tracker):
  import {{ newTracker, trackPageView }} from '@snowplow/browser-tracker';
  newTracker('sp', '{collector}', {{ appId: 'try' }});
  trackPageView();

Query what arrived, a second or two later:
  curl '{clickhouse}/?database={database}' \\
    -d 'SELECT collector_tstamp, app_id, event_name, page_title FROM events_unique FORMAT PrettyCompact'

See what failed, and why:
  .venv/bin/evnt bad-rows list

Everything lies in {data}; stopping (Ctrl-C) and starting again keeps it. More: README.md
"""

ENDED = (
    "a process ended by itself, see above; the others were stopped. Events that were taken are kept for the next start"
)

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class Part(NamedTuple):
    """One process of the pipeline: what it binds, by which option, and where it says that it is ready."""

    name: str
    host: str
    ports: dict[str, int]
    ready: str


def main() -> int:
    if reason := refusal():
        return _refuse([reason])
    try:
        settings = load(PipelineSettings)
    except SettingsError as error:
        return _refuse(f"configuration: {problem}" for problem in error.problems)
    parts = list(_parts(settings))
    problems = [problem for part in parts for problem in _taken(part)] or list(_unwritable(settings.data_dir))
    if problems:
        return _refuse(problems)
    without = [] if any(part.name == "clickhouse" for part in parts) else ["-c", "clickhouse=0"]
    command = [sys.executable, "-m", "honcho", "start", *without]
    honcho = subprocess.Popen(command, start_new_session=True, preexec_fn=_stops_with_us())  # noqa: PLW1509 - no threads
    stopped = _stop_on_signal(honcho)
    if _wait_until_ready(honcho, [part.ready for part in parts], stopped):
        sys.stdout.write(_welcome(settings))
        sys.stdout.flush()
    honcho.wait()
    return 0 if stopped else _refuse([ENDED])


def _parts(settings: PipelineSettings) -> Iterator[Part]:
    """What `Procfile` starts; without the embedded ClickHouse when the settings name one elsewhere."""
    warehouse = settings.clickhouse.connection
    if _loopback(warehouse.host):
        url = f"http://{warehouse.host}:{warehouse.port}/ping"
        yield Part("clickhouse", warehouse.host, {"clickhouse.connection.port": warehouse.port}, url)
    for name, admin in admins(settings).items():
        host = _reachable(admin.host)
        ports = {f"{name}.admin.port": admin.port}
        if name == "collector":
            ports["collector.port"] = settings.collector.port
        yield Part(name, host, ports, f"http://{host}:{admin.port}/ready")


def _taken(part: Part) -> Iterator[str]:
    for option, port in part.ports.items():
        try:
            socket.create_connection((part.host, port), timeout=1).close()
        except OSError:
            continue
        variable = "EVNT_" + option.replace(".", "__").upper()
        yield (
            f"port {port} on {part.host}, meant for the {part.name}, is taken. Stop what listens there "
            f"(another evnt?), or choose a port with {variable} or {option} in config/pipeline.yml"
        )


def _unwritable(folder: Path) -> Iterator[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        yield (
            f"the data folder {folder.absolute()} can't be written to: {error.strerror}. Change that, "
            "or choose a folder with EVNT_DATA_DIR or data_dir in config/pipeline.yml"
        )


def _stops_with_us() -> Callable[[], object] | None:
    """What a child runs to be told to stop when this process ends in whatever way; only Linux has that."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, _PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _stop_on_signal(honcho: "subprocess.Popen[bytes]") -> list[int]:
    """Pass a request to stop on, once; gives a list that holds the signal when there was one."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        honcho.send_signal(signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    return received


def _wait_until_ready(honcho: "subprocess.Popen[bytes]", urls: list[str], stopped: list[int]) -> bool:
    waiting = list(urls)
    while waiting:
        if stopped or honcho.poll() is not None:
            return False
        time.sleep(0.1)
        waiting = [url for url in waiting if not _answers(url)]
    return True


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - http to ourselves
            return bool(answer.status == 200)
    except OSError:
        return False


def _welcome(settings: PipelineSettings) -> str:
    warehouse = settings.clickhouse.connection
    return WELCOME.format(
        collector=f"http://{_reachable(settings.collector.host)}:{settings.collector.port}",
        clickhouse=f"http://{warehouse.host}:{warehouse.port}",
        database=settings.clickhouse.configuration.database,
        data=Path(settings.data_dir).resolve(),
    )


def _reachable(host: str) -> str:
    """The address to connect to for a server that listens on `host`."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse(problems: list[str] | Iterator[str]) -> int:
    for problem in problems:
        sys.stderr.write(f"evnt: {problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
