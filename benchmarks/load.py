"""HTTP load from a second process: as fast as it goes, or at a given rate, over connections that stay open."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

#: Open connections, as many browsers at a time.
CONNECTIONS = 64


@dataclass(frozen=True)
class Load:
    """What to send. rate: requests a second in all; None: each connection sends as soon as it was answered."""

    port: int
    requests: Sequence[bytes]
    seconds: float
    rate: float | None = None


@dataclass(frozen=True)
class Measured:
    """What came of it; latencies in seconds, counted from when a request was due. failed: answers other than 200."""

    answered: int
    failed: int
    seconds: float
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def run(load: Load, core: int | None) -> Measured:
    """Send it from a process of its own, pinned to a core."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_work, (load, core))


def _work(load: Load, core: int | None) -> Measured:
    if core is not None:
        os.sched_setaffinity(0, {core})
    return uvloop.run(_send_all(load))


async def _send_all(load: Load) -> Measured:
    latencies: list[float] = []
    failures: list[int] = []
    begin = time.perf_counter()
    senders = [_sender(load, number, begin, latencies, failures) for number in range(CONNECTIONS)]
    await asyncio.gather(*senders)
    taken = time.perf_counter() - begin
    latencies.sort()
    count = len(latencies)
    return Measured(count, len(failures), taken, latencies[count // 2], latencies[int(count * 0.99)])


async def _sender(load: Load, number: int, begin: float, latencies: list[float], failures: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    pause = CONNECTIONS / load.rate if load.rate else 0.0
    due = begin + pause * number / CONNECTIONS
    place = number * 7
    while due - begin < load.seconds:
        wait = due - time.perf_counter()
        if load.rate and wait > 0:
            await asyncio.sleep(wait)
        writer.write(load.requests[place % len(load.requests)])
        place += 1
        status = await _answer(reader)
        now = time.perf_counter()
        latencies.append(now - due)
        if status != b"200":
            failures.append(int(status))
        due = due + pause if load.rate else now
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    place = head.lower().find(b"content-length:")
    if place >= 0:
        await reader.readexactly(int(head[place + 15 : head.index(b"\r", place)]))
    return head[9:12]
