"""The collector against an aiohttp handler that only reads the body and answers `ok`, one core each.

Events are answered after the confirm: on RabbitMQ (a private node on the generator's core), as it comes and compressed,
and on the embedded stream.
Rates that count are events per second of processor time, user and system, of the server: on a core of its own that is
what it can take, and on a shared one it is all that can be compared. What came over the wire is printed beside it.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import uvloop
from aiohttp import web

from benchmarks.confirms import Publishing
from benchmarks.confirms import run as publish
from benchmarks.latency import STEADY, Judged, compare
from benchmarks.load import Load, Measured, run
from benchmarks.measured import MEASURED, REST, broker, cpu_s, resident_kb
from benchmarks.result import BODY, Result, unit_s
from collector.commit import PAUSE_S
from shared.settings import environment
from tests.broker import BrokerAbsent
from tests.ports import free_port

#: Seconds of one measurement, and how often the handler and the collector take turns: a noisy machine is noisy to both.
SECONDS = 2.0
TURNS = 5

#: Bytes that a record has beside the request's own.
_RECORDED = 400

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
    unit = unit_s()
    with _serving("bare handler", ["-m", "benchmarks.collector", "bare"], {}) as bare:
        for name, (opened, cases) in _STREAMS.items():
            try:
                with opened() as variables, _serving(name, ["-m", "collector"], variables) as server:
                    for case in cases:
                        _measure(case, server, bare, variables, unit)
                    _memory(server, _CASES[cases[0]][0]())
            except BrokerAbsent as error:
                print(f"{name}: not measured: {error}")


def _measure(case: str, server: "Server", bare: "Server", variables: Mapping[str, str], unit: float) -> None:
    made, events = _CASES[case]
    requests = made()
    full = _compare(server, bare, case, requests, events, unit)
    handler, judged = (
        Judged(one.name, one.port, requests, rate) for one, rate in zip((bare, server), full, strict=True)
    )
    compare(handler, judged, variables)
    if "EVNT_COLLECTOR__RAW__COMPRESSION" not in variables:
        _confirms(variables, len(requests[0]), full)


def _compare(
    server: "Server", bare: "Server", case: str, requests: list[bytes], events: int, unit: float
) -> tuple[float, float]:
    """What a request costs either of them; requests a second that either takes at full load, the handler first."""
    turns = [(_turn(bare, requests), _turn(server, requests)) for _ in range(TURNS)]
    limit, found = (_median([turn[place] for turn in turns]) for place in (0, 1))
    for one, cost in ((bare, limit), (server, found)):
        print(
            f"{one.name}, {case}: {cost.cpu_s * 1e6:.0f} µs CPU ({cost.cpu_s / unit:.1f} json.loads) a request;"
            f" over the wire {cost.full.per_second:,.0f} requests/s, p99 {cost.full.p99 * 1e3:.1f} ms;"
            f" {cost.full.failed} failed",
            flush=True,
        )
    target = TARGETS[case] if server.name == "RabbitMQ" else None
    rate, most = events / found.cpu_s, events / limit.cpu_s
    print(Result("collector", f"{case}, {server.name}", rate, most, "bare handler", target).line(), flush=True)
    of_handler, of_server = (median(turn[place].full.per_second for turn in turns) for place in (0, 1))
    return of_handler, of_server


def _confirms(variables: Mapping[str, str], size: int, full: tuple[float, float]) -> None:
    """The stream's own part in that: the same bytes a second, in about as many messages as the collector makes."""
    messages = 1 / PAUSE_S
    each = int(STEADY * full[1] * (size + _RECORDED) / messages)
    confirms = publish(Publishing(variables, messages, each, SECONDS))
    print(
        f"  of it the stream's: {messages:,.0f} messages/s of {each / 1e3:,.0f} kB, published by nothing else,"
        f" are confirmed after p50 {confirms.p50 * 1e3:.1f} ms, p99 {confirms.p99 * 1e3:.1f} ms",
        flush=True,
    )


@dataclass(frozen=True)
class Cost:
    """Processor time of a request, seconds, and what the client saw at full load."""

    cpu_s: float
    full: Measured


def _turn(server: "Server", requests: list[bytes]) -> Cost:
    before = server.cpu_s()
    found = run(Load(server.port, requests, SECONDS), REST)
    return Cost((server.cpu_s() - before) / found.answered, found)


def _median(costs: list[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.cpu_s)[len(costs) // 2]


def _memory(server: "Server", requests: list[bytes]) -> None:
    before, count = server.resident_kb(), 0
    for _ in range(TURNS):
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


#: Case → its requests, and the events in each.
_CASES: Mapping[str, tuple[Callable[[], list[bytes]], int]] = {
    "1-event POST": (partial(_posts, 1), 1),
    "10-event POST": (partial(_posts, 10), 10),
    "GET /i": (_gets, 1),
}


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
        return cpu_s(self._process.pid)

    def resident_kb(self) -> int:
        return resident_kb(self._process.pid)


@contextmanager
def _serving(name: str, command: list[str], variables: Mapping[str, str]) -> Iterator[Server]:
    port = free_port()
    variables = {**environment(), **variables, "EVNT_COLLECTOR__PORT": str(port), "EVNT_COLLECTOR__ADMIN__PORT": "0"}
    pinned = ["taskset", "-c", str(MEASURED), sys.executable, *command, str(port)]
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
def _compressed() -> Iterator[Mapping[str, str]]:
    with broker() as variables:
        yield {**variables, "EVNT_COLLECTOR__RAW__COMPRESSION": "zstd"}


#: Name of the server → its stream, and the cases that it is measured with.
_STREAMS = {
    "embedded stream": (_embedded, tuple(TARGETS)),
    "RabbitMQ": (broker, tuple(TARGETS)),
    "RabbitMQ, zstd": (_compressed, ("10-event POST",)),
}


async def _bare(port: int) -> None:
    async def track(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    app = web.Application()
    for path in ("/{vendor}/{version}", "/i", "/health"):
        app.router.add_route("*", path, track)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        uvloop.run(_bare(int(sys.argv[2])))
    else:
        main()
