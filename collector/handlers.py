"""The hot path: trackers' requests, past the application's routing and middlewares."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from multidict import CIMultiDict

from collector.answer import Answer, Headers
from collector.gate import Gate
from collector.hit import split_target
from collector.intake import Intake, Refused
from collector.metrics import Metrics
from collector.routes import Routes

_METHODS = frozenset(("GET", "HEAD", "POST"))

Cold = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """Takes what trackers send; everything else goes to the application."""

    def __init__(
        self, routes: Routes, gate: Gate | None, intake: Intake, metrics: Metrics, headers: Headers, cold: Cold
    ) -> None:
        self._routes = routes
        self._gate = gate
        self._intake = intake
        self._metrics = metrics
        self._headers = headers
        self._cold = cold

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, and count it."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        metrics = self._metrics
        metrics.in_flight += 1
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
                metrics.answered(request.method, status, loop.time() - begin)
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._gate is not None and (refusal := self._refusal(self._gate, request)) is not None:
            return self._response(refusal)
        method = request.method
        if method in _METHODS:
            path, query = split_target(request.raw_path.encode("utf-8", "surrogateescape"))
            recorded = self._routes.recorded_path(method, path)
            if recorded is not None:
                return await self._track(request, recorded, query)
        return await self._cold(request)

    async def _track(self, request: web.BaseRequest, recorded: bytes, query: bytes | None) -> web.StreamResponse:
        try:
            hit = await self._intake.hit(request, query)
            return self._response(await self._intake.keep(hit, recorded))
        except Refused as refusal:
            response = self._response(Answer(refusal.status, []))
            response.force_close()
            return response

    def _refusal(self, gate: Gate, request: web.BaseRequest) -> Answer | None:
        headers = request.headers
        host, forwarded = headers.get("Host", ""), headers.get("X-Forwarded-Proto", "")
        return gate.refusal(request.method, request.raw_path, host, forwarded, request.secure)

    def _response(self, answer: Answer) -> web.Response:
        headers = CIMultiDict(answer.headers)
        headers.extend(self._headers)
        return web.Response(status=answer.status, headers=headers, body=answer.body)
