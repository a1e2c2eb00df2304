"""`make run`, as a new user types it, on free ports and a folder of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from shared.settings import SharedSettings
from tests.ports import free_ports
from tests.repo.tree import ROOT

OPTIONS = ("COLLECTOR__PORT", "COLLECTOR__ADMIN__PORT", "ENRICHER__ADMIN__PORT", "LOADER__ADMIN__PORT")
WAREHOUSE = "CLICKHOUSE__CONNECTION__PORT"


def environment(folder: Path) -> dict[str, str]:
    names = (*OPTIONS, WAREHOUSE)
    ports = {f"EVNT_{name}": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EVNT_")}
    return {**plain, **ports, "EVNT_DATA_DIR": str(folder / "var"), "PYTHONUNBUFFERED": "1"}


def start(variables: dict[str, str], log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """What `make run` starts once everything is installed, or Python with other arguments."""
    with log.open("ab") as output:
        command = [sys.executable, *(arguments or ("-m", "scripts.run"))]
        return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)


@pytest.mark.parametrize("option", [*OPTIONS, WAREHOUSE])
def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path, option: str) -> None:
    variables = environment(tmp_path)
    with socket.create_server(("127.0.0.1", int(variables[f"EVNT_{option}"]))):
        assert start(variables, tmp_path / "log").wait(30) == 1
    said = (tmp_path / "log").read_text()
    assert said.startswith(f"evnt: port {variables[f'EVNT_{option}']} on 127.0.0.1, meant for the ")
    assert f"EVNT_{option}" in said
    assert not (tmp_path / "var").exists()


def test_a_wrong_configuration_is_told_before_anything_starts(tmp_path: Path) -> None:
    assert start({**environment(tmp_path), "EVNT_COLECTOR__PORT": "1"}, tmp_path / "log").wait(30) == 1
    assert "did you mean collector?" in (tmp_path / "log").read_text()


def test_a_folder_that_can_not_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    assert start(environment(tmp_path), tmp_path / "log").wait(30) == 1
    said = (tmp_path / "log").read_text()
    assert said.startswith(f"evnt: the data folder {tmp_path / 'var'} can't be written to: ")
    assert "EVNT_DATA_DIR" in said
    assert len(said.splitlines()) == 1


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_a_process_that_is_killed_stops_the_others_and_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(environment(tmp_path), log)
    wait_until(lambda: "evnt is ready" in log.read_text(), process, log)
    pids = [int(pid) for pid in re.findall(r"started \(pid=(\d+)\)", log.read_text())]
    os.kill(pids[0], signal.SIGKILL)
    assert process.wait(60) == 1
    assert log.read_text().splitlines()[-1].startswith("evnt: a process ended by itself")
    assert [pid for pid in pids if is_alive(pid)] == []


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="the others are told by Linux")
def test_when_it_is_killed_itself_the_others_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(environment(tmp_path), log)
    wait_until(lambda: log.read_text().count("started (pid=") == 4, process, log)
    pids = [int(pid) for pid in re.findall(r"started \(pid=(\d+)\)", log.read_text())]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in pids if is_alive(pid)] == []


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_the_welcome_works_and_a_second_run_finds_the_data(tmp_path: Path) -> None:
    variables = environment(tmp_path)
    log = tmp_path / "log"
    for rows in (1, 2):
        process = start(variables, log)
        try:
            wait_until(lambda: log.read_text().count("evnt is ready") == rows, process, log)  # noqa: B023 - called at once
            send(variables)
            wait_until(lambda: count(variables) == rows, process, log)  # noqa: B023 - called at once
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
        assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert "SIGKILL" not in log.read_text()


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_honcho_starts_several_of_a_stage_on_each_transport(settings: SharedSettings, tmp_path: Path) -> None:
    variables = {**environment(tmp_path), **transport(settings)}
    ready = {
        "ENRICHER__ADMIN__PORT": consecutive(variables, "ENRICHER__ADMIN__PORT", 3),
        "LOADER__ADMIN__PORT": consecutive(variables, "LOADER__ADMIN__PORT", 2),
        "COLLECTOR__ADMIN__PORT": consecutive(variables, "COLLECTOR__ADMIN__PORT", 1),
    }
    log = tmp_path / "log"
    process = start(variables, log, "-m", "honcho", "start", "-c", "enricher=3,loader=2")
    try:
        wait_until(lambda: all(is_ready(port) for ports in ready.values() for port in ports), process, log)
        for _ in range(20):
            send(variables)
        wait_until(lambda: count(variables) == 20, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "Traceback" not in log.read_text()
    assert log.read_text().count("stopped (rc=0)") == 7


def transport(settings: SharedSettings) -> dict[str, str]:
    """The transport of these settings, as the environment of a process."""
    broker = settings.ingest.rabbitmq
    return {
        "EVNT_INGEST__MODE": settings.ingest.mode,
        "EVNT_INGEST__RABBITMQ__HOST": broker.host,
        "EVNT_INGEST__RABBITMQ__PORT": str(broker.port),
        "EVNT_INGEST__RABBITMQ__USERNAME": broker.username,
        "EVNT_INGEST__RABBITMQ__PASSWORD": broker.password.get_secret_value(),
        "EVNT_INGEST__RABBITMQ__VIRTUALHOST": broker.virtualhost,
    }


def consecutive(variables: dict[str, str], option: str, count: int) -> range:
    """Free ports in a row; the option is set to the first."""
    first = free_ports(count)[0]
    variables[f"EVNT_{option}"] = str(first)
    return range(first, first + count)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def send(variables: dict[str, str]) -> None:
    query = "e=pv&p=web&aid=try&page=Hello&url=http%3A%2F%2Fexample.com%2F"
    with urlopen(f"http://127.0.0.1:{variables['EVNT_COLLECTOR__PORT']}/i?{query}", timeout=10) as answer:
        assert answer.status == 200


def count(variables: dict[str, str]) -> int:
    query = "SELECT+count()+FROM+events_unique+WHERE+page_title='Hello'"
    url = f"http://127.0.0.1:{variables[f'EVNT_{WAREHOUSE}']}/?database=evnt&query={query}"
    with urlopen(url, timeout=10) as answer:
        return int(answer.read())
