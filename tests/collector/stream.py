"""A stream in memory: a publisher that can go away, block and refuse, and what it was given."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.stream.contract import Delivery, Message, MessageRefused, Posted, StreamName, StreamUnavailable


class MemoryPublisher:
    """Owns what it is given at once, unless told otherwise."""

    def __init__(self) -> None:
        self.published: list[tuple[StreamName, Message]] = []
        self.batches: list[int] = []
        self.ready = True
        self.away = False
        self.refuse_above: int | None = None
        self.refused_streams: tuple[str, ...] = ("raw", "bad")
        self.may_finish = asyncio.Event()
        self.may_finish.set()

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        await self.may_finish.wait()
        if self.away:
            raise StreamUnavailable("away")
        limit = self.refuse_above if stream in self.refused_streams else None
        if limit is not None and any(len(message.body) > limit for message in messages):
            raise MessageRefused("too large", limit)
        self.batches.append(len(messages))
        self.published += [(stream, message) for message in messages]

    async def close(self) -> None:
        """Nothing to let go of."""

    def messages(self, stream: StreamName) -> list[Message]:
        return [message for name, message in self.published if name == stream]

    def payloads(self) -> list[CollectorPayload]:
        found = [payload for message in self.messages("raw") for payload in decode(message.body)]
        assert all(isinstance(payload, CollectorPayload) for payload in found)
        return [payload for payload in found if isinstance(payload, CollectorPayload)]


class Begun(MemoryPublisher):
    """Tells what was begun to be published, confirmed or not."""

    def __init__(self) -> None:
        super().__init__()
        self.may_finish.clear()
        self.begun: list[bytes] = []
        self._changed = asyncio.Condition()

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        async with self._changed:
            self.begun += [message.body for message in messages]
            self._changed.notify_all()
        await super().publish(stream, messages)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= count)


@dataclass
class Answered:
    """What became of each message that was posted."""

    each: tuple[bool, ...]
    late: bool = False

    @property
    def owned(self) -> bool:
        return all(self.each)


class Posting(Begun):
    """Can also be called without waiting; what it was given so is confirmed when the test, or `may_finish`, says so."""

    def __init__(self) -> None:
        super().__init__()
        self.takes_posts = True
        self.resumed: list[tuple[str, ...]] = []
        self._telling: list[asyncio.Future[None]] = []
        self._posted: list[tuple[Sequence[Message], Callable[[Posted], None]]] = []

    def post(
        self, stream: StreamName, messages: Sequence[Message], timeout_s: float, ended: Callable[[Posted], None]
    ) -> bool:
        if not self.takes_posts:
            return False
        self.begun += [message.body for message in messages]
        self._posted.append((messages, ended))
        self._telling.append(asyncio.ensure_future(self._tell()))
        return True

    async def resume(self, stream: StreamName, messages: Sequence[Message], posted: Posted) -> None:
        self.resumed.append(tuple(message.message_id for message in messages))
        await MemoryPublisher.publish(self, stream, messages)

    def confirm(self, owned: tuple[bool, ...] = (True,), *, late: bool = False) -> None:
        """Answer the oldest."""
        messages, ended = self._posted.pop(0)
        outcomes = owned if len(owned) > 1 else owned * len(messages)
        self.published += [("raw", message) for message, taken in zip(messages, outcomes, strict=True) if taken]
        ended(Answered(outcomes, late))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
        await self.may_finish.wait()
        if self._posted:
            self.confirm()


class MemorySubscriber:
    """Lends what a MemoryPublisher was given, oldest first."""

    def __init__(self, source: MemoryPublisher) -> None:
        self._source = source
        self.acked: list[Message] = []
        self.buried: list[Message] = []
        self._lent = 0

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        found = self._source.published[self._lent : self._lent + limit]
        self._lent += len(found)
        return [Delivery(message, False, 1, message.message_id) for _, message in found]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self.acked += [delivery.message for delivery in deliveries]

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        self._lent -= len(deliveries)

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        self.buried += [delivery.message for delivery in deliveries]

    async def close(self) -> None:
        """Nothing to let go of."""
