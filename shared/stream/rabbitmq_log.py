"""Reading a stream queue of RabbitMQ from any offset; nothing is consumed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiormq import Channel
from aiormq.abc import AbstractConnection, DeliveredMessage

from shared.settings import IngestSettings
from shared.stream.contract import LogName, LogRecord
from shared.stream.rabbitmq_line import broker_errors, connect, hang_up, open_channel, refusals
from shared.stream.rabbitmq_topology import declare
from shared.stream.rabbitmq_wire import header, message, tag

#: Records that the broker sends ahead.
CREDIT = 256

OFFSET = "x-stream-offset"

#: Seconds after which a log that sent nothing counts as empty.
SETTLE_S = 0.5


@dataclass(eq=False, slots=True)
class Reading:
    """A consumer that reads onwards from a place. `position`: the offset last handed out."""

    channel: Channel
    position: int | None
    ahead: deque[DeliveredMessage] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def arrive(self, delivered: DeliveredMessage) -> None:
        self.ahead.append(delivered)
        self.arrived.set()

    async def wait(self, wait_s: float) -> LogRecord | None:
        """The next record, or None when none is published in time."""
        self.arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.arrived.wait()
        return await self.next()

    async def next(self) -> LogRecord | None:
        """The next record, or None when the log holds no more.

        A channel of the broker does one thing after the other: it has sent what there is, as far as our acks allow,
        before it answers the next request. So an answered request without a delivery before it means the end.
        """
        if not self.ahead:
            await self.channel.basic_qos(prefetch_count=CREDIT)
            await asyncio.sleep(0)
        if not self.ahead:
            return None
        delivered = self.ahead.popleft()
        await self.channel.basic_ack(tag(delivered), wait=False)
        self.position = header(delivered, OFFSET)
        return LogRecord(header(delivered, OFFSET), message(delivered))


class RabbitmqLogReader:
    """One connection, made at the first read and again after it broke."""

    def __init__(self, settings: IngestSettings, log: LogName) -> None:
        self._settings = settings
        self._log = log
        self._connection: AbstractConnection | None = None
        self._reading: Reading | None = None

    async def read(self, after: int | None, limit: int, wait_s: float = 0) -> list[LogRecord]:
        async with self._asking() as connection:
            return await self._read(connection, after, limit, wait_s)

    async def newest(self) -> int | None:
        async with self._asking() as connection:
            channel = await open_channel(connection, confirms=False)
            reading = await self._consume(channel, None, "last")
            while await (reading.next() if reading.position is not None else reading.wait(SETTLE_S)):
                pass  # "last" is where the newest group of records begins
            await channel.close()
            return reading.position

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AbstractConnection]:
        """The connection. Whatever goes wrong with it ends it, and the next question makes a new one."""
        try:
            with broker_errors(f"read {self._log}"):
                if self._connection is None:
                    self._connection = await connected(self._settings, f"evnt reader of {self._log}")
                yield self._connection
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        connection, self._connection, self._reading = self._connection, None, None
        if connection:
            await hang_up(connection)

    async def _read(
        self, connection: AbstractConnection, after: int | None, limit: int, wait_s: float
    ) -> list[LogRecord]:
        reading = await self._at(connection, after)
        found: list[LogRecord] = []
        while len(found) < limit:
            record = await reading.next() or (await reading.wait(wait_s) if not found else None)
            if record is None:
                break
            if after is None or record.offset > after:
                found.append(record)
        return found

    async def _at(self, connection: AbstractConnection, after: int | None) -> Reading:
        reading = self._reading
        if reading is None or reading.position != after or reading.channel.is_closed:
            if reading and not reading.channel.is_closed:
                await reading.channel.close()
            channel = await open_channel(connection, confirms=False)
            reading = await self._consume(channel, after, "first" if after is None else after + 1)
            self._reading = reading
        return reading

    async def _consume(self, channel: Channel, position: int | None, start: Any) -> Reading:
        reading = Reading(channel, position)
        await channel.basic_qos(prefetch_count=CREDIT)
        await channel.basic_consume(self._log, reading.arrive, arguments={OFFSET: start})
        return reading


async def connected(settings: IngestSettings, name: str) -> AbstractConnection:
    """A connection without a supervisor, for who only looks. Raises StreamUnavailable or Misconfigured."""
    connection = connect(settings.rabbitmq, name)
    try:
        with broker_errors(f"can't connect to {settings.rabbitmq.host}:{settings.rabbitmq.port}"):
            async with asyncio.timeout(settings.rabbitmq.connect_timeout_ms / 1000):
                with refusals(settings.rabbitmq):
                    await connection.connect()
                await declare(connection, settings)
    except BaseException:
        await hang_up(connection)
        raise
    return connection
