"""The collector as a process: workers, pre-termination, a kill, and RabbitMQ that comes, blocks and goes."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.settings import IngestSettings, RabbitmqSettings, SharedSettings, StreamLimits
from shared.stream import open_embedded_subscriber, open_subscriber
from shared.stream.contract import Subscriber
from tests.broker import VHOSTS, Node
from tests.collector.processes import fails, process
from tests.ports import free_port
from tests.vectors import ROOT


def track(port: int, mark: str) -> int | None:
    """Post one event; the status, or None when nobody answered."""
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/com.acme/v1?{mark}", data=b"{}"), timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except (URLError, OSError):
        return None


def get(port: int, path: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


async def marks(subscriber: Subscriber, quiet_s: float = 0.2) -> list[str]:
    """What is in the queue, each payload by its query string."""
    found = []
    while deliveries := await subscriber.receive(500, quiet_s):
        for delivery in deliveries:
            payloads = [one for one in decode(delivery.message.body) if isinstance(one, CollectorPayload)]
            found += [payload.querystring or "" for payload in payloads]
        await subscriber.ack(deliveries)
    return found


async def embedded_marks(folder: Path) -> list[str]:
    async with open_embedded_subscriber(folder, StreamLimits(), "raw", 10_000) as subscriber:
        return await marks(subscriber)


def until(condition: Callable[[], object], patience_s: float = 30) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


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
        until(lambda: asyncio.run(spooled(tmp_path)) == 0)
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


# ---- RabbitMQ ---------------------------------------------------------------------------------------------------


def rabbitmq_variables(node: Node) -> dict[str, str]:
    return {
        "EVNT_INGEST__MODE": "rabbitmq",
        "EVNT_INGEST__RABBITMQ__HOST": "127.0.0.1",
        "EVNT_INGEST__RABBITMQ__PORT": str(node.port),
        "EVNT_INGEST__RABBITMQ__VIRTUALHOST": VHOSTS[0],
        "EVNT_INGEST__RABBITMQ__RETRY_DELAY_MS": "300",
        "EVNT_COLLECTOR__RAW__PUBLISH_TIMEOUT_MS": "1000",
    }


async def broker_marks(node: Node, tmp_path: Path) -> list[str]:
    ingest = IngestSettings(mode="rabbitmq", rabbitmq=node_settings(node))
    async with open_subscriber(SharedSettings(data_dir=tmp_path, ingest=ingest), "raw", 1_000) as subscriber:
        return await marks(subscriber, 2)


def arrive(node: Node, tmp_path: Path, wanted: set[str]) -> None:
    """Until all of these are in the queue of the broker, or have been."""
    found: set[str] = set()
    for _ in range(10):
        found |= set(asyncio.run(broker_marks(node, tmp_path)))
        if wanted <= found:
            return
    assert wanted <= found


def node_settings(node: Node) -> RabbitmqSettings:
    return node.address.settings(VHOSTS[0])


@pytest.mark.rabbitmq
def test_an_outage_of_the_broker_costs_no_event_and_no_503(node: Node, tmp_path: Path) -> None:
    port = free_port()
    answered: list[str] = []
    refused: list[str] = []
    stop = [False]

    def send(sender: int) -> None:
        number = 0
        while not stop[0]:
            number += 1
            mark = f"{sender}-{number}"
            (answered if track(port, mark) == 200 else refused).append(mark)

    with process(rabbitmq_variables(node), port=port, data_dir=tmp_path) as running, ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, number) for number in range(4)]
        until(lambda: len(answered) > 50)
        node.stop()
        before = len(answered)
        until(lambda: len(answered) > before + 200)
        assert get(port, "/ready") == 200  # it can still keep events
        node.start()
        before = len(answered)
        until(lambda: len(answered) > before + 50)
        until(lambda: asyncio.run(spooled(tmp_path)) == 0, 60)
        stop[0] = True
        for one in sending:
            one.result()
        running.terminate()
        assert running.wait(30) == 0
    assert not refused
    found = asyncio.run(broker_marks(node, tmp_path))
    assert set(found) == set(answered)


async def spooled(folder: Path) -> int:
    """Messages that wait in the spool and are lent to nobody else."""
    async with open_embedded_subscriber(folder / "spool", StreamLimits(), "raw", 10) as subscriber:
        deliveries = await subscriber.receive(10, 0)
        await subscriber.release(deliveries)
        return len(deliveries)


@pytest.mark.rabbitmq
def test_it_starts_and_serves_without_its_broker(node: Node, tmp_path: Path) -> None:
    port = free_port()
    node.stop()
    try:
        with process(rabbitmq_variables(node), port=port, data_dir=tmp_path) as running:
            assert track(port, "early") == 200
            running.terminate()
            assert running.wait(30) == 0
    finally:
        node.start()
    with process(rabbitmq_variables(node), port=port, data_dir=tmp_path) as running:
        assert track(port, "now") == 200
        arrive(node, tmp_path, {"early", "now"})


@pytest.mark.rabbitmq
def test_a_full_spool_is_a_503_until_the_broker_is_back(node: Node, tmp_path: Path) -> None:
    port = free_port()
    variables = rabbitmq_variables(node) | {"EVNT_COLLECTOR__SPOOL__MAX_BYTES": "20000"}
    with process(variables, port=port, data_dir=tmp_path):
        assert track(port, "before") == 200
        node.stop()
        try:
            until(lambda: track(port, "x" * 2_000) == 503)
            assert get(port, "/ready") == 503
            assert get(port, "/health") == 200
        finally:
            node.start()
        until(lambda: track(port, "after") == 200)
        until(lambda: get(port, "/ready") == 200)
        arrive(node, tmp_path, {"before", "after"})
