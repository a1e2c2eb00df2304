"""The application: everything that is not a tracker's request."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp_cors
from aiohttp import web

from collector.answer import Headers
from collector.intake import Refused
from collector.origins import Origins
from collector.pages import NOT_FOUND, Pages, text
from collector.settings import Settings

Routes = Iterable[web.AbstractRouteDef]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    settings: Settings, pages: Pages, bridges: Routes, features: Routes, headers: Headers, origins: Origins
) -> web.Application:
    """Routes in the order in which they match; the last answers 404 to whatever is left, whatever the method.

    bridges say themselves which pages may read their answers, for features the cross-origin policy does.
    """
    limit_s = settings.collector.timeouts.response_seconds
    app = web.Application(middlewares=[_preflights(origins), _refusals, _in_time(limit_s)])
    pages.add_to(app.router)
    if not settings.collector.enable_default_redirect:
        app.router.add_route("*", "/r/{any}", _redirects_disabled)
    app.router.add_routes(bridges)
    shared = [*app.router.add_routes(features), *_tracker_routes(app.router)]
    cors: Any = aiohttp_cors
    config = cors.setup(app, defaults=origins.resource_options())
    for route in shared:
        if route.method != "OPTIONS" and not isinstance(route.resource, web.StaticResource):
            config.add(route)
    app.router.add_route("OPTIONS", "/{any:.*}", _no_preflight)
    app.router.add_route("*", "/{any:.*}", _not_found)

    async def finish(_request: web.Request, response: web.StreamResponse) -> None:
        for name, value in headers:
            response.headers[name] = value

    app.on_response_prepare.append(finish)
    return app


def _tracker_routes(router: web.UrlDispatcher) -> list[web.AbstractRoute]:
    """Paths of trackers, for their preflights only: the requests themselves are served before they come here."""
    resources = [router.add_resource(path) for path in ("/{vendor}/{version}", "/{one}")]
    return [resource.add_route(method, _not_found) for resource in resources for method in ("GET", "HEAD", "POST")]


async def _not_found(_request: web.Request) -> web.Response:
    return text(404, NOT_FOUND)


async def _redirects_disabled(_request: web.Request) -> web.Response:
    return text(404, "redirects disabled")


async def _no_preflight(_request: web.Request) -> web.Response:
    """An OPTIONS request without the headers of a preflight, or for a path of nobody."""
    return web.Response()


def _preflights(origins: Origins) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        """aiohttp-cors judges; the answer is 200 either way and says what is allowed, as collectors do."""
        if request.method != "OPTIONS":
            return await handler(request)
        try:
            response = await handler(request)
        except web.HTTPForbidden:
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


def _in_time(limit_s: float) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        async with asyncio.timeout(limit_s):  # the server answers 408 to what this raises
            return await handler(request)

    return middleware
