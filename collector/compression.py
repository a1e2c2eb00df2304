"""Answers compressed as the client wishes: Brotli where it is installed, gzip everywhere."""

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aiohttp import web

from collector.sections import PerformanceSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Compress = Callable[[bytes], bytes]

#: Answers below this size are not worth compressing.
_WORTH_COMPRESSING = 1_024

#: The weight by which a client forbids a coding.
_NEVER = re.compile(r"q=0(?:\.0*)?")

#: Brotli's levels above it take many times as long, which is for files that are compressed once.
_QUALITY = 5


def compressors() -> dict[str, Compress]:
    """What can be used here, the best first."""
    found: dict[str, Compress] = {}
    if find_spec("brotli"):
        brotli = import_module("brotli")
        found["br"] = lambda data: bytes(brotli.compress(data, quality=_QUALITY))
    found["gzip"] = lambda data: gzip.compress(data, 6)
    return found


def compressed(settings: PerformanceSettings) -> Any:
    """The middleware; files have compressed twins beside them (`evnt scripts`)."""
    excluded = frozenset(settings.brotli_excluded_paths)
    known = compressors()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not settings.enable_brotli or request.path in excluded or not isinstance(response, web.Response):
            return response
        body = response.body
        if _textual(response.content_type) and isinstance(body, bytes) and len(body) >= _WORTH_COMPRESSING:
            response.headers["Vary"] = "Accept-Encoding"
            wanted = accepted(request.headers.get("Accept-Encoding", ""))
            coding = next((coding for coding in known if coding in wanted), None)
            if coding is not None:
                response.body = await asyncio.to_thread(known[coding], body)
                response.headers["Content-Encoding"] = coding
        return response

    return middleware


def accepted(header: str) -> set[str]:
    """The codings that an Accept-Encoding header names, but for those it forbids."""
    parts = (part.partition(";") for part in header.lower().replace(" ", "").split(","))
    return {coding for coding, _, weight in parts if not _NEVER.fullmatch(weight)}


def _textual(content_type: str) -> bool:
    return content_type.startswith("text/") or content_type.endswith(("json", "javascript"))
