"""The collector as a process: workers, pre-termination and a kill."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from tests.collector.processes import embedded_marks, fails, get, process, spooled, track, until
from tests.ports import free_port
from tests.vectors import ROOT


def children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_share_a_port_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    port = free_port()
    with process({"EVNT_COLLECTOR__WORKERS": "2"}, port=port, data_dir=tmp_path) as running:
        first = children(running.pid)
        assert len(first) == 2
        answered = [mark for mark in map(str, range(40)) if track(port, mark) == 200]
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(children(running.pid)) == 2 and first[0] not in children(running.pid))
        until(lambda: track(port, "after") == 200)
        running.terminate()
        assert running.wait(20) == 0
        assert all(not Path(f"/proc/{child}").exists() for child in first)
    assert set(answered) <= set(asyncio.run(embedded_marks(tmp_path / "stream")))


@pytest.mark.parametrize(
    ("when_told", "code"),
    [
        ("lambda *_: sys.exit(0)", 0),
        ("lambda *_: sys.exit(3)", 1),
        ("lambda *_: os.abort()", 1),
        ("signal.SIG_DFL", 0),
    ],
)
def test_a_worker_that_fails_at_the_end_fails_the_whole(when_told: str, code: int) -> None:
    """One that the signal ends before it listens for it has not failed."""
    script = (
        "import os, signal, sys\n"
        "from collector.workers import Workers\n"
        "def work(number):\n"
        f"    signal.signal(signal.SIGTERM, {when_told})\n"
        "    os.write(1, b'up\\n')\n"
        "    while True:\n"
        "        signal.pause()\n"
        "sys.exit(Workers(2, work).run())\n"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout
        assert [running.stdout.readline(), running.stdout.readline()] == ["up\n", "up\n"]
        running.terminate()
        assert running.wait(20) == code
    finally:
        running.kill()
        running.communicate()


def test_a_child_that_is_no_worker_may_end() -> None:
    """The shell that became this process may have started others, and the first process of a container adopts."""
    script = (
        "import os, signal, sys, time\n"
        "from collector.workers import Workers\n"
        "if not os.fork():\n"
        "    os._exit(0)\n"
        "def work(number):\n"
        "    while os.getppid() == parent:\n"
        "        time.sleep(0.05)\n"
        "parent = os.getpid()\n"
        "sys.exit(Workers(2, work).run())\n"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        until(lambda: len(children(running.pid)) == 2)
        time.sleep(0.2)
        assert len(children(running.pid)) == 2
        running.terminate()
        assert running.wait(20) == 0
    finally:
        running.kill()
        running.communicate()


def test_half_a_head_that_comes_with_the_connection_is_cut_off() -> None:
    port = free_port()
    with (
        process({"EVNT_COLLECTOR__TIMEOUTS__HEADERS_SECONDS": "0.2"}, port=port),
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"GET /i HT")
        assert client.recv(1) == b""


def test_it_waits_for_a_broker_as_long_as_it_is_told_and_says_why_it_spools(tmp_path: Path) -> None:
    broker = {"EVNT_INGEST__RABBITMQ__PORT": "1", "EVNT_INGEST__RABBITMQ__STARTUP_TIMEOUT_SECONDS": "1"}
    port = free_port()
    with process({"EVNT_INGEST__MODE": "rabbitmq", **broker}, port=port, data_dir=tmp_path) as running:
        assert track(port, "spooled") == 200
        running.terminate()
        lines = running.communicate(timeout=30)[1].splitlines()
    unreachable, started = (
        next(line for line in lines if event in line) for event in ("rabbitmq_unreachable", "collector.started")
    )
    waited = datetime.fromisoformat(started.split()[0]) - datetime.fromisoformat(unreachable.split()[0])
    assert waited.total_seconds() < 2.5
    assert any("stream.away" in line and "reason=" in line and "spool=True" in line for line in lines)


def test_what_a_spool_holds_goes_on_when_there_is_none_any_more(tmp_path: Path) -> None:
    port = free_port()
    away = {"EVNT_INGEST__MODE": "rabbitmq", "EVNT_INGEST__RABBITMQ__PORT": "1"}
    with process(away, port=port, data_dir=tmp_path) as running:
        assert track(port, "spooled") == 200
        running.terminate()
        assert running.wait(20) == 0
    with process({"EVNT_COLLECTOR__SPOOL__ENABLED": "false"}, port=port, data_dir=tmp_path) as running:
        until(lambda: spooled(tmp_path) == 0)
        running.terminate()
        assert running.wait(20) == 0
    assert asyncio.run(embedded_marks(tmp_path / "stream")) == ["spooled"]


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    port = free_port()
    with process({"EVNT_COLLECTOR__WORKERS": "2"}, port=port, data_dir=tmp_path) as running:
        workers = children(running.pid)
        assert len(workers) == 2
        running.kill()
        until(lambda: not any(alive(worker) for worker in workers))


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_pre_termination_serves_on_and_says_that_it_ends(tmp_path: Path) -> None:
    port = free_port()
    variables = {"EVNT_COLLECTOR__SHUTDOWN__PRE_TERMINATION_SECONDS": "2"}
    with process(variables, port=port, data_dir=tmp_path) as running:
        running.terminate()
        until(lambda: get(port, "/health") == 503)
        assert get(port, "/ready") == 503
        assert track(port, "late") == 200
        assert running.wait(20) == 0
    assert asyncio.run(embedded_marks(tmp_path / "stream")) == ["late"]


def test_pre_termination_says_nothing_where_it_is_not_to(tmp_path: Path) -> None:
    port = free_port()
    variables = {"PRE_TERMINATION_SECONDS": "2", "PRE_TERMINATION_UNHEALTHY": "false"}
    named = {f"EVNT_COLLECTOR__SHUTDOWN__{name}": value for name, value in variables.items()}
    with process(named, port=port, data_dir=tmp_path) as running:
        running.terminate()
        time.sleep(0.5)
        assert (get(port, "/health"), get(port, "/ready"), track(port, "late")) == (200, 200, 200)
        assert running.wait(20) == 0


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    answered: list[str] = []

    def send(sender: int) -> None:
        for number in range(10_000):
            if track(port, f"{sender}-{number}") != 200:
                return
            answered.append(f"{sender}-{number}")

    with process(port=port, data_dir=tmp_path) as running, ThreadPoolExecutor(4) as senders:
        list(senders.map(lambda _: None, range(4)))
        sending = [senders.submit(send, number) for number in range(4)]
        until(lambda: len(answered) > 100)
        running.kill()
        for one in sending:
            one.result()
    assert set(answered) <= set(asyncio.run(embedded_marks(tmp_path / "stream")))


def test_a_taken_port_and_a_bad_setting_end_it_with_words(tmp_path: Path) -> None:
    port = free_port()
    with process(port=port, data_dir=tmp_path):
        for workers in ("1", "2"):
            code, words = fails({"EVNT_COLLECTOR__WORKERS": workers}, port=port, data_dir=tmp_path)
            assert code == 78
            assert words.startswith(f"port {port} on 127.0.0.1 is taken")
    for workers in ("1", "2"):
        elsewhere = {"EVNT_COLLECTOR__WORKERS": workers, "EVNT_COLLECTOR__HOST": "203.0.113.1"}
        code, words = fails(elsewhere, port=port, data_dir=tmp_path)
        assert code == 78
        assert words.startswith(f"can't listen on 203.0.113.1:{port} (collector.port)")
    code, words = fails({"EVNT_COLLECTOR__COOKIE__FALLBACK_DOMAIN": "a.b,c.d"}, port=port, data_dir=tmp_path)
    assert code == 78
    assert words.startswith("configuration: collector.cookie.fallback_domain: contains invalid character ','")
