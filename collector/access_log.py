"""The access log: one entry per request, off by default since it halves what a core can take."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from collector.correlation import HEADER, request_id, sent_id
from collector.sections import PerformanceSettings
from shared.identity import NewId
from shared.telemetry import Logger


class Log(Protocol):
    """Where entries go."""

    def info(self, event: str, **fields: object) -> object:
        """One entry."""


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def logged(handler: Handler, settings: PerformanceSettings, log: Logger, new_id: NewId) -> Handler:
    """The handler, writing an entry after each request but those for excluded paths; every answer says its id."""
    excluded = frozenset(settings.access_log_excluded_paths)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        request_id.set(sent_id(request.headers.get(HEADER)) or new_id())
        begin = time.perf_counter()
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            path = request.raw_path.partition("?")[0]
            if path not in excluded:
                log.info(
                    "request",
                    method=request.method,
                    path=path,
                    status=status,
                    ms=round((time.perf_counter() - begin) * 1000, 2),
                    request_id=request_id.get(),
                )
        return response

    return handle
