"""HTTP load from a second process: as fast as it goes, or at a given rate, over connections that stay open."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

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
    loop, seen = asyncio.get_running_loop(), _Seen()
    # opened before the clock starts: the rush of all at once would be the slowest percent of a short run
    opening = (
        loop.create_connection(partial(_Sender, load, number, loop, seen), "127.0.0.1", load.port)
        for number in range(CONNECTIONS)
    )
    opened = await asyncio.gather(*opening)
    begin = time.perf_counter()
    for transport, sender in opened:
        sender.begin(transport, begin)
    await asyncio.gather(*(sender.done for _, sender in opened))
    taken = time.perf_counter() - begin
    latencies, delays = sorted(seen.latencies), sorted(seen.delays)
    count = len(latencies)
    late = delays[int(len(delays) * 0.99)] if delays else 0.0
    return Measured(count, seen.failed, taken, latencies[count // 2], latencies[int(count * 0.99)], late)


class _Sender(asyncio.Protocol):
    """One connection. No coroutine: what a request costs here is taken from the broker, which shares the core."""

    def __init__(self, load: Load, number: int, loop: asyncio.AbstractEventLoop, seen: _Seen) -> None:
        self._load = load
        self._loop = loop
        self._seen = seen
        self._pause = CONNECTIONS / load.rate if load.rate else 0.0
        self._first = self._pause * number / CONNECTIONS
        self._place = number * 7
        self._received = b""
        self.done: asyncio.Future[None] = loop.create_future()

    def begin(self, transport: asyncio.Transport, now: float) -> None:
        self._transport = transport
        self._end = now + self._load.seconds
        self._due = now + self._first
        self._next(now)

    def _next(self, now: float) -> None:
        if self._due >= self._end:
            self._transport.close()
        elif self._load.rate and self._due > now:
            self._loop.call_later(self._due - now, self._wake)
        else:
            self._send()

    def _wake(self) -> None:
        self._seen.delays.append(time.perf_counter() - self._due)
        self._send()

    def _send(self) -> None:
        self._transport.write(self._load.requests[self._place % len(self._load.requests)])
        self._place += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not _is_whole(self._received):
            return
        now = time.perf_counter()
        self._seen.latencies.append(now - self._due)
        self._seen.failed += self._received[9:12] != b"200"
        self._received = b""
        self._due = self._due + self._pause if self._load.rate else now
        self._next(now)

    def connection_lost(self, error: Exception | None) -> None:
        if self._due < self._end:
            self.done.set_exception(error or ConnectionError("the server closed a connection"))
        else:
            self.done.set_result(None)


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    place = answer[:head].lower().find(b"content-length:")
    size = int(answer[place + 15 : answer.index(b"\r", place)]) if place >= 0 else 0
    return len(answer) >= head + 4 + size
