"""The hot path: trackers' requests, past the application's routing and middlewares."""

from collections.abc import Awaitable, Callable
from time import monotonic

from aiohttp import web

from collector.answer import Answer
from collector.correlation import HEADER, request_id, sent_id
from collector.gate import Gate
from collector.hit import split_target
from collector.intake import Intake, Refused
from collector.metrics import Metrics
from collector.routes import Routes
from collector.static import File
from collector.wire import Renderer

METHODS = frozenset(("GET", "HEAD", "POST"))

#: Answers any request of the server.
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """Takes what trackers send; everything else goes to the application."""

    def __init__(
        self, routes: Routes, gate: Gate | None, intake: Intake, metrics: Metrics, renderer: Renderer, cold: Handler
    ) -> None:
        self._routes = routes
        self._gate = gate
        self._intake = intake
        self._metrics = metrics
        self._renderer = renderer
        self._cold = cold

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, and count it."""
        begin = monotonic()
        metrics = self._metrics
        metrics.in_flight += 1
        if HEADER in request.headers and request_id.get() is None:
            request_id.set(sent_id(request.headers[HEADER]))
        status = 0  # answered by the server itself, which counts it
        try:
            response = await self._dispatch(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            metrics.in_flight -= 1
            if status:
                metrics.answered(request.method, status, monotonic() - begin)
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._gate is not None and (refusal := self._refusal(self._gate, request)) is not None:
            return self._renderer.response(request, refusal)
        method = request.method
        if method in METHODS:
            path, query = split_target(request.raw_path.encode("utf-8", "surrogateescape"))
            recorded = self._routes.recorded_path(method, path)
            if recorded is not None:
                return await self._track(request, recorded, query)
        response = await self._cold(request)
        if isinstance(response, File):
            await response.prepare(request)  # whoever counts and logs it wants to know its status
        return response

    async def _track(self, request: web.BaseRequest, recorded: bytes, query: bytes | None) -> web.StreamResponse:
        try:
            hit = self._intake.hit(request, query)
            if request.method == "POST" and not self._intake.read_at_once(request.content, hit):
                await self._intake.read(request, hit)
            answer = await self._intake.keep(hit, recorded)
        except Refused as refused:
            return self._renderer.response(request, Answer(refused.status, []), close=True)
        return self._renderer.response(request, answer)

    def _refusal(self, gate: Gate, request: web.BaseRequest) -> Answer | None:
        headers = request.headers
        host, forwarded = headers.get("Host", ""), headers.get("X-Forwarded-Proto", "")
        return gate.refusal(request.method, request.raw_path, host, forwarded, request.secure)
