"""What a publisher on RabbitMQ promises to who is called instead of waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from shared.settings import RabbitmqSettings, SharedSettings
from shared.stream import open_publisher, open_subscriber, poster
from shared.stream.contract import Message, Posted, Poster, Publisher, StreamUnavailable
from tests.conftest import clear
from tests.ports import free_port
from tests.proxy import Line
from tests.shared.messages import a_message, eventually, holds, ids, quick, some, take

pytestmark = pytest.mark.rabbitmq


class Posts:
    """What was posted to `raw`, and how it ended."""

    def __init__(self, way: Poster) -> None:
        self.way = way
        self.ended: asyncio.Queue[Posted] = asyncio.Queue()

    def post(self, messages: list[Message], timeout_s: float = 5) -> bool:
        return self.way.post("raw", messages, timeout_s, self.ended.put_nowait)

    async def end(self) -> Posted:
        async with asyncio.timeout(10):
            return await self.ended.get()


@asynccontextmanager
async def posting(settings: SharedSettings) -> AsyncIterator[tuple[Publisher, Posts]]:
    async with open_publisher(settings) as publisher:
        way = poster(publisher)
        assert way is not None
        yield publisher, Posts(way)


async def test_what_is_posted_is_owned_at_its_end(rabbitmq: RabbitmqSettings) -> None:
    settings = quick(rabbitmq)
    async with posting(settings) as (_, posts), open_subscriber(settings, "raw", 100) as subscriber:
        assert posts.post(some(2))
        assert posts.post(some(1, 2))
        assert [(one.owned, one.late) for one in (await posts.end(), await posts.end())] == [(True, False)] * 2
        assert sorted(ids(await take(subscriber, 3))) == ["id-0", "id-1", "id-2"]


async def test_what_is_too_large_or_nothing_is_not_posted(rabbitmq: RabbitmqSettings) -> None:
    settings = quick(rabbitmq)
    limit = settings.ingest.limits.message_max_bytes
    async with posting(settings) as (_, posts):
        assert not posts.post([])
        assert not posts.post([replace(a_message(), body=b"x" * (limit + 1))])


async def test_a_post_that_a_line_takes_along_goes_on_with_the_next(lined: SharedSettings, line: Line) -> None:
    async with posting(lined) as (_, posts), open_subscriber(lined, "raw", 100) as subscriber:
        line.silence()
        assert posts.post(some(20))
        await asyncio.sleep(0.2)
        line.cut()
        line.mend()
        posted = await posts.end()
        assert (posted.owned, posted.late) == (False, False)
        await posts.way.resume("raw", some(20), posted)
        assert {f"id-{n}" for n in range(20)} <= set(ids(await take(subscriber, 20)))


async def test_a_post_goes_on_though_a_new_line_was_there_first(lined: SharedSettings, line: Line) -> None:
    async with posting(lined) as (publisher, posts), open_subscriber(lined, "raw", 100) as subscriber:
        line.silence()
        assert posts.post(some(1))
        line.cut()
        line.mend()
        posted = await posts.end()
        await eventually(lambda: holds(publisher.ready))
        await posts.way.resume("raw", some(1), posted)
        assert ids(await take(subscriber, 1)) == ["id-0"]


async def test_a_post_without_an_answer_ends_in_time(lined: SharedSettings, line: Line) -> None:
    async with posting(lined) as (_, posts):
        line.silence()
        assert posts.post(some(1), timeout_s=0.2)
        posted = await posts.end()
        assert (posted.owned, posted.late) == (False, True)
        with pytest.raises(StreamUnavailable, match="in time"):
            await posts.way.resume("raw", some(1), posted)


async def test_nothing_is_posted_on_a_line_that_is_down(lined: SharedSettings, line: Line) -> None:
    async with posting(lined) as (publisher, posts):
        line.cut(refuse=True)
        await eventually(lambda: holds(not publisher.ready))
        assert not posts.post(some(1))
        line.mend()
        await eventually(lambda: holds(publisher.ready))
        assert posts.post(some(1))
        assert (await posts.end()).owned


async def test_nothing_is_posted_before_there_ever_was_a_line(rabbitmq: RabbitmqSettings) -> None:
    async with posting(quick(rabbitmq, port=free_port(), startup_timeout_seconds=1)) as (_, posts):
        assert not posts.post(some(1))


async def test_a_post_for_a_queue_that_is_gone_goes_on_when_that_is_declared_anew(rabbitmq: RabbitmqSettings) -> None:
    settings = quick(rabbitmq)
    async with posting(settings) as (_, posts):
        await clear(rabbitmq)
        assert posts.post(some(1))
        posted = await posts.end()
        assert not posted.owned
        await posts.way.resume("raw", some(1), posted)
        async with open_subscriber(settings, "raw", 10) as subscriber:
            assert ids(await take(subscriber, 1)) == ["id-0"]


async def test_closing_waits_for_what_was_posted(rabbitmq: RabbitmqSettings) -> None:
    async with posting(quick(rabbitmq)) as (_, posts):
        assert posts.post(some(100))
    assert posts.ended.get_nowait().owned
