"""Group commit on a stream that can be called without waiting."""

import asyncio

import pytest

from collector.metrics import Metrics
from shared.stream.contract import StreamUnavailable
from tests.collector.committing import commit
from tests.collector.stream import Posting


async def test_what_is_confirmed_is_answered_in_that_turn_of_the_loop_and_the_next_is_sent_before() -> None:
    publisher = Posting()
    group = commit(publisher)
    sent_by_then: list[bytes] = []
    group.submit([b"first"], [], lambda _: sent_by_then.extend(publisher.begun))
    await publisher.until(1)
    second, third = group.add([b"second"], []), group.add([b"third"], [])
    assert not sent_by_then
    publisher.confirm()
    assert sent_by_then == [b"first", b"secondthird"]
    assert not second.done()
    publisher.confirm()
    assert second.done()
    assert third.done()
    await group.close()


@pytest.mark.parametrize("away", [False, True])
async def test_what_was_posted_and_is_not_owned_goes_on_as_the_same_messages(away: bool) -> None:
    publisher, metrics = Posting(), Metrics()
    group = commit(publisher, metrics=metrics, payloads_per_message=1)
    waiting = group.add([b"1", b"2"], [])
    await publisher.until(2)
    publisher.away = away
    publisher.may_finish.set()
    publisher.confirm(owned=(True, False))
    (told,) = await asyncio.gather(waiting, return_exceptions=True)
    await group.close()
    assert isinstance(told, StreamUnavailable) == away
    assert publisher.resumed == [("id-0", "id-1")]
    assert metrics.published == (0 if away else 2)


async def test_what_can_not_be_posted_now_is_published() -> None:
    publisher = Posting()
    publisher.takes_posts = False
    publisher.may_finish.set()
    group = commit(publisher)
    await group.add([b"x"], [])
    await group.add([b"y"], [b"row"])
    assert [message.body for message in publisher.messages("raw")] == [b"x", b"y"]
    assert [message.message_id for message in publisher.messages("raw")] == ["id-0", "id-1"]  # made once
    assert [message.body for message in publisher.messages("bad")] == [b"row"]


async def test_closing_waits_for_what_was_posted() -> None:
    publisher = Posting()
    group = commit(publisher)
    group.add([b"x"], [])
    await publisher.until(1)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    publisher.confirm()
    await closing
