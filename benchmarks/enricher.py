"""The enricher on one core: typical page views through the pipeline alone, and through RabbitMQ by the real process.

The bare limit is what no enricher can do without: take the record apart and parse its two JSON texts. The miniature is
a hot path of the same kind with nothing around it: it tells what a target of another machine means on this one.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import uvloop

from benchmarks import miniature
from benchmarks.measured import MEASURED, broker, cpu_s
from benchmarks.pageviews import body, event, record_of, records, to_base64
from benchmarks.result import Result, unit_s
from enricher import attributes, base64url, entities, jsontext, limits, mapping
from enricher.adapters import tp2
from enricher.adapters.contract import Envelope, Limits
from enricher.badrows import BadRows
from enricher.enrichments.contract import TURN, Draft, Enrichment
from enricher.enrichments.loading import Enrichments
from enricher.event import Event, check, conclude, enrich
from enricher.iglu.resolver import IgluResolver
from enricher.options import Options
from enricher.outcome import Outcome
from enricher.pipeline import Pipeline
from enricher.request import Request, read
from shared.badrow import Processor
from shared.compiled import compiled, refusal
from shared.identity import now_ms, uuid7
from shared.iglu.config import ResolverConfig, open_resolver
from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.process import collect_garbage_seldom
from shared.settings import SharedSettings, environment, load
from shared.stream import open_publisher
from shared.stream.contract import Message
from shared.tsv import encode
from tests.broker import BrokerAbsent

EVENTS = 6_000
ROUNDS = 5
PAYLOADS_A_MESSAGE = 50
ADMIN_PORT = 18111

#: case → events in a request, share of known user agents, events/s to reach.
CASES = {
    "page view": (1, 0.9, 11_000),
    "page view, posted in tens": (10, 0.9, None),
    "page view, every user agent new": (1, 0.0, 7_000),
}
#: The same as a share of the miniature's rate: where those were set, it took 55 µs, and 76 with every user agent new.
SHARES = {"page view": 55e-6 * 11_000, "page view, every user agent new": 76e-6 * 7_000}
#: µs that an event with an invalid context may cost more.
INVALID_TARGET = 150

_PROCESSOR = Processor("evnt-enrich", "0.1.0")
_MESSAGE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


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


# ---- the pipeline alone -------------------------------------------------------------------------------------------


class Bench:
    """A pipeline with the default enrichments and the bundled schemas, all in memory."""

    def __init__(self) -> None:
        schemas = open_resolver(ResolverConfig(cacheSize=500), Path(), time.time)
        self._resolver = IgluResolver(schemas, time.time)
        with tempfile.TemporaryDirectory() as empty:
            self._enrichments: Sequence[Enrichment] = Enrichments(Path(empty), Path(empty)).current
        self._pipeline = Pipeline(self._resolver.cached, lambda: self._enrichments, Options(_PROCESSOR))

    def run(self, message: bytes) -> Outcome:
        steps = self._pipeline.process(message, _MESSAGE_ID, 1_735_000_000_000)
        try:
            query = next(steps)
            while True:
                answer = None if query.kind == TURN else asyncio.run(self._resolver.resolve(query.question))
                query = steps.send(answer)
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome

    def measure(self, each: int, known: float) -> tuple[float, float]:
        """CPU seconds an event, of the pipeline and of the bare limit; fastest of the rounds."""
        taken, bare = [], []
        for seed in range(ROUNDS):
            messages = _messages(records(EVENTS // each, each, known, seed + 1))
            self.run(messages[0])
            start = time.process_time()
            events = sum(len(self.run(message).enriched) for message in messages)
            taken.append((time.process_time() - start) / events)
            start = time.process_time()
            for message in messages:
                _bare(message)
            bare.append((time.process_time() - start) / events)
        return min(taken), min(bare)

    def invalid(self) -> None:
        """What an event costs more whose context violates its schema."""
        good = [record_of(event(random.Random(number), number)) for number in range(500)]
        broken = [record_of(self.broken(number)) for number in range(500)]
        for record in (*good[:1], *broken[:1]):
            self.run(record)
        costs = [min(_timed(self.run, some) for _ in range(ROUNDS)) for some in (good, broken)]
        extra = (costs[1] - costs[0]) * 1e6
        print(f"an invalid context costs {extra:.0f} µs more (target: under {INVALID_TARGET})")

    @staticmethod
    def broken(number: int) -> dict[str, str]:
        """A page view whose session has no index and a wrong type."""
        made = event(random.Random(number), number)
        contexts = json.loads(base64url.decode(made["cx"]))
        session = contexts["data"][2]["data"]
        session |= {"sessionIndex": "first"}
        del session["userId"]
        return {**made, "cx": to_base64(contexts)}

    def steps(self) -> None:
        """The cost of each step, in the middle of the others: caches as cold as they are in use."""
        taken: dict[str, list[int]] = {}
        made = records(400, 1, 0.9)
        self.run(b"".join(made))
        for _ in range(ROUNDS):
            for record in made:
                self._step_through(record, taken)
        medians = {name: sorted(times)[len(times) // 2] / 1000 for name, times in taken.items()}
        print("steps, µs of an event posted alone, in the order of the way (median):")
        for name, median in medians.items():
            print(f"  {name:<34} {median:6.1f}")
        print(f"  {'sum':<34} {sum(medians.values()):6.1f}")

    def _step_through(self, record: bytes, taken: dict[str, list[int]]) -> None:
        def step(name: str, call: Callable[[], Any]) -> Any:
            start = time.perf_counter_ns()
            result = call()
            taken.setdefault(name, []).append(time.perf_counter_ns() - start)
            return result

        schemas = entities.Schemas(self._resolver.cached)
        payload: CollectorPayload = step("Thrift", lambda: next(decode(record)))
        request: Request = step("path, query, address", lambda: read(payload))
        envelope: Envelope = step("tp2 body", lambda: tp2.adapt(request, Limits()))
        schema: Any = schemas[envelope.schema]
        step("tp2 envelope validated", lambda: schema.reports(envelope.data))
        parameters = envelope.events()[0]
        columns = step("defaults", lambda: attributes.defaults(request, "2025-01-02 03:04:05.678", "v"))
        draft = Draft(columns.copy(), parameters, payload, request.headers)
        happening = Event(draft)
        step("parameters mapped", lambda: mapping.apply(parameters, draft.values))
        text = step("base64", lambda: base64url.decode(parameters["cx"] or ""))
        step("(of contexts: parsed and compared)", lambda: jsontext.parse(text, 50))
        checked = step("contexts validated", lambda: entities.check_contexts(text, schemas, 50))
        draft.contexts = checked.entities
        for attribute in attributes.BUILT_IN:
            step(attribute.__name__, lambda attribute=attribute: attribute(draft))  # type: ignore[misc]
        step("all enrichments", lambda: [enrich(happening, each) for each in self._enrichments])
        lengths = limits.AtomicLimits()
        step("derived contexts, lengths", lambda: check(happening, lengths, False, schemas))
        rows = BadRows(_PROCESSOR, 0, 1_000_000)
        step("derived contexts written", lambda: conclude(happening, rows))
        step("line", lambda: encode(draft.values))


def _messages(made: Sequence[bytes]) -> list[bytes]:
    return [b"".join(made[at : at + PAYLOADS_A_MESSAGE]) for at in range(0, len(made), PAYLOADS_A_MESSAGE)]


def _bare(message: bytes) -> None:
    for payload in decode(message):
        assert isinstance(payload, CollectorPayload)
        for parameters in msgspec.json.decode(payload.body or "")["data"]:
            msgspec.json.decode(base64url.decode(parameters["cx"]))


def _best(call: Callable[[Any], Any], inputs: Sequence[Any], calls: int = 2_000) -> float:
    return min(_timed(call, list(inputs) * calls) for _ in range(ROUNDS))


def _timed(call: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
    start = time.process_time()
    for one in inputs:
        call(one)
    return (time.process_time() - start) / len(inputs)


# ---- the process on RabbitMQ --------------------------------------------------------------------------------------


def _through_rabbitmq() -> None:
    unit = unit_s()
    for case, (each, known, target) in CASES.items():
        with _broker() as variables:
            events = 5 * EVENTS
            uvloop.run(_fill(load(SharedSettings, environ=variables), records(events // each, each, known, 99)))
            wall, cpu = _drain(variables, events)
        least = _miniature(each, known)
        print(
            f"{case}, RabbitMQ: {events / wall:,.0f} events/s of wall time beside the broker, "
            f"{cpu / events * 1e6:.0f} µs CPU each ({cpu / events / unit:.1f} units), user and system time"
        )
        print(Result("enricher", f"{case}, RabbitMQ", events / cpu, target=target).line())
        share = SHARES.get(case)
        print(Result("enricher", f"{case}, RabbitMQ again", events / cpu, 1 / least, "a miniature", share).line())


def _miniature(each: int, known: float) -> float:
    """CPU seconds an event, on the measured core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {MEASURED})
    rounds = [_messages(records(EVENTS // each, each, known, seed + 1)) for seed in range(ROUNDS)]
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
    """Wall and CPU seconds of the enricher for all events but the first tenth, which warms it up."""
    command = ["taskset", "-c", str(MEASURED), sys.executable, "-m", "enricher"]
    with subprocess.Popen(command, env=dict(variables)) as process:
        try:
            first = _wait_for(process, events // 10)
            last = _wait_for(process, events)
        finally:
            process.terminate()
            process.wait(30)
    share = events / (last[2] - first[2])
    return (last[0] - first[0]) * share, (last[1] - first[1]) * share


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
