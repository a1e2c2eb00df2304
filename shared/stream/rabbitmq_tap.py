"""A connection whose confirms are taken out before the client library reads what the broker sends."""

import asyncio
from typing import Any, cast

from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from pamqp.heartbeat import Heartbeat
from yarl import URL

from shared.stream.rabbitmq_outlet import Outlet

#: A frame that says no more than that the broker is there.
_HEARTBEAT = Heartbeat().marshal()

#: The library gives a connection up on which it reads nothing for long: while nothing but confirms comes, it is given
#: a heartbeat this often, seconds.
_SIGN_S = 0.5


class Tap(asyncio.StreamReaderProtocol):
    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self._time = loop.time
        self._signed = 0.0
        self.outlet: Outlet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.outlet = Outlet(cast("asyncio.WriteTransport", transport).write)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        others, now = self.outlet.read(data), self._time()
        if others or now - self._signed > _SIGN_S:
            self._signed = now
            super().data_received(others or _HEARTBEAT)

    def connection_lost(self, exc: Exception | None) -> None:
        self.outlet.lose()
        super().connection_lost(exc)


class TappedTransport(TransportFactory):
    """Opens what the library asks for, plain or with TLS. outlet: of the connection that was opened last."""

    outlet: Outlet

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises AMQPConnectionError."""
        loop = asyncio.get_running_loop()
        tls = await kwargs["ssl_context_provider"].get_context() if url.scheme == "amqps" else None
        reader = asyncio.StreamReader(loop=loop)
        host, port = url.host or "", url.port or 0
        try:
            transport, tap = await loop.create_connection(lambda: Tap(reader, loop), host, port, ssl=tls)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self.outlet = tap.outlet
        return reader, asyncio.StreamWriter(transport, tap, reader, loop)
