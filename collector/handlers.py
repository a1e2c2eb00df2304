"""The hot path: a tracker's request, from the parsed head to the answer after the commit."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_exceptions import HTTPException
from multidict import CIMultiDict

from collector import bodies
from collector.answer import Answer, Headers
from collector.commit import GroupCommit
from collector.hit import Hit, split_target
from collector.metrics import Metrics
from collector.routes import Routes
from collector.settings import Settings
from collector.tracking import Outcome, Tracking
from shared.identity import Clock
from shared.stream.contract import StreamError

#: Seconds after which a tracker may try again when nothing can be kept.
RETRY_AFTER_S = 30

#: A body of this many bytes is looked at in a thread: splitting it would hold up everybody else.
_IN_THREAD = 1_000_000

_METHODS = frozenset(("GET", "HEAD", "POST"))

Cold = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """Takes what trackers send; everything else goes to the application."""

    def __init__(
        self,
        settings: Settings,
        tracking: Tracking,
        commit: GroupCommit,
        clock: Clock,
        metrics: Metrics,
        headers: Headers,
        cold: Cold,
    ) -> None:
        self._routes = Routes(settings)
        self._tracking = tracking
        self._commit = commit
        self._clock = clock
        self._metrics = metrics
        self._headers = headers
        self._cold = cold
        self._limits = settings.collector.limits
        self._timeouts = settings.collector.timeouts
        self._kept = min(self._limits.max_payload_bytes, self._limits.drop_payload_bytes or 2**62)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, and count it."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        metrics = self._metrics
        metrics.in_flight += 1
        status = 500
        try:
            response = await self._dispatch(request)
            status = response.status
        except HTTPException as error:
            status = error.status
            raise
        finally:
            metrics.in_flight -= 1
            metrics.answered(request.method, status, loop.time() - begin)
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        method = request.method
        if method in _METHODS:
            target = request.raw_path
            path, query = split_target(target.encode("utf-8", "surrogateescape"))
            recorded = self._routes.recorded_path(method, path)
            if recorded is not None:
                return await self._track(request, target, recorded, query)
        return await self._cold(request)

    async def _track(
        self, request: web.BaseRequest, target: str, recorded: bytes, query: bytes | None
    ) -> web.StreamResponse:

        peer = request.remote
        hit = Hit(request.method, target, query, request.raw_headers, b"" if peer is None else peer.encode())
        if request.method == "POST":
            refused = await self._read(request, hit)
            if refused is not None:
                return refused
        outcome = await self._outcome(hit, recorded)
        try:
            if outcome.good or outcome.bad:
                await self._commit.add(outcome.good, outcome.bad)
        except StreamError:
            self._metrics.refused += 1
            return self._response(Answer(503, [("Retry-After", str(RETRY_AFTER_S)), *_readable(outcome.answer)]))
        return self._response(outcome.answer)

    async def _outcome(self, hit: Hit, recorded: bytes) -> Outcome:
        now = self._clock()
        if hit.body is not None and len(hit.body) >= _IN_THREAD:
            return await asyncio.to_thread(self._tracking.serve, hit, recorded, now)
        return self._tracking.serve(hit, recorded, now)

    async def _read(self, request: web.BaseRequest, hit: Hit) -> web.StreamResponse | None:
        """Fill in the body; the answer instead where it is not to be had."""
        try:
            body = await bodies.read(request.content, self._kept, self._timeouts.body_seconds)
        except TimeoutError:
            self._metrics.cut_off += 1
            return self._closing(408)
        except web.RequestPayloadError:
            return self._closing(400)
        size = len(body.data) + body.unread
        self._metrics.received_bytes += size
        if self._limits.drop_payload_bytes is not None and size > self._limits.drop_payload_bytes:
            return self._closing(413)
        encoding = hit.named.get(b"content-encoding")
        if encoding is not None:
            body = bodies.inflated(body, encoding, self._limits.max_payload_bytes)
        hit.body, hit.unread, hit.damage = body.data, body.unread, body.damage
        return None

    def _closing(self, status: int) -> web.StreamResponse:
        response = self._response(Answer(status, []))
        response.force_close()
        return response

    def _response(self, answer: Answer) -> web.Response:
        headers = CIMultiDict(answer.headers)
        headers.extend(self._headers)
        return web.Response(status=answer.status, headers=headers, body=answer.body)


def _readable(answer: Answer) -> Headers:
    """The headers by which a page may read even a refusal; cookies wait until something was kept."""
    return [header for header in answer.headers if header[0].startswith("Access-Control-")]
