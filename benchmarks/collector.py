"""The collector against an aiohttp handler that only reads the body and answers `ok`, one core each.

Events are answered after the confirm: on RabbitMQ (a private node on the generator's core) and on the embedded stream.
Rates that count are events per second of processor time, user and system, of the server: on a core of its own that is
what it can take, and on a shared one it is all that can be compared. What came over the wire is printed beside it.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import uvloop
from aiohttp import web

from benchmarks.load import Load, Measured, run
from benchmarks.result import BODY, Result, unit_s
from shared.settings import environment
from tests.broker import VHOSTS, BrokerAbsent, private_node

SECONDS = 4.0
ROUNDS = 3

#: Cores of the server and of everything else.
SERVER, REST = 0, 1

TARGETS = {"1-event POST": 0.55, "10-event POST": 0.43, "GET /i": 0.55}

_HEAD = (
    "Host: collector.example.com\r\nConnection: keep-alive\r\nAccept: */*\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\nOrigin: https://shop.example.com\r\nReferer: https://shop.example.com/\r\n"
    "Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-site\r\nsec-ch-ua-mobile: ?0\r\n"
    'sec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/130.0.0.0 Safari/537.36\r\n"
)


def main() -> None:
    cases = {"1-event POST": _posts(1), "10-event POST": _posts(10), "GET /i": _gets()}
    events = {"1-event POST": 1, "10-event POST": 10, "GET /i": 1}
    unit = unit_s()
    with _serving("bare aiohttp handler", ["-m", "benchmarks.collector", "bare"], {}) as bare:
        limits = {case: _measure(bare, case, requests) for case, requests in cases.items()}
    for name, opened in (("embedded stream", _embedded), ("RabbitMQ", _rabbitmq)):
        try:
            with opened() as variables, _serving(name, ["-m", "collector"], variables) as server:
                for case, requests in cases.items():
                    _compare(name, case, _measure(server, case, requests), limits[case], events[case], unit)
                _memory(server, cases["1-event POST"])
        except BrokerAbsent as error:
            print(f"{name}: not measured: {error}")


@dataclass(frozen=True)
class Cost:
    """Processor time of a request, seconds, and what the client saw at full load and at 70 % of it."""

    cpu_s: float
    full: Measured
    steady: Measured


def _compare(name: str, case: str, found: Cost, limit: Cost, events: int, unit: float) -> None:
    print(f"  {found.cpu_s / unit:.1f} json.loads a request; p99 at 70 % is {_times(found, limit)} the bare handler's")
    target = TARGETS[case] if name == "RabbitMQ" else None
    rate, bare = events / found.cpu_s, events / limit.cpu_s
    print(Result("collector", f"{case}, {name}", rate, bare, "bare handler", target).line())


def _times(found: Cost, limit: Cost) -> str:
    return f"{found.steady.p99 / limit.steady.p99:.1f} times"


def _measure(server: "Server", case: str, requests: list[bytes]) -> Cost:
    """Median of the rounds, by processor time a request."""
    run(Load(server.port, requests, 1), REST)
    rounds = []
    for _ in range(ROUNDS):
        before = server.cpu_s()
        found = run(Load(server.port, requests, SECONDS), REST)
        rounds.append(((server.cpu_s() - before) / found.answered, found))
    cpu, full = sorted(rounds, key=lambda one: one[0])[ROUNDS // 2]
    steady = run(Load(server.port, requests, SECONDS, 0.7 * full.per_second), REST)
    print(
        f"{server.name}, {case}: {cpu * 1e6:.0f} µs CPU a request, {full.per_second:,.0f} requests/s over the wire,"
        f" p50 {full.p50 * 1e3:.1f} ms, p99 {full.p99 * 1e3:.1f} ms; at 70 % of it p50 {steady.p50 * 1e3:.1f} ms,"
        f" p99 {steady.p99 * 1e3:.1f} ms; {full.failed + steady.failed} failed",
        flush=True,
    )
    return Cost(cpu, full, steady)


def _memory(server: "Server", requests: list[bytes]) -> None:
    before, count = server.resident_kb(), 0
    for _ in range(3):
        count += run(Load(server.port, requests, SECONDS), REST).answered
    print(f"{server.name}: memory {before / 1024:.1f} MB, {server.resident_kb() / 1024:.1f} MB after {count:,} more")


# ---- what is sent -----------------------------------------------------------------------------------------------


def _posts(events: int) -> list[bytes]:
    return [_post(seed, events) for seed in range(60)]


def _post(seed: int, events: int) -> bytes:
    document = json.loads(BODY)
    document["data"] = [_event(seed * 100 + number) for number in range(events)]
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    head = f"POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\n{_HEAD}Cookie: sp={uuid.UUID(int=seed)}\r\n"
    head += f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _gets() -> list[bytes]:
    targets = [f"/i?{urlencode(_event(seed))}" for seed in range(60)]
    return [
        f"GET {target} HTTP/1.1\r\n{_HEAD}Cookie: sp={uuid.UUID(int=seed)}\r\n\r\n".encode()
        for seed, target in enumerate(targets)
    ]


def _event(seed: int) -> dict[str, str]:
    chance = random.Random(seed)
    event: dict[str, str] = dict(json.loads(BODY)["data"][0])
    event["eid"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    event["url"] += f"&page={chance.randrange(10_000)}"
    event["page"] = f"Schöne Schuhe {chance.randrange(10_000)}"
    event["cx"] = (event["cx"] * 4)[:1_000]
    return event


# ---- who is measured --------------------------------------------------------------------------------------------


class Server:
    """A server process on a core of its own."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.name = name
        self.port = port
        self._process = process

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kb(self) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def _serving(name: str, command: list[str], variables: Mapping[str, str]) -> Iterator[Server]:
    port = 18080
    variables = {**environment(), **variables, "EVNT_COLLECTOR__PORT": str(port), "EVNT_COLLECTOR__ADMIN__PORT": "0"}
    pinned = ["taskset", "-c", str(SERVER), sys.executable, *command]
    process = subprocess.Popen(pinned, env=dict(variables))
    try:
        _wait(port)
        yield Server(name, process, port)
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


@contextmanager
def _embedded() -> Iterator[Mapping[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield {"EVNT_DATA_DIR": folder, "EVNT_INGEST__MODE": "direct"}


@contextmanager
def _rabbitmq() -> Iterator[Mapping[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, {REST})  # inherited by the node
        try:
            with private_node(Path(folder) / "node") as node:
                yield {
                    "EVNT_DATA_DIR": folder,
                    "EVNT_INGEST__MODE": "rabbitmq",
                    "EVNT_INGEST__RABBITMQ__HOST": node.address.host,
                    "EVNT_INGEST__RABBITMQ__PORT": str(node.address.port),
                    "EVNT_INGEST__RABBITMQ__VIRTUALHOST": VHOSTS[0],
                }
        finally:
            os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


async def _bare() -> None:
    async def track(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    app = web.Application()
    for path in ("/{vendor}/{version}", "/i", "/health"):
        app.router.add_route("*", path, track)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 18080).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["bare"]:
        uvloop.run(_bare())
    else:
        main()
