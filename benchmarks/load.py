"""HTTP load from a second process: as fast as it goes, or at a given rate, over connections that stay open."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop

#: Open connections, as many browsers at a time.
CONNECTIONS = 64

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Load:
    """What to send. rate: requests a second in all; None: each connection sends as soon as it was answered."""

    port: int
    requests: Sequence[bytes]
    seconds: float
    rate: float | None = None


@dataclass(frozen=True)
class Measured:
    """What came of it; latencies in seconds, counted from when a request was due. failed: answers other than 200.

    late: of 1 % of the requests at a given rate, how long after they were due this process woke up to send them.
    """

    answered: int
    failed: int
    seconds: float
    p50: float
    p99: float
    late: float

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


@dataclass(slots=True)
class _Seen:
    """What the senders note, latencies and delays in seconds."""

    latencies: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    failed: int = 0


async def _send_all(load: Load) -> Measured:
    # opened before the clock starts: the rush of all at once would be the slowest percent of a short run
    opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", load.port) for _ in range(CONNECTIONS)))
    seen, begin = _Seen(), time.perf_counter()
    await asyncio.gather(*(_sender(load, number, one, begin, seen) for number, one in enumerate(opened)))
    taken = time.perf_counter() - begin
    latencies, delays = sorted(seen.latencies), sorted(seen.delays)
    count = len(latencies)
    late = delays[int(len(delays) * 0.99)] if delays else 0.0
    return Measured(count, seen.failed, taken, latencies[count // 2], latencies[int(count * 0.99)], late)


async def _sender(load: Load, number: int, connection: _Connection, begin: float, seen: _Seen) -> None:
    reader, writer = connection
    pause = CONNECTIONS / load.rate if load.rate else 0.0
    due = begin + pause * number / CONNECTIONS
    place = number * 7
    while due - begin < load.seconds:
        wait = due - time.perf_counter()
        if load.rate and wait > 0:
            await asyncio.sleep(wait)
            seen.delays.append(time.perf_counter() - due)
        writer.write(load.requests[place % len(load.requests)])
        place += 1
        status = await _answer(reader)
        now = time.perf_counter()
        seen.latencies.append(now - due)
        seen.failed += status != b"200"
        due = due + pause if load.rate else now
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    place = head.lower().find(b"content-length:")
    if place >= 0:
        await reader.readexactly(int(head[place + 15 : head.index(b"\r", place)]))
    return head[9:12]
