"""The spool: taken while the stream is away, bounded, and gone on by itself."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from collector.messages import refused_message
from collector.metrics import Metrics
from collector.settings import SpoolSettings
from collector.spool import Spool, SpoolingPublisher, limits
from shared.badrow import Processor
from shared.settings import StreamLimits
from shared.stream import open_embedded_publisher, open_embedded_subscriber
from shared.stream.contract import Delivery, Message, Posted, Publisher, StreamName, StreamUnavailable, Subscriber
from tests.collector.stream import Answered, Begun, MemoryPublisher, MemorySubscriber, Posting

HOUR_MS = 3_600_000


def message(text: str, kind: str = "collector-payload", at: int = 0) -> Message:
    return Message(text.encode(), text, at, kind, "application/octet-stream", {})


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def draining(spool: Spool, target: MemoryPublisher) -> AsyncIterator[None]:
    task = asyncio.create_task(spool.drain(target))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


async def fill(durable: SpoolingPublisher) -> None:
    for _ in range(100):
        await durable.publish("raw", [message("x" * 1_000)])


@asynccontextmanager
async def on_disk(folder: Path, clock: Clock, held: StreamLimits | None = None) -> AsyncIterator[Spool]:
    held = held or StreamLimits(log_max_bytes=0)
    async with (
        open_embedded_publisher(folder, held) as publisher,
        open_embedded_subscriber(folder, held, "raw", 100) as subscriber,
    ):
        yield spooling(publisher, subscriber, clock)


def spooling(
    publisher: Publisher,
    subscriber: Subscriber,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    notice: Callable[[str | None], None] = lambda _reason: None,
) -> Spool:
    told_of = partial(refused_message, processor=Processor("evnt-collector", "1.0.0"))
    return Spool(publisher, subscriber, HOUR_MS, clock or Clock(), metrics or Metrics(), told_of, notice)


async def test_a_broker_that_comes_back_gets_everything_once(tmp_path: Path) -> None:
    stream = MemoryPublisher()
    notices: list[str | None] = []
    async with on_disk(tmp_path, Clock()) as spool, draining(spool, stream):
        durable = SpoolingPublisher(stream, spool, 1, notices.append)
        stream.ready, stream.away = False, True
        for number in range(120):
            await durable.publish("raw", [message(f"spooled-{number}")])
        await durable.publish("bad", [message("row", "bad-row")])
        assert not stream.published
        assert durable.trouble is None
        stream.ready, stream.away = True, False
        await durable.publish("raw", [message("direct")])
        await until(lambda: len(stream.published) == 122)
    sent = sorted(one.message_id for one in stream.messages("raw"))
    assert sent == sorted([f"spooled-{number}" for number in range(120)] + ["direct"])
    assert [one.message_id for one in stream.messages("bad")] == ["row"]
    assert notices == ["the stream takes nothing", None]


async def test_a_stream_that_fails_or_hangs_is_spooled_too(tmp_path: Path) -> None:
    stream = MemoryPublisher()
    async with on_disk(tmp_path, Clock()) as spool:
        durable = SpoolingPublisher(stream, spool, 0.05, lambda _reason: None)
        stream.away = True
        await durable.publish("raw", [message("failed")])
        stream.away = False
        stream.may_finish.clear()  # connection.blocked without a word: no confirm comes
        await durable.publish("raw", [message("hung")])
        stream.may_finish.set()
        async with draining(spool, stream):
            await until(lambda: len(stream.published) == 2)


@pytest.mark.parametrize("posts", [False, True])
async def test_while_the_stream_is_silent_only_the_first_waits_for_it(tmp_path: Path, posts: bool) -> None:
    """On a line that was cut without a word every request would wait for a confirm, longer than a browser does."""
    stream = Posting() if posts else Begun()
    async with on_disk(tmp_path, Clock()) as spool:
        durable = SpoolingPublisher(stream, spool, 0.05, lambda _reason: None)
        if posts:
            await durable.publish("raw", [message("first")], Answered((False,), late=True))
        else:
            await durable.publish("raw", [message("first")])
        begun = len(stream.begun)
        assert not durable.post("raw", [message("second")], lambda _: None)
        await durable.publish("raw", [message("second")])
        assert len(stream.begun) == begun
        stream.may_finish.set()
        async with draining(spool, stream):
            await until(lambda: len(stream.published) == 2)
        await durable.publish("raw", [message("third")])
        assert [one.message_id for one in stream.messages("raw")] == ["first", "second", "third"]


async def test_a_silent_stream_is_tried_where_the_spool_takes_no_more(tmp_path: Path) -> None:
    stream = Begun()
    async with on_disk(tmp_path, Clock(), StreamLimits(queue_max_bytes=1_000, log_max_bytes=0)) as spool:
        durable = SpoolingPublisher(stream, spool, 0.05, lambda _reason: None)
        await durable.publish("raw", [message("first")])
        with pytest.raises(StreamUnavailable, match="full"):
            await durable.publish("raw", [message("x" * 2_000)])
        stream.may_finish.set()
        await durable.publish("raw", [message("taken")])
        assert [one.message_id for one in stream.messages("raw")] == ["taken"]


async def test_a_spool_that_takes_nothing_is_told_of_once() -> None:
    """Every answer is a 503 then: the log must say why."""
    kept, notices = MemoryPublisher(), list[str | None]()
    spool = spooling(kept, MemorySubscriber(kept), notice=notices.append)
    for away in (False, True, True, False, False):
        kept.away = away
        with suppress(StreamUnavailable):
            await spool.put([message("x")])
    assert notices == ["away", None]
    kept.away = True
    with suppress(StreamUnavailable):
        await spool.put([message("x")])
    async with draining(spool, MemoryPublisher()):
        await until(lambda: notices == ["away", None, "away", None])


async def test_the_next_process_sends_what_the_last_one_left(tmp_path: Path) -> None:
    async with on_disk(tmp_path, Clock()) as spool:
        await spool.put([message("left")])
    stream = MemoryPublisher()
    async with on_disk(tmp_path, Clock()) as spool, draining(spool, stream):
        await until(lambda: [one.message_id for one in stream.messages("raw")] == ["left"])
    async with on_disk(tmp_path, Clock()) as spool, draining(spool, stream):
        await asyncio.sleep(0.1)
    assert len(stream.published) == 1


async def test_what_a_disk_that_failed_for_a_moment_did_not_lend_goes_on_too() -> None:
    class Failing(MemorySubscriber):
        """Lends nothing at first, as while its file is locked or its disk full."""

        failures = 1

        async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
            self.failures -= 1
            return [] if self.failures >= 0 else await super().receive(limit, wait_s)

    kept, stream = MemoryPublisher(), MemoryPublisher()
    spool = spooling(kept, Failing(kept))
    await spool.put([message("kept")])
    async with draining(spool, stream):
        await until(lambda: stream.published)


async def test_a_full_spool_takes_nothing_more_until_it_has_drained(tmp_path: Path) -> None:
    stream = MemoryPublisher()
    stream.ready = False
    held = StreamLimits(queue_max_bytes=20_000, log_max_bytes=0)
    async with on_disk(tmp_path, Clock(), held) as spool:
        durable = SpoolingPublisher(stream, spool, 1, lambda _reason: None)
        with pytest.raises(StreamUnavailable):
            await fill(durable)
        assert durable.trouble
        stream.ready = True
        async with draining(spool, stream):
            await until(lambda: stream.published)
        assert durable.trouble is None


async def test_an_old_spool_takes_nothing_more() -> None:
    clock = Clock()
    kept, stream = MemoryPublisher(), MemoryPublisher()
    stream.ready = False
    spool = spooling(kept, MemorySubscriber(kept), clock)
    await spool.put([message("old", at=0)])
    async with draining(spool, stream):
        await asyncio.sleep(0.01)
        clock.now = HOUR_MS
        await spool.put([message("in time")])
        clock.now = HOUR_MS + 1
        with pytest.raises(StreamUnavailable):
            await spool.put([message("too late")])


async def test_a_message_that_the_stream_never_takes_goes_on_as_a_bad_row() -> None:
    kept, stream = MemoryPublisher(), MemoryPublisher()
    subscriber = MemorySubscriber(kept)
    stream.refuse_above, stream.refused_streams = 5, ("raw",)
    metrics = Metrics()
    spool = spooling(kept, subscriber, metrics=metrics)
    await spool.put([message("a"), message("too large"), message("b")])
    async with draining(spool, stream):
        await until(lambda: len(subscriber.acked) > 0)
    assert [one.message_id for one in stream.messages("raw")] == ["a", "b"]
    (row,) = stream.messages("bad")
    assert b64decode(json.loads(row.body)["data"]["payload"]) == b"too large"
    assert not subscriber.buried
    assert metrics.bad == 1


async def test_what_can_not_even_be_told_of_is_left_in_the_dead_queue() -> None:
    kept, stream = MemoryPublisher(), MemoryPublisher()
    subscriber = MemorySubscriber(kept)
    stream.refuse_above = 5
    spool = spooling(kept, subscriber)
    await spool.put([message("a"), message("too large"), message("a large row", "bad-row"), message("b")])
    async with draining(spool, stream):
        await until(lambda: len(subscriber.acked) > 0)
    assert [one.message_id for one in stream.messages("raw")] == ["a", "b"]
    assert [one.message_id for one in subscriber.buried] == ["too large", "a large row"]


async def test_an_outage_in_the_middle_of_refusals_is_waited_out() -> None:
    class Fickle(MemoryPublisher):
        """Refuses, then goes away for a moment."""

        async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
            if [one.message_id for one in messages] == ["b"] and not self.batches:
                self.batches.append(0)
                raise StreamUnavailable("away")
            await super().publish(stream, messages)

    kept, stream = MemoryPublisher(), Fickle()
    subscriber = MemorySubscriber(kept)
    stream.refuse_above, stream.refused_streams = 5, ("raw",)
    spool = spooling(kept, subscriber)
    await spool.put([message("too large"), message("b")])
    async with draining(spool, stream):
        await until(lambda: len(subscriber.acked) > 0)
    assert [one.message_id for one in stream.messages("raw")] == ["b"]


async def test_restarts_in_an_outage_poison_nothing(tmp_path: Path) -> None:
    held = limits(SpoolSettings(), StreamLimits(delivery_limit=3))
    async with on_disk(tmp_path, Clock(), held) as spool:
        await spool.put([message("kept")])
    for _ in range(60):
        async with open_embedded_subscriber(tmp_path, held, "raw", 100) as subscriber:
            assert await subscriber.receive(1, 1)


def test_a_spool_takes_what_the_stream_takes() -> None:
    assert limits(SpoolSettings(), StreamLimits(message_max_bytes=64_000_000)).message_max_bytes == 64_000_000


async def test_without_a_spool_an_outage_is_told_at_once() -> None:
    stream = MemoryPublisher()
    stream.ready = False
    durable = SpoolingPublisher(stream, None, 5, lambda _reason: None)
    assert durable.trouble
    with pytest.raises(StreamUnavailable):
        await durable.publish("raw", [message("x")])


@pytest.mark.parametrize("late", [False, True])
async def test_what_was_posted_and_the_stream_does_not_take_is_spooled(tmp_path: Path, late: bool) -> None:
    stream, notices, ended = Posting(), list[str | None](), list[Posted]()
    stream.may_finish.set()
    async with on_disk(tmp_path, Clock()) as spool:
        durable = SpoolingPublisher(stream, spool, 5, notices.append)
        stream.away = True
        assert durable.post("raw", [message("kept")], ended.append)
        stream.confirm(owned=(False,), late=late)
        await durable.publish("raw", [message("kept")], ended[0])
        assert (notices, len(stream.resumed)) == (
            (["the stream did not confirm in time"], 0) if late else (["away"], 1)
        )
        stream.away = False
        async with draining(spool, stream):
            await until(lambda: len(stream.published) == 1)
        assert durable.post("raw", [message("taken")], ended.append)
        stream.confirm()
        assert notices[1:] == [None]
        assert len(stream.published) == 2


def test_a_stream_that_has_no_such_way_is_only_published_to() -> None:
    durable = SpoolingPublisher(MemoryPublisher(), None, 5, lambda _: None)
    assert not durable.posts
    assert not durable.post("raw", [message("x")], lambda _: None)
