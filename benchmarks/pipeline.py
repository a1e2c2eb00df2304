"""The pipeline of the enricher on its own, everything it needs in memory: as a whole, and step by step."""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.pageviews import event, record_of, records, to_base64
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
from shared.iglu.config import ResolverConfig, open_resolver
from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.tsv import encode

EVENTS = 6_000
ROUNDS = 5
PAYLOADS_A_MESSAGE = 50
#: µs that an event with an invalid context may cost more.
INVALID_TARGET = 150

_PROCESSOR = Processor("evnt-enrich", "0.1.0")
_MESSAGE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


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
            made = messages(records(EVENTS // each, each, known, seed + 1))
            self.run(made[0])
            start = time.process_time()
            events = sum(len(self.run(message).enriched) for message in made)
            taken.append((time.process_time() - start) / events)
            start = time.process_time()
            for message in made:
                _bare(message)
            bare.append((time.process_time() - start) / events)
        return min(taken), min(bare)

    def invalid(self) -> None:
        """What an event costs more whose context violates its schema."""
        good = [record_of(event(random.Random(number), number)) for number in range(500)]
        broken = [record_of(self.broken(number)) for number in range(500)]
        for record in (*good[:1], *broken[:1]):
            self.run(record)
        costs = [min(timed(self.run, some) for _ in range(ROUNDS)) for some in (good, broken)]
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
            step(attribute.__name__, partial(attribute, draft))
        step("all enrichments", lambda: [enrich(happening, each) for each in self._enrichments])
        lengths = limits.AtomicLimits()
        step("derived contexts, lengths", lambda: check(happening, lengths, False, schemas))
        rows = BadRows(_PROCESSOR, 0, 1_000_000)
        step("derived contexts written", lambda: conclude(happening, rows))
        step("line", lambda: encode(draft.values))


def messages(made: Sequence[bytes]) -> list[bytes]:
    return [b"".join(made[at : at + PAYLOADS_A_MESSAGE]) for at in range(0, len(made), PAYLOADS_A_MESSAGE)]


def _bare(message: bytes) -> None:
    for payload in decode(message):
        assert isinstance(payload, CollectorPayload)
        for parameters in msgspec.json.decode(payload.body or "")["data"]:
            msgspec.json.decode(base64url.decode(parameters["cx"]))


def timed(call: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
    start = time.process_time()
    for one in inputs:
        call(one)
    return (time.process_time() - start) / len(inputs)
