"""Publishing to RabbitMQ: confirmed, many outstanding, published again on a new line when the old one broke."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from aiormq import Channel
from aiormq.abc import AbstractConnection

from shared.settings import IngestSettings
from shared.stream.contract import Message, MessageRefused, Posted, StreamName, StreamUnavailable
from shared.stream.rabbitmq_line import Line, open_channel
from shared.stream.rabbitmq_outlet import Outcome, Sent
from shared.stream.rabbitmq_tap import TappedTransport
from shared.stream.rabbitmq_topology import declare


class _Tried:
    """Messages that were sent on a channel, and what became of each."""

    __slots__ = ("channel", "outcomes")

    def __init__(self, channel: Channel, outcomes: Sequence[Outcome]) -> None:
        self.channel = channel
        self.outcomes = outcomes

    @property
    def owned(self) -> bool:
        return all(outcome is Outcome.OWNED for outcome in self.outcomes)

    @property
    def late(self) -> bool:
        return Outcome.LATE in self.outcomes


class RabbitmqPublisher:
    """One connection for publishing.

    What was not confirmed when a line breaks is published again on the next one while the time for a publish lasts:
    a restarting broker costs a pause, not an error.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._timeout_s = settings.limits.publish_timeout_ms / 1000
        self._transport = TappedTransport()
        self._line = Line(settings.rabbitmq, "evnt publisher", self._prepare, self._transport)
        self._publishing = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def ready(self) -> bool:
        return self._line.flows

    async def start(self) -> None:
        """Connect, or go on without. Raises Misconfigured."""
        await self._line.start()

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        too_large = self._too_large(messages)
        if too_large is not None:
            most = self._settings.limits.message_max_bytes
            raise MessageRefused(f"a body of {len(too_large.body)} bytes is above {most}", most)
        await self.send(stream, messages[0].type if messages else "", messages)

    async def send(self, exchange: str, routing_key: str, messages: Sequence[Message]) -> None:
        """Publish to any exchange, with the promises of `publish`, whatever the size: the broker has held it before."""
        self._line.check()
        if not self._line.flows:
            raise StreamUnavailable("RabbitMQ can't be reached, or blocks publishers")
        await self._send_all(exchange, routing_key, messages)

    def post(
        self, stream: StreamName, messages: Sequence[Message], timeout_s: float, ended: Callable[[Posted], None]
    ) -> bool:
        channel = self._line.channel
        if channel is None or not self._line.flows or not messages or self._too_large(messages) is not None:
            return False
        outlet = self._transport.outlet
        if outlet.lost:
            return False

        def told(sent: Sent) -> None:
            timer.cancel()
            self._end()
            ended(_Tried(channel, sent.outcomes))

        self._begin()
        sent = outlet.send(stream, messages[0].type, messages, told)
        timer = asyncio.get_running_loop().call_later(timeout_s, sent.end)
        return True

    async def resume(self, stream: StreamName, messages: Sequence[Message], posted: Posted) -> None:
        await self._send_all(stream, messages[0].type, messages, cast("_Tried", posted))

    async def close(self) -> None:
        await self._quiet.wait()  # every publish ends within its timeout
        await self._line.close()

    def _begin(self) -> None:
        self._publishing += 1
        self._quiet.clear()

    def _end(self) -> None:
        self._publishing -= 1
        if not self._publishing:
            self._quiet.set()

    def _too_large(self, messages: Sequence[Message]) -> Message | None:
        limit = self._settings.limits.message_max_bytes
        for message in messages:
            if len(message.body) > limit:
                return message
        return None

    async def _prepare(self, connection: AbstractConnection) -> Channel:
        await declare(connection, self._settings)
        channel = await open_channel(connection, confirms=True)
        outlet = self._transport.outlet
        outlet.open(channel.number, channel.max_content_size)
        channel.closing.add_done_callback(lambda _: outlet.lose())
        return channel

    async def _send_all(
        self, exchange: str, routing_key: str, messages: Sequence[Message], tried: _Tried | None = None
    ) -> None:
        """tried: what became of a first try."""
        self._begin()
        try:
            await self._until_owned(exchange, routing_key, messages, tried)
        finally:
            self._end()

    async def _until_owned(
        self, exchange: str, routing_key: str, messages: Sequence[Message], tried: _Tried | None
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        returned_before = False
        while messages:
            tried = tried or await self._try(exchange, routing_key, messages, deadline)
            outcomes, channel, tried = tried.outcomes, tried.channel, None
            self._judge(outcomes, returned_before)
            returned_before = returned_before or Outcome.REFUSED in outcomes
            messages = [m for m, outcome in zip(messages, outcomes, strict=True) if outcome is not Outcome.OWNED]
            if messages:
                await self._line.broken(channel)

    async def _channel(self, left_s: float) -> Channel:
        try:
            return await self._line.wait(max(left_s, 0))
        except TimeoutError:
            raise StreamUnavailable("RabbitMQ: the line broke and could not be made again in time") from None

    async def _try(self, exchange: str, routing_key: str, messages: Sequence[Message], deadline: float) -> _Tried:
        loop = asyncio.get_running_loop()
        channel = self._line.channel or await self._channel(deadline - loop.time())
        done: asyncio.Future[None] = loop.create_future()
        sent = self._transport.outlet.send(exchange, routing_key, messages, lambda _: _settle(done))
        timer = loop.call_later(max(deadline - loop.time(), 0), sent.end)
        try:
            await done
        finally:
            timer.cancel()
        return _Tried(channel, sent.outcomes)

    def _judge(self, outcomes: Sequence[Outcome], returned_before: bool) -> None:
        """Raise what the caller must know; return when all is owned, or the rest may be sent on the next line."""
        if Outcome.FULL in outcomes:
            raise StreamUnavailable("RabbitMQ: a queue is full")
        if Outcome.LATE in outcomes:
            if self._line.flows:
                self._line.drop("a publish was not confirmed in time")
            raise StreamUnavailable("RabbitMQ: not confirmed in time")
        if Outcome.REFUSED in outcomes:
            if returned_before:
                raise MessageRefused("RabbitMQ: no queue takes this message, though all were declared anew")
            self._line.drop("a message was returned: a queue or binding is gone, and the next line declares it anew")


def _settle(done: "asyncio.Future[None]") -> None:
    if not done.done():  # else whoever waited has gone
        done.set_result(None)
