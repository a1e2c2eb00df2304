"""Ports for servers that are told where to listen, and listen a while later.

A port that the system gives for port 0 may be given to somebody else in between, and a connection to it, made again and
again until the server is there, ends up connected to itself once in thousands of times. Ours lie below those that Linux
(from 32768) and macOS (from 49152) give away, and each worker of pytest-xdist has some of its own, as has the second of
two runs at a time that is told so by `EVNT_TEST_RUN=1`.
"""

import random
import socket
from collections.abc import Iterator
from functools import cache

from shared.settings import environment

_FIRST, _PER_WORKER, _WORKERS, _RUNS = 10_000, 1_400, 8, 2


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens, and which no other test is given soon."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many of them, one after the other."""
    while True:
        ports = [next(_ports()) for _ in range(count)]
        if ports[-1] - ports[0] == count - 1 and all(map(_is_free, ports)):
            return ports


@cache
def _ports() -> Iterator[int]:
    """Round and round through this worker's ports, from anywhere: other runs of the tests may be on the way."""
    worker = int(environment().get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    run = int(environment().get("EVNT_TEST_RUN", "0")) % _RUNS
    first = _FIRST + (run * _WORKERS + worker) * _PER_WORKER
    return _cycle(first, random.randrange(_PER_WORKER))


def _cycle(first: int, offset: int) -> Iterator[int]:
    while True:
        yield first + offset % _PER_WORKER
        offset += 1


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
