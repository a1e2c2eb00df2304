"""The application: everything that is not a tracker's request."""

import asyncio
from collections.abc import Container, Iterable
from typing import Any

import aiohttp_cors
from aiohttp import web

from collector.answer import Headers
from collector.compression import Handler, compressed
from collector.correlation import HEADER, request_id
from collector.intake import Refused
from collector.origins import Origins
from collector.pages import NOT_FOUND, Pages, text
from collector.settings import Settings

Routes = Iterable[web.AbstractRouteDef]


def application(
    settings: Settings, pages: Pages, bridges: Routes, features: Routes, headers: Headers, origins: Origins
) -> web.Application:
    """Routes in the order in which they match; the last answers 404 to whatever is left, whatever the method.

    bridges say themselves which pages may read their answers, for features the cross-origin policy does.
    """
    limit_s = settings.collector.timeouts.response_seconds
    compress = compressed(settings.performance)
    bridged: set[Handler] = set()
    app = web.Application(middlewares=[_preflights(origins, bridged), _refusals, compress, _in_time(limit_s)])
    pages.add_to(app.router)
    if not settings.collector.enable_default_redirect:
        app.router.add_route("*", "/r/{any}", _redirects_disabled)
    bridged.update(route.handler for route in app.router.add_routes(bridges))
    cors: Any = aiohttp_cors
    config = cors.setup(app, defaults=origins.resource_options())
    readable = {config.add(route).handler for route in app.router.add_routes(features)}
    app.router.add_route("OPTIONS", "/{any:.*}", _preflight)
    app.router.add_route("*", "/{any:.*}", _not_found)

    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        if request.match_info.handler in readable:  # caches between us and browsers must not mix up whose answer it is
            response.headers["Vary"] = ", ".join(filter(None, (response.headers.get("Vary"), "Origin")))
        for name, value in headers:
            response.headers[name] = value
        correlation = request_id.get()
        if correlation is not None:
            response.headers[HEADER] = correlation

    app.on_response_prepare.append(finish)
    return app


async def _not_found(_request: web.Request) -> web.Response:
    return text(404, NOT_FOUND)


async def _redirects_disabled(_request: web.Request) -> web.Response:
    return text(404, "redirects disabled")


async def _preflight(_request: web.Request) -> web.Response:
    """Of a tracker, or for a path of nobody."""
    return web.Response()


def _preflights(origins: Origins, bridged: Container[Handler]) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        """The answer is 200 whatever aiohttp-cors finds, and says what is allowed, as collectors do."""
        if request.method != "OPTIONS" or request.match_info.handler in bridged:
            return await handler(request)
        try:
            response = await handler(request)
        except (web.HTTPForbidden, web.HTTPNotFound):  # the latter for `OPTIONS *`
            response = web.Response()
        if response.status == 200:
            response.headers.pop("Access-Control-Allow-Methods", None)  # what trackers use is allowed to everybody
            response.headers.update(origins.preflight(request.headers.get("Origin")))
        return response

    return middleware


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refusal:
        response = web.Response(status=refusal.status)
        response.force_close()
        return response
    except web.HTTPNotFound:
        if request.method == "OPTIONS":
            raise
        return text(404, NOT_FOUND)


def _in_time(limit_s: float) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        async with asyncio.timeout(limit_s):  # the server answers 408 to what this raises
            return await handler(request)

    return middleware
