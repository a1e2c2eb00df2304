"""Signals, exit codes and the admin port, with real processes and real sockets."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter

from shared.process import Misconfigured, admin
from shared.settings import AdminSettings
from tests.ports import free_ports

ROOT = """
import asyncio, sys
from shared.process import Misconfigured, run
from shared.settings import SettingsError

async def main(stopping):
    print("up", flush=True)
    {body}

run(main)
"""


async def started(body: str) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ROOT.format(body=body), stdout=PIPE, stderr=PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"up\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_process_drain_and_exit_0(number: signal.Signals) -> None:
    process = await started("await stopping.wait(); print('drained')")
    process.send_signal(number)
    assert await process.communicate() == (b"drained\n", b"")
    assert process.returncode == 0


async def test_a_second_signal_does_not_cut_the_drain_short() -> None:
    process = await started("await stopping.wait(); print('draining', flush=True); await asyncio.sleep(0.3)")
    process.send_signal(signal.SIGINT)
    assert process.stdout
    await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("Misconfigured('no table')", 78, "no table\n"),
        ("ExceptionGroup('tasks', [ExceptionGroup('', [Misconfigured('no table')])])", 78, "no table\n"),
        ("SettingsError(['a: b', 'c: d'])", 78, "configuration: a: b\nconfiguration: c: d\n"),
        ("KeyError('bug')", 1, "KeyError: 'bug'\n"),
    ],
)
async def test_exit_codes(raised: str, code: int, said: str) -> None:
    process = await started(f"raise {raised}")
    _, stderr = await process.communicate()
    assert process.returncode == code
    assert stderr.decode().endswith(said)


async def test_the_admin_port_answers() -> None:
    registry = CollectorRegistry()
    Counter("rows", "Rows", registry=registry).inc(3)
    trouble = ["broker is away"]
    checks = {"stream": lambda: trouble[0] if trouble else None}
    async with (
        admin("loader", AdminSettings(port=0), registry, ready=checks) as port,
        ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.get("/ready") as answer:
            assert answer.status == 503
            assert (await answer.json())["checks"] == {"stream": "broker is away"}
        trouble.clear()
        async with client.get("/ready") as answer:
            assert (answer.status, (await answer.json())["checks"]) == (200, {"stream": "ok"})
        async with client.get("/health") as answer:
            assert (answer.status, (await answer.json())["healthy"]) == (200, True)
        async with client.get("/metrics") as answer:
            assert "rows_total 3.0" in await answer.text()


async def test_a_taken_admin_port_is_named() -> None:
    async with admin("loader", AdminSettings(port=0), CollectorRegistry(), ready={}) as port:
        with pytest.raises(Misconfigured, match=rf"port {port} on 127.0.0.1 is taken.*loader.admin.port"):
            async with admin("loader", AdminSettings(port=port), CollectorRegistry(), ready={}):
                pass


async def test_the_second_process_under_honcho_takes_the_next_port(monkeypatch: pytest.MonkeyPatch) -> None:
    port, _ = free_ports(2)
    async with admin("loader", AdminSettings(port=port), CollectorRegistry(), ready={}):
        monkeypatch.setenv("HONCHO_PROCESS_NAME", "loader.2")
        async with admin("loader", AdminSettings(port=port), CollectorRegistry(), ready={}) as second:
            assert second == port + 1
