"""The access log: one entry per request, off by default since it halves what a core can take."""

import asyncio
import time
from typing import Protocol

from aiohttp import web

from collector.correlation import HEADER, request_id, sent_id
from collector.handlers import Handler
from collector.sections import PerformanceSettings
from shared.identity import NewId


class Log(Protocol):
    """Where entries go."""

    def info(self, event: str, **fields: object) -> object:
        """One entry."""


#: Nobody was there any more to be answered; the number that nginx made known.
_GONE = 499


def logged(handler: Handler, settings: PerformanceSettings, log: Log, new_id: NewId) -> Handler:
    """The handler, writing an entry after each request but those for excluded paths; every answer says its id."""
    excluded = frozenset(settings.access_log_excluded_paths)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        request_id.set(sent_id(request.headers.get(HEADER)) or new_id())
        begin = time.perf_counter()
        status = 0
        try:
            response = await handler(request)
            status = response.status
        except BaseException as error:
            status = _status(error)
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


def _status(error: BaseException) -> int:
    """What the server answers to a request that ended by this."""
    match error:
        case web.HTTPException():
            return error.status
        case TimeoutError():
            return 408
        case ConnectionError() | asyncio.CancelledError():
            return _GONE
    return 500
