"""The HTTP server below the handlers: connections that are slow, broken or too many, and what every answer carries."""

import asyncio
from http import HTTPStatus

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage

from collector.answer import Headers
from collector.handlers import Handler
from collector.metrics import Metrics
from collector.reading import Reading
from collector.settings import Settings, TimeoutSettings
from collector.shortcut import Client, Report, Shortcut

#: Between two looks at a connection whose client said that it is done, seconds.
_IDLE_LOOK_S = 0.02

_SECURITY: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("X-XSS-Protection", "1; mode=block"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "geolocation=(), microphone=(), camera=()"),
]


def server_headers(settings: Settings) -> Headers:
    """What every answer carries, whoever made it; the `Server` header says no version."""
    headers = [("Server", settings.common.service_name)]
    if settings.security.headers:
        headers += _SECURITY
    hsts = settings.collector.hsts
    if hsts.enable or settings.security.enable_https_redirect:
        headers.append(("Strict-Transport-Security", f"max-age={hsts.max_age_seconds}; includeSubDomains"))
    return headers + list(settings.collector.extra_headers.items())


class Connection(Reading):
    """One connection: cut off while it keeps us waiting for the rest of a request's head.

    aiohttp serves its requests one after the other in a task that waits on `_waiter` between them. While a request
    goes the short way that future is kept in `_parked`, so that nobody wakes the task, and what comes meanwhile queues.
    """

    __slots__ = ("_client", "_head_deadline", "_parked", "_server")

    def __init__(self, server: "Server", loop: asyncio.AbstractEventLoop, **limits: int | float | bool | None) -> None:
        super().__init__(server, loop, **limits)
        self._server = server
        self._client = Client(b"", secure=False)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._parked: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = self.peername[0] if isinstance(self.peername, tuple) else self.peername or ""
        self._client = Client(peer.encode(), self.ssl_context is not None)
        self._head_deadline = self._loop.call_later(self._server.timeouts.headers_seconds, self._cut_off)

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        idle = waiter is not None and not waiter.done()
        if idle:
            self._parked, self._waiter = waiter, None
        try:
            super().data_received(data)
        except IndexError:  # yarl's, over an address such as `http://[]@`
            self._server.metrics.cut_off += 1
            self.force_close()
            return
        # before its first request the task may not have come to wait, and what is here may be half a head
        if self._messages or not (idle or self._request_count == 0):
            if self._head_deadline is not None:
                self._head_deadline.cancel()
                self._head_deadline = None
        elif self._head_deadline is None:
            self._head_deadline = self._loop.call_later(self._server.timeouts.headers_seconds, self._cut_off)
        if idle:
            self._serve_next()

    def _serve_next(self) -> None:
        """Let the next request, if there is one, go the short way; if it is none for that, wake the parked task."""
        if self._messages:
            message, content = self._messages.popleft()
            self._request_in_progress = True
            if self._took(message, content):
                return
            self._request_in_progress = False
            self._messages.appendleft((message, content))
        self._unpark()
        if self._messages and self._waiter is not None:
            self._waiter.set_result(None)

    def _unpark(self) -> None:
        if self._parked is not None:
            self._waiter, self._parked = self._parked, None

    def _took(self, message: object, content: StreamReader) -> bool:
        shortcut = self._server.shortcut
        held = self._upgraded or self._paused or self._reading_paused or self._buffer_paused
        if shortcut is None or held or not isinstance(message, RawRequestMessage) or self._parser is None:
            return False
        if not shortcut.take(message, content, self._client, self._answered):
            return False
        self._parser.message_consumed()
        self._server.requests_count += 1
        return True

    def _answered(self, data: bytes, keep_alive: bool) -> None:
        """The end of a request that went the short way; what aiohttp's task does at the end of its own."""
        self._request_in_progress = False
        if self._handler_waiter is not None:
            self._handler_waiter.set_result(None)
        if self.transport is not None:
            self.transport.write(data)
        if self._close or self._force_close or not keep_alive:
            self._unpark()
            self.force_close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        self._serve_next()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio's own promise: True keeps the way back open
        """A client that says it is done still gets the answers to what it has sent completely."""
        idle = self._waiter is not None and not self._waiter.done()
        if self.ssl_context is not None or idle or not self._newest.is_eof():
            return False
        self._close_when_idle()
        return True

    def _close_when_idle(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self.force_close()
        elif not self._force_close:
            self._loop.call_later(_IDLE_LOOK_S, self._close_when_idle)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        self._unpark()
        if not self._newest.is_eof():
            self._newest.set_exception(ConnectionResetError("the client is gone"))
        if self._current_request is None and self._task_handler is not None:
            self._task_handler.cancel()  # aiohttp's task would begin with a request, though all that it needs is gone
        super().connection_lost(exc)

    def _cut_off(self) -> None:
        self._head_deadline = None
        self._server.metrics.cut_off += 1
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that can't be parsed (400), took too long (408), or met a bug of ours (500)."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away in the middle of its body
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer was sent already")
        status = HTTPStatus.REQUEST_TIMEOUT if status == HTTPStatus.GATEWAY_TIMEOUT else HTTPStatus(status)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._server.report(request.method, request.raw_path, exc)
        self._server.metrics.count(request.method, status)
        answer = web.Response(status=status, text=status.phrase, headers=self._server.headers)
        answer.force_close()
        return answer


class Server(web.Server):
    """Makes connections that obey the configured limits. shortcut: None where every request has to meet the handler."""

    def __init__(
        self,
        handler: Handler,
        settings: Settings,
        metrics: Metrics,
        report: Report,
        shortcut: Shortcut | None,
    ) -> None:
        super().__init__(handler)
        limits = settings.collector.limits
        self._most = settings.performance.max_concurrent_connections
        self._limits = {
            "keepalive_timeout": settings.collector.timeouts.idle_seconds,
            "max_line_size": limits.max_request_line_bytes,
            "max_field_size": limits.max_header_bytes,
            "max_headers": limits.max_headers,
            "auto_decompress": False,
            "access_log": None,
            "lingering_time": 2.0,
        }
        self.timeouts: TimeoutSettings = settings.collector.timeouts
        self.headers = dict(server_headers(settings))
        self.metrics = metrics
        self.report = report
        self.shortcut = shortcut

    def __call__(self) -> web.RequestHandler:
        return Connection(self, self._loop, **self._limits)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Too many connections: the newest goes at once, before it has said anything."""
        super().connection_made(handler, transport)
        if self._most and len(self._connections) > self._most:
            self.metrics.cut_off += 1
            self._loop.call_soon(transport.abort)  # the task of aiohttp's that serves it begins with it alive
