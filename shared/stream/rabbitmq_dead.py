"""The dead queue of a queue on RabbitMQ, looked at by taking messages and giving them back."""

from dataclasses import replace

from aiormq import Channel
from aiormq.abc import AbstractConnection, DeliveredMessage
from pamqp.commands import Basic

from shared.settings import IngestSettings
from shared.stream.contract import Message, QueueName
from shared.stream.rabbitmq_line import broker_errors, hang_up, open_channel
from shared.stream.rabbitmq_log import connected
from shared.stream.rabbitmq_publisher import RabbitmqPublisher
from shared.stream.rabbitmq_wire import header, message, tag
from shared.stream.topology import MARKS, REASON_HEADER, SOURCE_QUEUE_HEADER, dead_queue


class RabbitmqDeadLetters:
    """A connection for each call: an operator does not come often."""

    def __init__(self, settings: IngestSettings, queue: QueueName) -> None:
        self._settings = settings
        self._queue = queue
        self._dead = dead_queue(queue)
        self._connection: AbstractConnection | None = None

    async def peek(self, limit: int) -> list[Message]:
        channel = await self._channel()
        with broker_errors("peek"):
            found = await self._get(channel, limit)
            await channel.close()  # gives back what was taken
        return [_explained(message(one), header(one, "x-death"), self._queue) for one in found]

    async def replay(self, limit: int) -> int:
        publisher = RabbitmqPublisher(self._settings)
        try:
            await publisher.start()
            channel = await self._channel()
            with broker_errors("replay"):
                found = await self._get(channel, limit)
                if found:
                    await publisher.send("", self._queue, [_unmarked(message(one)) for one in found])
                    await channel.basic_ack(tag(found[-1]), multiple=True)
                await channel.close()
        finally:
            await publisher.close()
        return len(found)

    async def purge(self) -> int:
        channel = await self._channel()
        with broker_errors("purge"):
            purged = await channel.queue_purge(self._dead)
            await channel.close()
        return purged.message_count or 0

    async def close(self) -> None:
        if self._connection:
            await hang_up(self._connection)

    async def _channel(self) -> Channel:
        if self._connection is None or self._connection.is_closed:
            self._connection = await connected(self._settings, f"evnt reader of {self._dead}")
        return await open_channel(self._connection, confirms=False)

    async def _get(self, channel: Channel, limit: int) -> list[DeliveredMessage]:
        found: list[DeliveredMessage] = []
        while len(found) < limit:
            got = await channel.basic_get(self._dead)
            if isinstance(got.delivery, Basic.GetEmpty):
                break
            found.append(got)
        return found


def _explained(dead: Message, deaths: object, queue: QueueName) -> Message:
    """With a reason also where the broker itself gave up on the message."""
    if REASON_HEADER in dead.headers:
        return dead
    reason = deaths[0].get("reason", "") if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else ""
    return replace(dead, headers={**dead.headers, SOURCE_QUEUE_HEADER: queue, REASON_HEADER: f"broker: {reason}"})


def _unmarked(dead: Message) -> Message:
    return replace(dead, headers={name: value for name, value in dead.headers.items() if name not in MARKS})
