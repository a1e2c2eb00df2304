"""A stream in memory: a publisher that can go away, block and refuse, and what it was given."""

import asyncio
from collections.abc import Sequence

from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.stream.contract import Delivery, Message, MessageRefused, StreamName, StreamUnavailable


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
            raise MessageRefused("too large")
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
