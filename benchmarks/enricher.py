"""The enricher on one core: typical page views through the pipeline alone, and through RabbitMQ by the real process.

The bare limit is what no enricher can do without: take the record apart and parse its two JSON texts. The miniature is
a hot path of the same kind with nothing around it: it tells what a target of another machine means on this one.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import uvloop

from benchmarks import miniature
from benchmarks.measured import MEASURED, broker, cpu_s
from benchmarks.pageviews import body, event, records
from benchmarks.pipeline import EVENTS, PAYLOADS_A_MESSAGE, ROUNDS, Bench, messages, timed
from benchmarks.result import Result, unit_s
from shared.compiled import compiled, refusal
from shared.identity import now_ms, uuid7
from shared.process import collect_garbage_seldom
from shared.settings import SharedSettings, environment, load
from shared.stream import open_publisher
from shared.stream.contract import Message
from tests.broker import BrokerAbsent

ADMIN_PORT = 18111

#: case → events in a request, share of known user agents, events/s to reach.
CASES = {
    "page view": (1, 0.9, 11_000),
    "page view, posted in tens": (10, 0.9, None),
    "page view, every user agent new": (1, 0.0, 7_000),
}

#: Processes that are measured one after the other, of which the fastest counts, as among the miniature's rounds: others
#: on the same machine only ever slow one down, to half its speed at times.
TURNS = 5

#: The same as a share of the miniature's rate: where those were set, it took 55 µs, and 76 with every user agent new.
SHARES = {"page view": 55e-6 * 11_000, "page view, every user agent new": 76e-6 * 7_000}


def main() -> None:
    if reason := refusal():
        sys.exit(reason)
    print(f"{len(compiled())} modules compiled" if compiled() else "interpreted, nothing compiled")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {MEASURED})
    collect_garbage_seldom()
    bench = Bench()
    one = body([event(random.Random(1), 1)]).decode()
    loads_us = _best(json.loads, [one]) * 1e6
    print(f"one json.loads of a {len(one):,}-byte page view with three contexts: {loads_us:.1f} µs")
    bench.steps()
    for case, (each, known, _) in CASES.items():
        seconds, limit = bench.measure(each, known)
        print(f"{case}: {seconds * 1e6:.0f} µs an event, {seconds * 1e6 / loads_us:.1f} json.loads of its body")
        result = Result("enricher", f"{case}, pipeline alone", 1 / seconds, 1 / limit, "decode and parse JSON only")
        print(result.line())
    bench.invalid()
    os.sched_setaffinity(0, cores)
    try:
        _through_rabbitmq()
    except BrokerAbsent as error:
        print(f"RabbitMQ: not measured: {error}")


def _best(call: Callable[[Any], Any], inputs: Sequence[Any], calls: int = 2_000) -> float:
    return min(timed(call, list(inputs) * calls) for _ in range(ROUNDS))


# ---- the process on RabbitMQ --------------------------------------------------------------------------------------


def _through_rabbitmq() -> None:
    unit = unit_s()
    for case, (each, known, target) in CASES.items():
        with _broker() as variables:
            turns = [_turn(variables, records(EVENTS * 5 // each, each, known, 99 + turn)) for turn in range(TURNS)]
        wall, cpu = min(turns, key=lambda turn: turn[1])
        least = _miniature(each, known)
        print(
            f"{case}, RabbitMQ: {1 / wall:,.0f} events/s of wall time beside the broker, {cpu * 1e6:.0f} µs CPU each"
            f" ({cpu / unit:.1f} units), user and system time,"
            f" the least of {', '.join(f'{each_cpu * 1e6:.0f}' for _, each_cpu in turns)}"
        )
        print(Result("enricher", f"{case}, RabbitMQ", 1 / cpu, target=target).line())
        share = SHARES.get(case)
        print(Result("enricher", f"{case}, RabbitMQ again", 1 / cpu, 1 / least, "a miniature", share).line())


def _turn(variables: Mapping[str, str], made: Sequence[bytes]) -> tuple[float, float]:
    """Wall and CPU seconds an event, for a process of its own."""
    uvloop.run(_fill(load(SharedSettings, environ=variables), made))
    return _drain(variables, 5 * EVENTS)


def _miniature(each: int, known: float) -> float:
    """CPU seconds an event, on the measured core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {MEASURED})
    rounds = [messages(records(EVENTS // each, each, known, seed + 1)) for seed in range(ROUNDS)]
    least = miniature.measure(rounds, EVENTS)
    os.sched_setaffinity(0, cores)
    return least


@contextmanager
def _broker() -> Iterator[Mapping[str, str]]:
    with broker() as variables:
        yield {**environment(), **variables, "EVNT_ENRICHER__ADMIN__PORT": str(ADMIN_PORT)}


async def _fill(settings: SharedSettings, made: Sequence[bytes]) -> None:
    """Put everything on the raw stream before the enricher starts."""
    groups = [made[at : at + PAYLOADS_A_MESSAGE] for at in range(0, len(made), PAYLOADS_A_MESSAGE)]
    async with open_publisher(settings) as publisher:
        for at in range(0, len(groups), 20):
            await publisher.publish("raw", [_message(group) for group in groups[at : at + 20]])


def _message(group: Sequence[bytes]) -> Message:
    headers = {"payloads": len(group)}
    return Message(b"".join(group), uuid7(), now_ms(), "collector-payload", "application/x-thrift", headers)


def _drain(variables: Mapping[str, str], events: int) -> tuple[float, float]:
    """Wall and CPU seconds an event, of all events but the first tenth, which warms the process up."""
    command = ["taskset", "-c", str(MEASURED), sys.executable, "-m", "enricher"]
    with subprocess.Popen(command, env=dict(variables)) as process:
        try:
            first = _wait_for(process, events // 10)
            last = _wait_for(process, events)
        finally:
            process.terminate()
            process.wait(30)
    done = last[2] - first[2]
    return (last[0] - first[0]) / done, (last[1] - first[1]) / done


def _wait_for(process: "subprocess.Popen[bytes]", events: int) -> tuple[float, float, float]:
    """Wall time, CPU time and events when that many were enriched."""
    for _ in range(600):
        done = _enriched()
        if done >= events:
            return time.perf_counter(), cpu_s(process.pid), done
        time.sleep(0.25)  # rarely: answering costs the enricher more than a millisecond
    raise RuntimeError("the enricher did not finish")


def _enriched() -> float:
    try:
        with urlopen(f"http://127.0.0.1:{ADMIN_PORT}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except (URLError, OSError):
        return 0.0
    return next(float(line.split()[1]) for line in lines if line.startswith("evnt_enricher_enriched_total "))


if __name__ == "__main__":
    main()
