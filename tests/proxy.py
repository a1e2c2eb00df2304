"""A TCP line that a test can cut or silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext

#: Bytes that are forwarded at once.
_PORTION = 65536


class Line:
    """Forwards connections to a target, until told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = _flow()
        self._silent: list[asyncio.Event] = []
        self._refusing = False
        self._pause_s = 0.0
        self.port = 0
        self.accepted = 0

    def cut(self, *, refuse: bool = False) -> None:
        """Break every connection; `refuse` new ones too until `mend`."""
        self._refusing = refuse
        for writer in self._open:
            writer.transport.abort()

    def silence(self) -> None:
        """Keep the connections that there are open and let nothing through, as a dead peer or a firewall does."""
        self._flowing.clear()
        self._silent.append(self._flowing)
        self._flowing = _flow()

    def slow(self, bytes_per_s: int) -> None:
        """Let no more than this through, each way, as a thin or busy line does."""
        self._pause_s = _PORTION / bytes_per_s

    def mend(self) -> None:
        """Let everything through again."""
        self._refusing = False
        for flowing in self._silent:
            flowing.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        for pair in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(*pair, self._flowing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self.mend()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await reader.read(_PORTION):
                await flowing.wait()
                await asyncio.sleep(self._pause_s * len(data) / _PORTION)
                writer.write(data)
                await writer.drain()
        writer.close()
        self._open.discard(writer)


def _flow() -> asyncio.Event:
    flowing = asyncio.Event()
    flowing.set()
    return flowing


@asynccontextmanager
async def line_to(host: str, port: int, tls: SSLContext | None = None) -> AsyncIterator[Line]:
    """A line to this target; clients connect to its `port` on loopback, with TLS if there is a context."""
    line = Line(host, port)
    server = await asyncio.start_server(line.accept, "127.0.0.1", 0, ssl=tls)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        await line.close()
