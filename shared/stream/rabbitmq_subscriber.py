"""Consuming from RabbitMQ: a window of messages lent by the broker, acked many at a time."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiormq import Channel
from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.exceptions import ChannelAccessRefused

from shared.process import Misconfigured
from shared.settings import IngestSettings
from shared.stream.contract import Delivery, Message, QueueName, StreamError, StreamUnavailable
from shared.stream.rabbitmq_line import GOODBYE_S, Line, broker_errors, open_channel
from shared.stream.rabbitmq_publisher import RabbitmqPublisher
from shared.stream.rabbitmq_topology import declare
from shared.stream.rabbitmq_wire import header, message, redelivered, tag
from shared.stream.topology import REASON_HEADER, SOURCE_QUEUE_HEADER, dead_queue

#: Between two looks whether the broker still has us as a consumer, seconds.
WATCH_S: Final = 10.0

#: Between two attempts to bury, seconds.
PAUSE_S: Final = 1.0

#: Name of our consumer within its channel.
CONSUMER: Final = "evnt"


@dataclass(eq=False, slots=True)
class Lease:
    """What one channel lent us. It ends with the channel: then the broker lends all of it again.

    held: delivery tags not yet acked, in order of delivery. waiting: those that nobody has received yet. arrived: how
    many there have been.
    """

    channel: Channel
    arrived: int = 0
    held: dict[int, None] = field(default_factory=dict)
    waiting: deque[DeliveredMessage] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Tag:
    """A delivery's handle: void when its lease is not the current one."""

    lease: Lease
    number: int


class RabbitmqSubscriber:
    """One connection for consuming; a second one, made at the first burial, for the dead queue."""

    def __init__(self, settings: IngestSettings, queue: QueueName, prefetch: int, watch_s: float = WATCH_S) -> None:
        self._settings = settings
        self._queue = queue
        self._prefetch = prefetch
        self._watch_s = watch_s
        self._line = Line(settings.rabbitmq, f"evnt consumer of {queue}", self._prepare)
        self._lease: Lease | None = None
        self._arrived = asyncio.Event()
        self._undertaker: RabbitmqPublisher | None = None
        self._burying = asyncio.Lock()
        self._burials: set[asyncio.Task[None]] = set()
        self._watchdog: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, or go on without. Raises Misconfigured."""
        await self._line.start()
        self._watchdog = asyncio.create_task(self._watch())

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        self._line.check()
        if self._lease is None or not self._lease.waiting:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
            self._line.check()
        lease = self._lease
        if lease is None:
            return []
        return [_delivery(lease, lease.waiting.popleft()) for _ in range(min(limit, len(lease.waiting)))]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        lease, numbers = self._current(deliveries)
        if lease is None:
            return
        upto, singles = acknowledgements(lease.held, numbers)
        with suppress(StreamUnavailable), broker_errors("ack"):
            if upto is not None:
                await lease.channel.basic_ack(upto, multiple=True, wait=False)
            for number in singles:
                await lease.channel.basic_ack(number, wait=False)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        lease, numbers = self._current(deliveries)
        if lease is None:
            return
        with suppress(StreamUnavailable), broker_errors("release"):
            for number in numbers:
                lease.held.pop(number, None)
                await lease.channel.basic_nack(number, requeue=True, wait=False)

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        if not await self._bury(deliveries, reason):
            burial = asyncio.create_task(self._insist_on_burial(deliveries, reason))
            self._burials.add(burial)
            burial.add_done_callback(self._burials.discard)

    async def _insist_on_burial(self, deliveries: Sequence[Delivery], reason: str) -> None:
        while True:
            await asyncio.sleep(PAUSE_S)
            if await self._bury(deliveries, reason):
                return

    async def _bury(self, deliveries: Sequence[Delivery], reason: str) -> bool:
        """Ack what the dead queue owns. True when there is nothing left to do, also because all are void."""
        held = [delivery for delivery in deliveries if self._current([delivery])[1]]
        if not held:
            return True
        marked = [_marked(delivery.message, self._queue, reason) for delivery in held]
        try:
            undertaker = await self._dead_publisher()
            await undertaker.send("", dead_queue(self._queue), marked)
        except StreamError:
            return False
        await self.ack(held)
        return True

    async def close(self) -> None:
        tasks = [*self._burials, *([self._watchdog] if self._watchdog else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._undertaker:
            await self._undertaker.close()
        await self._stop_consuming()
        await self._line.close()

    async def _stop_consuming(self) -> None:
        """A broker's channel holds acks back while many are under way, and forgets those when it is closed.

        It answers a cancel only after them.
        """
        channel = self._line.channel
        if channel and not channel.is_closed:
            with suppress(StreamUnavailable), broker_errors("cancel"):
                await channel.basic_cancel(CONSUMER, timeout=GOODBYE_S)

    async def _prepare(self, connection: AbstractConnection) -> Channel:
        await declare(connection, self._settings)
        channel = await open_channel(connection, confirms=False)
        await channel.basic_qos(prefetch_count=self._prefetch)
        lease = Lease(channel)

        async def arrive(delivered: DeliveredMessage) -> None:
            self._arrive(lease, delivered)

        channel.on_consumer_cancel_callbacks.add(lambda _: self._line.drop("the broker cancelled the consumer"))
        self._lease = lease
        try:
            await channel.basic_consume(self._queue, arrive, consumer_tag=CONSUMER)
        except ChannelAccessRefused as error:
            user = self._settings.rabbitmq.username
            raise Misconfigured(f"RabbitMQ does not let user {user!r} consume: {error}. Grant that right") from error
        return channel

    def _arrive(self, lease: Lease, delivered: DeliveredMessage) -> None:
        lease.held[tag(delivered)] = None
        lease.waiting.append(delivered)
        lease.arrived += 1
        self._arrived.set()

    def _current(self, deliveries: Iterable[Delivery]) -> tuple[Lease | None, list[int]]:
        """The lease in force, and the tags that belong to it and are still held."""
        lease = self._lease
        if lease is None or lease.channel.is_closed:
            return None, []
        tags = [delivery.tag for delivery in deliveries]
        return lease, [t.number for t in tags if isinstance(t, Tag) and t.lease is lease and t.number in lease.held]

    async def _dead_publisher(self) -> RabbitmqPublisher:
        async with self._burying:
            if self._undertaker is None:
                undertaker = RabbitmqPublisher(self._settings)
                await undertaker.start()
                self._undertaker = undertaker
            return self._undertaker

    async def _watch(self) -> None:
        """A broker can forget a consumer without telling: then the line is made anew."""
        starving = False
        while True:
            await asyncio.sleep(self._watch_s)
            lease = self._lease
            if lease is None or self._line.channel is not lease.channel:
                continue
            try:
                with broker_errors("watch"):
                    messages, consumers = await self._counted(lease)
            except StreamUnavailable as error:
                self._line.drop(f"the broker does not answer: {error}")
                continue
            hungry = not lease.held and bool(messages)
            if not consumers or (hungry and starving):
                self._line.drop("the broker lends nothing, though messages wait")
            starving = hungry

    async def _counted(self, lease: Lease) -> tuple[int | None, int | None]:
        """Messages and consumers of the queue. Raises TimeoutError when a broker says nothing for so long.

        Its answer comes behind what it lends: on a slow line a window of large messages takes longer than that.
        """
        asked = asyncio.ensure_future(lease.channel.queue_declare(self._queue, passive=True))
        arrived = -1
        try:
            while arrived != lease.arrived:
                arrived = lease.arrived
                if (await asyncio.wait({asked}, timeout=self._watch_s))[0]:
                    counted = asked.result()
                    return counted.message_count, counted.consumer_count
        finally:
            asked.cancel()
        raise TimeoutError("nothing comes")


def acknowledgements(held: dict[int, None], numbers: Iterable[int]) -> tuple[int | None, list[int]]:
    """Take tags off what is held: the last one of those that one `multiple` ack covers, and the rest.

    An ack up to a tag covers everything before it, so it may reach only as far as nothing else is still held.
    """
    done = dict.fromkeys(numbers)
    upto = None
    for number in list(held):
        if number not in done:
            break
        upto = number
        del held[number], done[number]
    for number in done:
        del held[number]
    return upto, list(done)


def _delivery(lease: Lease, delivered: DeliveredMessage) -> Delivery:
    returns = header(delivered, "x-delivery-count")
    again = redelivered(delivered)
    attempts = returns + 1 if isinstance(returns, int) else 1 + again
    return Delivery(message(delivered), again, attempts, Tag(lease, tag(delivered)))


def _marked(buried: Message, queue: QueueName, reason: str) -> Message:
    headers = {**buried.headers, SOURCE_QUEUE_HEADER: queue, REASON_HEADER: reason}
    return Message(buried.body, buried.message_id, buried.timestamp_ms, buried.type, buried.content_type, headers)
