"""The contract of the stream port, on every transport."""

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress

import pytest

from shared.settings import IngestSettings, SharedSettings, StreamLimits
from shared.stream import open_dead_letters, open_log, open_publisher, open_subscriber
from shared.stream.contract import DeadLetters, Delivery, Message, MessageRefused, StreamUnavailable, Subscriber
from tests.shared.messages import PATIENCE_S, a_message, eventually, ids, some, take


def limited(settings: SharedSettings, **limits: object) -> SharedSettings:
    """The same transport with other limits."""
    ingest = settings.ingest.model_copy(update={"limits": StreamLimits.model_validate(limits)})
    return settings.model_copy(update={"ingest": IngestSettings.model_validate(ingest.model_dump())})


async def test_what_is_published_arrives_whole(settings: SharedSettings) -> None:
    sent = Message(
        b"\x00\x01\xff\n" * 10, "0190-a", 1_712_345_678_901, "enriched-tsv", "text/tab-separated-values",
        {"events": 500, "event_schemas": "iglu:com.acme/a/jsonschema/1-0-0 iglu:b", "ünï": "\"q'\\/"},
    )  # fmt: skip
    async with open_publisher(settings) as publisher, open_subscriber(settings, "enriched", 10) as subscriber:
        await publisher.publish("enriched", [sent])
        (delivery,) = await take(subscriber, 1)
    assert delivery.message == sent
    assert (delivery.redelivered, delivery.attempts) == (False, 1)


async def test_batches_keep_their_order(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 1000) as subscriber:
        await publisher.publish("raw", some(300))
        await publisher.publish("raw", [])
        await publisher.publish("raw", some(100, 300))
        assert ids(await take(subscriber, 400)) == [f"id-{n}" for n in range(400)]


async def test_each_stream_feeds_its_own_queue(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", some(1))
        await publisher.publish("failed", some(1, 1))
        await publisher.publish("bad", some(1, 2))
        for queue, expected in (("raw", "id-0"), ("failed", "id-1"), ("bad-rows.load", "id-2")):
            async with open_subscriber(settings, queue, 10) as subscriber:  # type: ignore[arg-type]
                assert ids(await take(subscriber, 1)) == [expected]


async def test_a_receiver_gets_no_more_than_it_asks_for_and_no_more_than_its_prefetch(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 5) as subscriber:
        await publisher.publish("raw", some(10))
        first = await take(subscriber, 3)
        rest = await take(subscriber, 2)
        assert await subscriber.receive(5, 0.3) == []
        await subscriber.ack(first)
        more = await take(subscriber, 3)
        assert ids(first + rest + more) == [f"id-{n}" for n in range(8)]


async def test_waiting_for_a_message_ends_when_one_comes(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 5) as subscriber:
        assert await subscriber.receive(5, 0) == []
        waiting = asyncio.create_task(subscriber.receive(5, PATIENCE_S))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await publisher.publish("raw", some(1))
        assert ids(await waiting) == ["id-0"]


async def test_acked_messages_never_come_again(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", some(10))
        async with open_subscriber(settings, "raw", 100) as subscriber:
            got = await take(subscriber, 10)
            await subscriber.ack([got[7], got[0], got[1], got[4]])
        async with open_subscriber(settings, "raw", 100) as subscriber:
            again = await take(subscriber, 6)
            assert ids(again) == ["id-2", "id-3", "id-5", "id-6", "id-8", "id-9"]
            assert all(delivery.redelivered for delivery in again)
            await subscriber.ack(again)
            await subscriber.ack(again)
        async with open_subscriber(settings, "raw", 100) as subscriber:
            assert await subscriber.receive(100, 0.3) == []


async def test_acks_just_before_the_end_count(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", some(400))
    async with open_subscriber(settings, "raw", 1000) as subscriber:
        got = await take(subscriber, 400)
        await subscriber.ack(got[1::2])
    async with open_subscriber(settings, "raw", 1000) as subscriber:
        assert ids(await take(subscriber, 200)) == [f"id-{n}" for n in range(0, 400, 2)]
        assert await subscriber.receive(10, 0.2) == []


async def test_consumers_compete(settings: SharedSettings) -> None:
    async with (
        open_publisher(settings) as publisher,
        open_subscriber(settings, "raw", 10) as one,
        open_subscriber(settings, "raw", 10) as two,
    ):
        got: dict[int, list[Delivery]] = {1: [], 2: []}

        async def consume(subscriber: Subscriber, number: int) -> None:
            while len(got[1]) + len(got[2]) < 200:
                deliveries = await subscriber.receive(5, 0.1)
                got[number] += deliveries
                await subscriber.ack(deliveries)

        await publisher.publish("raw", some(200))
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(consume(one, 1), consume(two, 2))
        assert sorted(ids(got[1] + got[2])) == sorted(f"id-{n}" for n in range(200))
        assert got[1]
        assert got[2]


async def test_released_messages_go_to_any_consumer_as_redelivered(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
        await publisher.publish("raw", some(3))
        got = await take(subscriber, 3)
        await subscriber.release(got[1:])
        again = await take(subscriber, 2)
        assert sorted(ids(again)) == ["id-1", "id-2"]
        assert [(d.redelivered, d.attempts) for d in again] == [(True, 2), (True, 2)]
        await subscriber.ack([*again, got[0]])
        assert await subscriber.receive(10, 0.3) == []


async def test_a_consumer_that_leaves_gives_back_what_it_holds(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as staying:
        async with open_subscriber(settings, "raw", 10) as leaving:
            await publisher.publish("raw", some(10))
            await eventually(lambda: _holds_any(leaving))
        again = await take(staying, 10)
        assert sorted(ids(again)) == sorted(f"id-{n}" for n in range(10))


async def _holds_any(subscriber: Subscriber) -> bool:
    return bool(await subscriber.receive(10, 0.1))


async def test_a_cancelled_receive_loses_nothing(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 200) as subscriber:
        got: list[Delivery] = []
        for number in range(60):
            waiting = asyncio.create_task(subscriber.receive(10, 1))
            await asyncio.sleep(0)
            publishing = asyncio.create_task(publisher.publish("raw", some(1, number)))
            await asyncio.sleep(0.0003 * number)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                got += await waiting
            await publishing
        got += await take(subscriber, 60 - len(got)) if len(got) < 60 else []
        assert sorted(ids(got)) == sorted(f"id-{n}" for n in range(60))


async def test_buried_messages_leave_the_queue(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
        await publisher.publish("raw", some(3))
        got = await take(subscriber, 3)
        await subscriber.bury(got[:1], "can't be read")
        await subscriber.release(got[1:])
        assert sorted(ids(await take(subscriber, 2))) == ["id-1", "id-2"]
        assert await subscriber.receive(10, 0.3) == []


async def test_poison_above_the_largest_message_is_buried_and_replayed_all_the_same(settings: SharedSettings) -> None:
    """Somebody made the limit smaller, or publishes by another program."""
    limits = settings.ingest.limits.model_copy(update={"message_max_bytes": 1_000})
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"limits": limits})})
    async with open_publisher(settings) as publisher, open_subscriber(small, "raw", 10) as subscriber:
        await publisher.publish("raw", [a_message(0, size=2_000), a_message(1)])
        await subscriber.bury(await take(subscriber, 2), "can't be read")
        async with open_dead_letters(small, "raw") as dead:
            assert [message.message_id for message in await dead.peek(10)] == ["id-0", "id-1"]
            assert await dead.replay(10) == 2
            assert ids(await take(subscriber, 2)) == ["id-0", "id-1"]


async def test_an_operator_finds_poison_with_its_reason_and_replays_it(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
        await publisher.publish("raw", some(3))
        await subscriber.bury(await take(subscriber, 3), "can't be read")
        async with open_dead_letters(settings, "raw") as dead:
            for _ in range(2):
                found = await dead.peek(2)
                assert [m.message_id for m in found] == ["id-0", "id-1"]
                assert found[0].body == a_message(0).body
                assert found[0].headers == {"x-evnt-source-queue": "raw", "x-evnt-error": "can't be read"}
            assert await dead.replay(1) == 1
            (again,) = await take(subscriber, 1)
            assert (again.message, again.attempts) == (a_message(0), 1)
            assert len(await dead.peek(10)) == 2
            assert await dead.purge() == 2
            assert await dead.peek(10) == []


async def test_a_full_queue_takes_no_more_and_loses_nothing(settings: SharedSettings) -> None:
    small = limited(settings, queue_max_bytes=50_000)
    async with open_publisher(small) as publisher:
        taken = 0
        while await _takes(publisher.publish("raw", some(1, taken, size=2000))):
            taken += 1
        with pytest.raises(StreamUnavailable, match="full"):
            await publisher.publish("raw", some(1, taken, size=2000))
        assert 5 < taken < 200
        await publisher.publish("failed", some(1))  # others have room
        async with open_subscriber(small, "raw", 1000) as subscriber:
            await subscriber.ack(await take(subscriber, taken))
        await eventually(lambda: _takes(publisher.publish("raw", some(1, 5000))))


async def _takes(publishing: Awaitable[None]) -> bool:
    try:
        await publishing
    except StreamUnavailable:
        return False
    return True


async def test_a_message_above_the_limit_is_refused_and_a_large_one_is_not(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
        large = a_message(1, size=10_000_000)
        with pytest.raises(MessageRefused):
            await publisher.publish("raw", [a_message(2, size=settings.ingest.limits.message_max_bytes + 10)])
        await publisher.publish("raw", [large])
        (delivery,) = await take(subscriber, 1)
        assert delivery.message == large


async def test_poison_is_buried_after_the_delivery_limit(settings: SharedSettings) -> None:
    patient = limited(settings, delivery_limit=3)
    async with open_publisher(patient) as publisher, open_subscriber(patient, "raw", 10) as subscriber:
        await publisher.publish("raw", some(1))
        attempts = []
        for _ in range(4):
            (delivery,) = await take(subscriber, 1)
            attempts.append(delivery.attempts)
            await subscriber.release([delivery])
        assert attempts == [1, 2, 3, 4]
        async with open_dead_letters(patient, "raw") as dead:
            await eventually(lambda: _has_letters(dead))
            (letter,) = await dead.peek(10)
        assert (letter.body, letter.headers["x-evnt-source-queue"]) == (a_message(0).body, "raw")
        assert re.search("delivery.limit", str(letter.headers["x-evnt-error"]))
        assert await subscriber.receive(10, 0.1) == []


async def _has_letters(dead: DeadLetters) -> bool:
    return bool(await dead.peek(1))


async def test_bad_rows_are_loaded_once_and_read_again_and_again(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_log(settings, "bad-rows") as log:
        assert await log.read(None, 100) == []
        await publisher.publish("bad", some(50))
        async with open_subscriber(settings, "bad-rows.load", 100) as subscriber:
            await subscriber.ack(await take(subscriber, 50))
        first = await log.read(None, 20)
        rest = await log.read(first[-1].offset, 100)
        assert [record.message for record in first + rest] == some(50)
        offsets = [record.offset for record in first + rest]
        assert offsets == sorted(set(offsets))
        assert await log.read(offsets[-1], 10) == []
        assert await log.read(offsets[-1] + 1000, 10) == []
        async with open_log(settings, "bad-rows") as another:
            assert [record.message for record in await another.read(None, 1000)] == some(50)
            assert [record.offset for record in await another.read(offsets[30], 5)] == offsets[31:36]


async def test_a_log_can_be_followed(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_log(settings, "bad-rows") as log:
        following = asyncio.create_task(log.read(None, 10, PATIENCE_S))
        await asyncio.sleep(0.3)
        await publisher.publish("bad", some(1))
        (record,) = await following
        assert record.message == a_message(0)
        following = asyncio.create_task(log.read(record.offset, 10, PATIENCE_S))
        await asyncio.sleep(0.1)
        await publisher.publish("bad", some(1, 1))
        assert [r.message for r in await following] == [a_message(1)]


async def test_a_log_knows_its_newest_record(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_log(settings, "bad-rows") as log:
        assert await log.newest() is None
        for start in (0, 300):
            await publisher.publish("bad", some(300, start))
            await asyncio.sleep(0.5)  # a broker counts its newest ones late
            newest = await log.newest()
            records = await log.read(None, 1_000)
            assert (len(records), newest) == (start + 300, records[-1].offset)


async def test_the_raw_archive_keeps_what_was_consumed(settings: SharedSettings) -> None:
    archiving = limited(settings, raw_archive=True)
    async with open_publisher(archiving) as publisher, open_log(archiving, "raw.archive") as log:
        await publisher.publish("raw", some(3))
        async with open_subscriber(archiving, "raw", 10) as subscriber:
            await subscriber.ack(await take(subscriber, 3))
        assert [record.message for record in await log.read(None, 10)] == some(3)


async def test_many_publish_at_once(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 2000) as subscriber:
        await asyncio.gather(*(publisher.publish("raw", some(1, number, size=2000)) for number in range(1000)))
        assert sorted(ids(await take(subscriber, 1000))) == sorted(f"id-{n}" for n in range(1000))


async def test_a_publisher_is_ready(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        assert publisher.ready
