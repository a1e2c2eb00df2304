"""Group commit: one publish at a time, everybody answered, nothing lost."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Sequence

import pytest

from collector.commit import LONGEST_PAUSE_S, MOST_IN_FLIGHT, PAUSE_S, TooLate
from collector.metrics import Metrics
from collector.state import Fate
from shared.payload import CollectorPayload, encode
from shared.process import Misconfigured
from shared.rawmessage import Method, method_of, read
from shared.stream.contract import Message, MessageRefused, StreamError, StreamName, StreamUnavailable
from tests.collector.committing import NOW, commit
from tests.collector.stream import Begun, MemoryPublisher, Posting


async def test_what_arrives_within_a_moment_goes_together_and_waits_for_no_confirm() -> None:
    publisher = Begun()
    group = commit(publisher)
    waiting = [asyncio.ensure_future(group.add([b"%d" % number], [])) for number in range(10)]
    await publisher.until(1)
    waiting += [asyncio.ensure_future(group.add([b"late"], [])) for _ in range(3)]
    await publisher.until(2)
    assert publisher.begun == [b"0123456789", b"latelatelate"]
    publisher.may_finish.set()
    await asyncio.gather(*waiting)
    assert [message.headers for message in publisher.messages("raw")] == [{"payloads": 10}, {"payloads": 3}]


async def test_only_so_many_publishes_are_in_flight_and_the_rest_goes_together() -> None:
    publisher = Begun()
    group = commit(publisher)
    waiting = []
    for number in range(MOST_IN_FLIGHT):
        waiting.append(asyncio.ensure_future(group.add([b"%d" % number], [])))
        await publisher.until(number + 1)
    waiting += [asyncio.ensure_future(group.add([b"x"], [])) for _ in range(3)]
    await asyncio.sleep(3 * PAUSE_S)
    assert len(publisher.begun) == MOST_IN_FLIGHT
    publisher.may_finish.set()
    await asyncio.gather(*waiting)
    assert publisher.begun[-1] == b"xxx"
    await group.close()


async def test_a_slow_stream_is_given_fewer_messages() -> None:
    loop = asyncio.get_running_loop()
    publisher = Begun()
    group = commit(publisher)
    slow = asyncio.ensure_future(group.add([b"slow"], []))
    await publisher.until(1)
    loop.call_later(0.3, publisher.may_finish.set)
    await slow
    await group.add([b"x"], [])
    begun = loop.time()
    await group.add([b"y"], [])
    assert loop.time() - begun > 0.02  # half a confirm after the one before, not PAUSE_S
    assert publisher.begun == [b"slow", b"x", b"y"]


async def _after_a_slow_confirm(publisher: Begun, *, first_confirmed: bool) -> float:
    """Seconds until a second publish begins: the pause after the first is the longest, for the stream was slow."""
    loop = asyncio.get_running_loop()
    group = commit(publisher)
    slow = group.add([b"slow"], [])
    await publisher.until(1)
    loop.call_later(0.3, publisher.may_finish.set)
    await slow
    publisher.may_finish.clear()
    waiting = [group.add([b"first"], [])]
    await publisher.until(2)
    begun = loop.time()
    if first_confirmed:
        publisher.may_finish.set()
        await waiting[0]
    waiting.append(group.add([b"second"], []))
    await asyncio.sleep(0.01)
    publisher.may_finish.set()  # confirms the first now, at the latest
    await publisher.until(3)
    taken = loop.time() - begun
    await asyncio.gather(*waiting)
    await group.close()
    assert publisher.begun == [b"slow", b"first", b"second"]
    return taken


@pytest.mark.parametrize("first_confirmed", [True, False])
async def test_what_waits_and_can_be_posted_goes_as_soon_as_nothing_is_in_flight(first_confirmed: bool) -> None:
    patient = await _after_a_slow_confirm(Begun(), first_confirmed=first_confirmed)
    # the quickest of some: a busy machine stands still for longer now and then
    eager = min([await _after_a_slow_confirm(Posting(), first_confirmed=first_confirmed) for _ in range(4)])
    assert eager < LONGEST_PAUSE_S / 2 < patient


async def test_nobody_is_answered_before_the_confirm() -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    waiting = asyncio.ensure_future(commit(publisher).add([b"x"], []))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    publisher.may_finish.set()
    await waiting


async def test_messages_are_as_large_as_the_settings_say() -> None:
    publisher = MemoryPublisher()
    await commit(publisher, payloads_per_message=1).add([b"a", b"b"], [])
    assert [message.body for message in publisher.messages("raw")] == [b"a", b"b"]
    await commit(publisher, bytes_per_message=4).add([b"12", b"34", b"56"], [])
    assert [message.body for message in publisher.messages("raw")][2:] == [b"1234", b"56"]


@pytest.mark.parametrize("method", ["gzip", "zstd"])
async def test_messages_are_compressed_where_the_settings_say_so(method: Method) -> None:
    publisher = MemoryPublisher()
    records = [encode(CollectorPayload(path="/com.acme/v1", body=100 * str(number))) for number in range(5)]
    await commit(publisher, compression=method, bytes_per_message=400).add(records, [])
    messages = publisher.messages("raw")
    read_again = [one.record for message in messages for one in read(message.body, 1_000)]
    assert read_again == records
    assert {method_of(message.body) for message in messages} == {method}
    assert {message.content_type for message in messages} == {f"application/{method}"}
    assert [message.headers["payloads"] for message in messages] == [2, 2, 1]


async def test_messages_say_what_they_are() -> None:
    publisher = MemoryPublisher()
    row = b'{"schema":"iglu:com.snowplowanalytics.snowplow.badrows/size_violation/jsonschema/1-0-0","data":{}}'
    await commit(publisher).add([b"x"], [row])
    (raw,), (bad,) = publisher.messages("raw"), publisher.messages("bad")
    assert (raw.type, raw.content_type, raw.timestamp_ms) == ("collector-payload", "application/x-thrift", NOW)
    assert (bad.type, bad.content_type, bad.headers) == ("bad-row", "application/json", {"type": "size_violation"})
    assert raw.message_id != bad.message_id


async def test_an_outage_is_told_to_everybody_of_the_group_and_over_with_it() -> None:
    publisher = MemoryPublisher()
    publisher.away = True
    group = commit(publisher)
    found = await asyncio.gather(*(group.add([b"x"], []) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, StreamUnavailable) for error in found)
    publisher.away = False
    await group.add([b"y"], [])
    assert [message.body for message in publisher.messages("raw")] == [b"y"]


async def test_a_message_that_is_refused_harms_no_neighbour() -> None:
    publisher = MemoryPublisher()
    publisher.refuse_above = 2_000
    publisher.refused_streams = ("raw",)
    metrics = Metrics()
    await commit(publisher, metrics=metrics, payloads_per_message=1).add([b"a", b"x" * 2_001, b"b"], [b"row"])
    assert [message.body for message in publisher.messages("raw")] == [b"a", b"b"]
    assert (metrics.published, metrics.bad) == (2, 2)


async def test_what_nothing_takes_is_never_answered_as_kept() -> None:
    publisher = MemoryPublisher()
    publisher.refuse_above = 100
    with pytest.raises(MessageRefused):
        await commit(publisher).add([b"x" * 2_001], [])


@pytest.mark.parametrize("kind", ["raw", "bad"])
async def test_a_row_that_is_too_large_is_told_of_with_its_beginning(kind: str) -> None:
    publisher = MemoryPublisher()
    publisher.refuse_above = 2_000
    large = b"\x01" * 2_001
    await commit(publisher).add(*([large], []) if kind == "raw" else ([], [large]))
    (row,) = publisher.messages("bad")
    told = json.loads(row.body)
    assert row.headers == {"type": "size_violation"}
    assert told["data"]["failure"]["maximumAllowedSizeBytes"] == 2_000
    assert told["data"]["failure"]["actualSizeBytes"] > 2_000
    assert len(told["data"]["payload"]) == 200


async def test_a_row_that_nothing_takes_harms_no_neighbour() -> None:
    publisher = MemoryPublisher()
    publisher.refuse_above = 100
    group = commit(publisher)
    sent = [group.add([b"1"], []), group.add([b"2"], [b"x" * 2_001, b"3"]), group.add([], [b"4"])]
    assert [type(told) for told in await asyncio.gather(*sent, return_exceptions=True)] == [
        type(None),
        MessageRefused,
        type(None),
    ]
    assert [message.body for message in publisher.messages("bad")] == [b"3", b"4"]
    assert [message.body for message in publisher.messages("raw")] == [b"12"]


async def test_the_bad_row_of_a_refused_message_holds_all_of_it() -> None:
    publisher = MemoryPublisher()
    group = commit(publisher, payloads_per_message=1)
    publisher.refuse_above = 2_000
    publisher.refused_streams = ("raw",)
    await group.add([b"x" * 2_001], [])
    (row,) = publisher.messages("bad")
    assert b64decode(json.loads(row.body)["data"]["payload"]) == b"x" * 2_001


async def test_a_waiter_that_goes_away_takes_nobody_along() -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    group = commit(publisher)
    first, second = asyncio.ensure_future(group.add([b"1"], [])), asyncio.ensure_future(group.add([b"2"], []))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    publisher.may_finish.set()
    await second
    assert [message.body for message in publisher.messages("raw")] == [b"12"]


async def test_who_waits_too_long_is_told_so() -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    group = commit(publisher, wait_s=0.01)
    with pytest.raises(TooLate):
        await group.add([b"x"], [])
    publisher.may_finish.set()
    await group.close()
    assert [message.body for message in publisher.messages("raw")] == [b"x"]


async def test_who_comes_after_such_a_one_is_told_so_too() -> None:
    publisher = Begun()
    group = commit(publisher, wait_s=0.02)
    waiting = []
    for number in range(MOST_IN_FLIGHT):
        waiting.append(group.add([b"%d" % number], []))
        await publisher.until(number + 1)
    for record in (b"x", b"y"):  # into the group that waits for one of them to end
        async with asyncio.timeout(5):
            with pytest.raises(TooLate):
                await group.add([record], [])
    publisher.may_finish.set()
    await group.close()
    assert publisher.begun[-1] == b"xy"
    assert all(isinstance(error, TooLate) for error in await asyncio.gather(*waiting, return_exceptions=True))


async def test_closing_waits_for_what_is_in_flight() -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    group = commit(publisher)
    waiting = asyncio.ensure_future(group.add([b"x"], []))
    await asyncio.sleep(0)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    publisher.may_finish.set()
    await asyncio.gather(closing, waiting)


async def test_more_than_may_wait_is_not_taken() -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    group = commit(publisher, in_flight_max_bytes=10)
    first = asyncio.ensure_future(group.add([b"x" * 8], []))
    await asyncio.sleep(0)
    with pytest.raises(StreamUnavailable):
        await group.add([b"x" * 3], [])
    publisher.may_finish.set()
    await first
    await group.add([b"x" * 3], [])


class Refusing(MemoryPublisher):
    """A transport that can't work before an operator changes something."""

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        raise Misconfigured("no rights")


async def test_a_transport_that_can_not_work_ends_the_process_and_keeps_nobody_waiting() -> None:
    fate = Fate()
    with pytest.raises(StreamError):
        await commit(Refusing(), fate=fate).add([b"x"], [])
    await fate.stopped(asyncio.Event())
    with pytest.raises(Misconfigured, match="no rights"):
        fate.judge()
