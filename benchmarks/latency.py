"""What a tracker waits for its answer at a part of the full load: the collector beside the bare handler, in turns.

A virtual machine stands still for tens of milliseconds now and then, which is the slowest percent of whoever is
measured just then. So both are measured alternately in many short turns, and the median of those counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import uvloop

from benchmarks.load import Load, Measured, run
from benchmarks.measured import REST
from shared.settings import SharedSettings, load
from shared.stream import open_subscriber

#: Share of the full load at which latency is judged, how often, and how many times the handler's it may be.
STEADY, TURNS, TARGET = 0.7, 15, 2

#: Seconds of one measurement.
_SECONDS = 0.7

#: Messages taken at a time to empty a stream.
_PREFETCH = 200


@dataclass(frozen=True)
class Judged:
    """A server, what to send it, and how many requests a second it takes at full load."""

    name: str
    port: int
    requests: Sequence[bytes]
    full: float

    @property
    def rate(self) -> float:
        return STEADY * self.full

    def measure(self) -> Measured:
        return run(Load(self.port, self.requests, _SECONDS, self.rate), REST)


def compare(bare: Judged, server: Judged, variables: Mapping[str, str]) -> None:
    """Print what both took, and how many times the handler's p99 the server's is.

    The raw stream of `variables` is emptied before each turn, as enrichers do: what a backlog costs the broker is not
    the collector's.
    """
    turns = [_turn(bare, server, variables) for _ in range(TURNS)]
    handler, found = ([turn[place] for turn in turns] for place in (0, 1))
    _tell(bare, handler)
    _tell(server, found)
    times = _p99(found) / _p99(handler)
    print(f"  p99 {times:.1f} times the bare handler's (under {TARGET} is the target)", flush=True)


def _turn(bare: Judged, server: Judged, variables: Mapping[str, str]) -> tuple[Measured, Measured]:
    uvloop.run(_empty(load(SharedSettings, environ=variables)))
    return bare.measure(), server.measure()


async def _empty(settings: SharedSettings) -> None:
    async with open_subscriber(settings, "raw", _PREFETCH) as subscriber:
        while deliveries := await subscriber.receive(_PREFETCH, 0.5):
            await subscriber.ack(deliveries)


def _tell(judged: Judged, turns: Sequence[Measured]) -> None:
    low, _, high = quantiles((turn.p99 for turn in turns), n=4)
    print(
        f"  {judged.name} at {STEADY:.0%} of its own full load, {judged.rate:,.0f} requests/s:"
        f" p50 {median(turn.p50 for turn in turns) * 1e3:.1f} ms, p99 {_p99(turns) * 1e3:.1f} ms"
        f" (quartiles {low * 1e3:.1f} and {high * 1e3:.1f}); {sum(turn.failed for turn in turns)} failed;"
        f" the client itself was up to {median(turn.late for turn in turns) * 1e3:.1f} ms late (p99)",
        flush=True,
    )


def _p99(turns: Sequence[Measured]) -> float:
    return median(turn.p99 for turn in turns)
