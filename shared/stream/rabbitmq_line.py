"""A line to RabbitMQ: one connection with one channel, made anew whenever it breaks.

The client library has no reconnect and names no duties; both are here.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import cast

from aiormq import Channel, Connection
from aiormq.abc import AbstractConnection
from aiormq.connection import TransportFactory
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from yarl import URL

from shared.process import Misconfigured
from shared.settings import RabbitmqSettings
from shared.stream.contract import StreamUnavailable
from shared.telemetry import logger

#: Pauses between attempts to reconnect, seconds: the first, and how they grow; the settings cap them.
FIRST_PAUSE_S = 0.1
GROWTH = 1.7

#: Longest wait for a broker to agree that a connection ends.
GOODBYE_S = 2.0

#: Makes the channel that a line is for, on a fresh connection.
Prepare = Callable[[AbstractConnection], Awaitable[Channel]]


@contextmanager
def broker_errors(what: str) -> Iterator[None]:
    """Whatever the library raises for a line that broke becomes StreamUnavailable.

    It cancels its futures when a connection ends, which must not look as if the caller's task had been cancelled, and
    ends those that come too late with an Exception that has neither class nor text of its own.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise StreamUnavailable(f"RabbitMQ: {what}: the connection was closed") from None
    except (AMQPError, OSError, RuntimeError) as error:  # it calls a connection that has just closed a RuntimeError
        raise StreamUnavailable(f"RabbitMQ: {what}: {str(error) or type(error).__name__}") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise StreamUnavailable(f"RabbitMQ: {what}: the connection was closed") from error


class Line:
    """Keeps a channel open; `channel` is None while there is none.

    name: shown by the broker's own tools. transport: opens connections; the library's own if None.
    """

    def __init__(
        self, settings: RabbitmqSettings, name: str, prepare: Prepare, transport: TransportFactory | None = None
    ) -> None:
        self._settings = settings
        self._name = name
        self._prepare = prepare
        self._transport = transport
        self._log = logger("stream")
        self._complaint = ""
        self._closing = False
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()
        self._dropped = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.channel: Channel | None = None

    @property
    def flows(self) -> bool:
        """Whether there is a channel and the broker does not block what is published on it."""
        if self.channel is None or self._connection is None:
            return False
        waiting = self._connection.ready().__await__()
        try:
            next(waiting)
        except StopIteration:
            return True
        finally:
            waiting.close()
        return False

    async def start(self) -> None:
        """Connect; goes on without after a while, for the supervisor to try again. Raises Misconfigured."""
        self._supervisor = asyncio.create_task(self._supervise())
        with suppress(TimeoutError):
            await self.wait(self._settings.startup_timeout_seconds)

    async def wait(self, timeout_s: float) -> Channel:
        """The channel, once there is one. Raises TimeoutError, or whatever ended the supervisor."""
        supervisor = self._running()
        connected = asyncio.ensure_future(self._connected.wait())
        try:
            await asyncio.wait({connected, supervisor}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connected.cancel()
        self.check()
        if self.channel is None:
            raise TimeoutError
        return self.channel

    async def broken(self, channel: Channel) -> None:
        """Until this channel, of which the caller knows that it is dead or dropped, is no longer the line's."""
        if self.channel is channel:
            await self._gone.wait()

    def check(self) -> None:
        """Raises what ended the supervisor: Misconfigured, or a bug."""
        supervisor = self._running()
        if supervisor.done():
            supervisor.result()

    def drop(self, reason: str) -> None:
        """Give up this connection and make a new one."""
        self._log.warning("rabbitmq_line_dropped", line=self._name, reason=reason)
        self._dropped.set()

    async def close(self) -> None:
        self._closing = True
        if self.channel and not self.channel.is_closed:
            await _finish(self.channel)
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)

    def _running(self) -> asyncio.Task[None]:
        if self._supervisor is None:
            raise RuntimeError("the line was not started")
        return self._supervisor

    async def _supervise(self) -> None:
        pause, ever = FIRST_PAUSE_S, False
        while not self._closing:
            try:
                await self._connect()
            except Misconfigured as error:
                if not ever:
                    raise
                self._complain(str(error))
            except StreamUnavailable as error:
                self._complain(str(error))
            else:
                if ever:
                    self._log.warning("rabbitmq_reconnected", line=self._name)
                pause, ever, self._complaint = FIRST_PAUSE_S, True, ""
                await self._until_broken()
                continue
            await asyncio.sleep(pause)
            pause = min(pause * GROWTH, self._settings.retry_delay_ms / 1000)

    def _complain(self, error: str) -> None:
        """Once per outage, and again when the reason changes."""
        if error != self._complaint:
            self._log.warning("rabbitmq_unreachable", line=self._name, error=error)
        self._complaint = error

    async def _connect(self) -> None:
        connection = connect(self._settings, self._name, self._transport)
        try:
            with broker_errors(f"can't connect to {self._settings.host}:{self._settings.port}"):
                async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
                    with refusals(self._settings):
                        await connection.connect()
                    channel = await self._prepare(connection)
        except BaseException:
            await hang_up(connection)
            raise
        self._connection, self.channel = connection, channel
        self._gone.clear()
        self._connected.set()

    async def _until_broken(self) -> None:
        connection, channel = self._connection, self.channel
        if connection is None or channel is None:
            return
        self._dropped.clear()
        dropped = asyncio.ensure_future(self._dropped.wait())
        ends = {connection.closing, channel.closing, dropped}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            self._connection = self.channel = None
            self._connected.clear()
            self._gone.set()
            await hang_up(connection)


def connect(settings: RabbitmqSettings, name: str, transport: TransportFactory | None = None) -> AbstractConnection:
    """A connection, not yet opened. Raises Misconfigured."""
    url = URL.build(
        scheme="amqps" if settings.tls else "amqp",
        user=settings.username,
        password=settings.password.get_secret_value(),
        host=settings.host,
        port=settings.port,
        path="/" + settings.virtualhost.replace("/", "%2F"),
        query={"heartbeat": str(settings.heartbeat_seconds), "name": name},
    )
    return Connection(url, context=_tls(settings) if settings.tls else None, transport_factory=transport)


def _tls(settings: RabbitmqSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.tls_ca_file)
    except OSError as error:
        raise Misconfigured(f"ingest.rabbitmq.tls_ca_file: {settings.tls_ca_file} can't be used: {error}") from error


async def open_channel(connection: AbstractConnection, *, confirms: bool) -> Channel:
    """A channel as the library makes it; its abstract one lacks what publishing without a pause needs."""
    return cast("Channel", await connection.channel(publisher_confirms=confirms))


async def _finish(channel: Channel) -> None:
    """Close a channel by asking: what was written before, such as acks, has reached the broker when it answers.

    Closing the connection alone would throw away what still waits to be written.
    """
    with suppress(Exception):
        async with asyncio.timeout(GOODBYE_S):
            await channel.close()


async def hang_up(connection: AbstractConnection) -> None:
    """End a connection, politely if the broker still listens."""
    with suppress(Exception):
        async with asyncio.timeout(GOODBYE_S):
            await connection.close()


@contextmanager
def refusals(settings: RabbitmqSettings) -> Iterator[None]:
    """What a broker refuses while a connection opens is for an operator to mend."""
    place = f"RabbitMQ at {settings.host}:{settings.port}"
    try:
        yield
    except (ProbableAuthenticationError, AuthenticationError) as error:
        raise Misconfigured(
            f"{place} refuses user {settings.username!r}: check ingest.rabbitmq.username and password"
        ) from error
    except InvalidFrameError as error:
        raise Misconfigured(
            f"{place} does not let user {settings.username!r} into virtual host {settings.virtualhost!r}: "
            "it is absent, or the user has no rights in it (ingest.rabbitmq.virtualhost)"
        ) from error
    except OSError as error:
        if isinstance(error.__cause__ or error, ssl.SSLCertVerificationError):
            raise Misconfigured(f"{place} shows a certificate that can't be trusted: {error}") from error
        raise
