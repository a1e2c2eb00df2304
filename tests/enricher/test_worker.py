"""The worker: acks only what the streams own, holds through outages, and stops cleanly."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from enricher.answers import Answers
from enricher.chunks import Batch, ChunkLimits, split
from enricher.enrichments.contract import TURN, Answer, Enrichment, Patch, Query
from enricher.iglu.contract import RegistriesUnavailable, Resolution
from enricher.metrics import EnricherMetrics
from enricher.options import Options
from enricher.outcome import Line, Outcome
from enricher.patience import Patience
from enricher.pipeline import Pipeline
from enricher.worker import Worker, WorkLimits
from shared.identity import now_ms, uuid7
from shared.settings import SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import (
    Delivery,
    Message,
    MessageRefused,
    Publisher,
    StreamName,
    StreamUnavailable,
    Subscriber,
)
from shared.tsv import lines
from tests.enricher.harness import GOOD, PROCESSOR, Schemas, columns, post
from tests.loader.fakes import FakePublisher, FakeSubscriber

CHUNK = ChunkLimits(events=5, bytes=1_000_000)


@dataclass
class FakeResolver:
    """Implements Resolver over folders. outages: raised, one a look-up."""

    schemas: Schemas = field(default_factory=Schemas)
    outages: deque[Exception] = field(default_factory=deque)
    asked: int = 0

    def cached(self, uri: str) -> Resolution | None:
        return self.schemas.cached(uri)

    async def resolve(self, uri: str) -> Resolution:
        self.asked += 1
        await asyncio.sleep(0)
        if self.outages:
            raise self.outages.popleft()
        return self.schemas.resolve(uri)

    async def close(self) -> None:
        return


def message(*events: dict[str, str]) -> Message:
    return Message(post(*events), uuid7(), now_ms(), "collector-payload", "application/x-thrift", {"payloads": 1})


def deliveries(count: int, *events: dict[str, str]) -> list[Delivery]:
    return [Delivery(message(*events or (GOOD,)), False, 1, number) for number in range(count)]


class Bench:
    """A worker among fakes."""

    def __init__(
        self,
        enrichments: Sequence[Enrichment] = (),
        askers: Any = None,
        subscriber: Subscriber | None = None,
        publisher: Publisher | None = None,
        **limits: Any,
    ) -> None:
        self.subscriber = FakeSubscriber()
        self.publisher = FakePublisher()
        self.resolver = FakeResolver()
        self.metrics = EnricherMetrics(CollectorRegistry())
        self.stopping = asyncio.Event()
        self.waited: list[str] = []
        patience = Patience(0.001, 0.002, self.stopping, 0.05, lambda what, _error: self.waited.append(what))
        self.worker = Worker(
            subscriber or self.subscriber,
            publisher or self.publisher,
            Pipeline(self.resolver.cached, lambda: enrichments, Options(PROCESSOR)),
            Answers(self.resolver, askers or {}, patience, self.metrics),
            patience,
            WorkLimits(
                **{"chunk": CHUNK, "age_ms": 20, "held_bytes": 1_000_000, "publishes": 2, "prefetch": 100, **limits}
            ),
            now_ms,
            self.metrics,
        )

    async def run(self, waiting: Sequence[Delivery], until: Callable[[], bool]) -> None:
        """Work until the condition holds, then stop."""
        self.subscriber.waiting.extend(waiting)
        async with asyncio.timeout(20):
            task = asyncio.create_task(self.worker.run(self.stopping))
            while not (until() or task.done()):
                await asyncio.wait([task], timeout=0.002)
            self.stopping.set()
            await task

    def published(self, stream: StreamName) -> list[Message]:
        return [message for name, message in self.publisher.published if name == stream]

    def done(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.subscriber.acked) + len(self.subscriber.buried) >= count


async def test_acks_what_is_published() -> None:
    bench = Bench()
    await bench.run(deliveries(7), bench.done(7))
    chunks = bench.published("enriched")
    assert sum(int(chunk.headers["events"]) for chunk in chunks) == 7
    assert max(int(chunk.headers["events"]) for chunk in chunks) <= 5
    assert {delivery.tag for delivery in bench.subscriber.acked} == set(range(7))
    assert bench.worker.held_bytes == 0


async def test_a_chunk_does_not_wait_for_company() -> None:
    bench = Bench(chunk=ChunkLimits(500, 2_000_000))
    await bench.run(deliveries(1), bench.done(1))
    assert len(bench.published("enriched")) == 1


async def test_a_chunk_that_the_stream_will_not_fill_is_not_waited_for() -> None:
    bench = Bench(chunk=ChunkLimits(500, 2_000_000), age_ms=3_600_000, prefetch=4)
    await bench.run(deliveries(4), bench.done(4))
    assert [chunk.headers["events"] for chunk in bench.published("enriched")] == [2, 2]


async def test_a_large_message_becomes_even_chunks() -> None:
    bench = Bench()
    await bench.run(deliveries(1, *[GOOD] * 11), bench.done(1))
    assert [chunk.headers["events"] for chunk in bench.published("enriched")] == [3, 4, 4]


async def test_bad_rows_and_failed_events_go_before_the_ack() -> None:
    bench = Bench()
    await bench.run(deliveries(1, {**GOOD, "vid": "x"}, GOOD), bench.done(1))
    (bad,), (failed,) = bench.published("bad"), bench.published("failed")
    assert (bad.type, bad.headers, bad.content_type) == ("bad-row", {"type": "schema_violations"}, "application/json")
    assert (failed.type, failed.headers["events"]) == ("failed-tsv", 1)
    assert failed.headers["entity_schemas"] == "iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0"


async def test_an_outage_of_the_broker_is_waited_for() -> None:
    bench = Bench()
    bench.publisher.outages.extend(StreamUnavailable("down") for _ in range(5))
    await bench.run(deliveries(3), bench.done(3))
    assert bench.waited == ["enriched"] * 5
    assert len(bench.subscriber.acked) == 3


async def test_an_outage_of_the_registries_makes_no_bad_row() -> None:
    bench = Bench()
    bench.resolver.outages.extend(RegistriesUnavailable("down") for _ in range(5))
    await bench.run(deliveries(3), bench.done(3))
    assert set(bench.waited) == {"iglu"}
    assert not bench.published("bad")
    assert len(bench.subscriber.acked) == 3


async def test_a_refused_batch_is_buried_with_the_reason() -> None:
    bench = Bench()
    bench.publisher.outages.append(MessageRefused("too large"))
    await bench.run(deliveries(1), bench.done(1))
    assert [(delivery.tag, reason) for delivery, reason in bench.subscriber.buried] == [(0, "too large")]
    assert not bench.subscriber.acked


async def test_stopping_in_an_outage_leaves_messages_to_others() -> None:
    bench = Bench()
    bench.publisher.outages.extend(StreamUnavailable("down") for _ in range(10_000))
    await bench.run(deliveries(2), lambda: len(bench.waited) > 2)
    assert not bench.subscriber.acked
    assert bench.worker.held_bytes == 0


async def test_stopping_while_registries_are_out_of_reach_ends() -> None:
    bench = Bench()
    bench.resolver.outages.extend(RegistriesUnavailable("down") for _ in range(10_000))
    await bench.run(deliveries(2), lambda: len(bench.waited) > 2)
    assert not bench.subscriber.acked


async def test_stopping_finishes_what_is_held() -> None:
    bench = Bench(age_ms=60_000, chunk=ChunkLimits(500, 2_000_000))
    await bench.run(deliveries(3), lambda: bench.subscriber.received == 3)
    assert len(bench.subscriber.acked) == 3
    assert len(bench.published("enriched")) == 1


async def test_messages_that_ask_do_not_wait_for_each_other() -> None:
    at_once: list[int] = []
    asking: set[int] = set()

    async def answer(question: int) -> Answer:
        asking.add(question)
        at_once.append(len(asking))
        await asyncio.sleep(0.01)
        asking.discard(question)
        return Answer(question)

    numbers = iter(range(100))
    asks = Enrichment("ask", "ask", None, None, lambda *_: Patch(), lambda _draft, _state: Query("http", next(numbers)))
    bench = Bench([asks], {"http": answer})
    await bench.run(deliveries(8), bench.done(8))
    assert max(at_once) > 1
    assert sum(int(chunk.headers["events"]) for chunk in bench.published("enriched")) == 8


async def test_a_bug_of_an_asker_is_a_bad_row() -> None:
    async def broken(_question: Any) -> Answer:
        raise ZeroDivisionError("asker")

    asks = Enrichment("ask", "ask", None, None, lambda *_: Patch(), lambda *_: Query("http", 1))
    bench = Bench([asks], {"http": broken})
    await bench.run(deliveries(1), bench.done(1))
    assert [bad.headers for bad in bench.published("bad")] == [{"type": "generic_error"}]


async def test_held_bytes_are_bounded() -> None:
    size = len(message(GOOD).body)
    bench = Bench(held_bytes=3 * size, chunk=ChunkLimits(500, 2_000_000))
    bench.publisher.outages.extend(StreamUnavailable("down") for _ in range(30))
    most: list[int] = []

    def seen() -> bool:
        most.append(bench.worker.held_bytes)
        return bench.done(250)()

    await bench.run(deliveries(250), seen)
    assert max(most) <= 100 * size + 3 * size  # one more batch of deliveries may be taken while there is room
    assert len(bench.subscriber.acked) == 250


async def test_lag_is_the_age_of_the_oldest_message() -> None:
    bench = Bench()
    old = message(GOOD)
    old = Message(old.body, old.message_id, now_ms() - 90_000, old.type, old.content_type, old.headers)
    bench.publisher.outages.extend(StreamUnavailable("down") for _ in range(20))
    lags: list[float] = []

    def seen() -> bool:
        lags.append(bench.worker.lag_s())
        return bench.done(1)()

    await bench.run([Delivery(old, False, 1, 0)], seen)
    assert max(lags) >= 90
    assert bench.worker.lag_s() == 0


# ---- chunks -------------------------------------------------------------------------------------------------------


def line(size: int, event: str | None = None, *entities: str) -> Line:
    return Line(b"x" * size, event, entities)


def test_no_chunk_exceeds_its_limits() -> None:
    sizes = [len(piece) for piece in split([line(10)] * 23, ChunkLimits(5, 1_000))]
    assert (sum(sizes), max(sizes)) == (23, 5)
    pieces = list(split([line(400)] * 7, ChunkLimits(100, 1_000)))
    assert all(sum(len(one.body) + 1 for one in piece) <= 1_000 for piece in pieces)
    assert [len(piece) for piece in split([line(5_000), line(1)], ChunkLimits(100, 1_000))] == [1, 1]


def batch(*made: Line) -> Batch:
    gathered, outcome = Batch(0), Outcome()
    outcome.enriched += made
    gathered.add(Delivery(Message(b"", "01890a5d-ac96-774b-bcce-b302099a8057", 0, "", ""), False, 1, 0), outcome, 0)
    return gathered


def test_headers_name_the_schemas_in_a_chunk() -> None:
    ((_, (chunk,)),) = batch(line(1, "iglu:b", "iglu:y", "iglu:x"), line(1, "iglu:a", "iglu:x")).messages(CHUNK, 0)
    assert chunk.headers == {"events": 2, "event_schemas": "iglu:a iglu:b", "entity_schemas": "iglu:x iglu:y"}


def test_chunks_name_the_replay_that_they_come_from() -> None:
    new, again = batch(line(1)), batch(line(1))
    message = replace(again.deliveries[0].message, headers={"payloads": 1, "replay": "name"})
    new.deliveries.append(replace(again.deliveries[0], message=message))
    ((_, (chunk,)),) = new.messages(CHUNK, 0)
    assert chunk.headers["replay"] == "name"


def test_too_many_names_are_left_out() -> None:
    many = [f"iglu:{number:0100d}" for number in range(400)]
    ((_, (chunk,)),) = batch(line(1, None, *many)).messages(CHUNK, 0)
    assert chunk.headers == {"events": 1}


def test_the_same_batch_has_the_same_ids() -> None:
    ids = [[one.message_id for _, made in batch(*[line(1)] * 12).messages(CHUNK, 0) for one in made] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


# ---- both transports ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identity", ["01890a5d-ac96-774b-bcce-b302099a8057", "", "not a uuid"], ids=["uuid", "none", "other"]
)
async def test_through_a_transport(settings: SharedSettings, identity: str) -> None:
    async with (
        open_publisher(settings) as publisher,
        open_subscriber(settings, "raw", 10) as raw,
        open_subscriber(settings, "enriched", 10) as enriched,
    ):
        bench = Bench(subscriber=raw, publisher=publisher)
        body = post(GOOD, GOOD)
        sent = Message(body, identity, now_ms(), "collector-payload", "application/x-thrift", {"payloads": 1})
        await publisher.publish("raw", [sent])
        task = asyncio.create_task(bench.worker.run(bench.stopping))
        async with asyncio.timeout(20):
            (delivery,) = await enriched.receive(10, 10)
        bench.stopping.set()
        await task
        events = [columns(one) for one in lines(delivery.message.body)]
        assert [event["event"] for event in events] == ["page_view"] * 2
        assert len({event["event_id"] for event in events}) == 2
        await enriched.ack([delivery])


async def test_a_turn_lets_others_work_and_asks_nobody() -> None:
    bench, worked = Bench(), asyncio.Event()
    answers = Answers(bench.resolver, {}, Patience(1, 1, bench.stopping, 1, lambda _what, _error: None), bench.metrics)
    asyncio.get_running_loop().call_soon(worked.set)
    assert await answers.answer(Query(TURN, None)) is None
    assert worked.is_set()
    assert bench.resolver.asked == 0
