"""What the collector answers, for people and programs: `/docs` and `/openapi.json`."""

import html
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from collector.settings import Settings
from shared.version import VERSION

_TEXT = {"description": "text", "content": {"text/plain": {}}}
_PIXEL = {"description": "a transparent pixel, once the event is durable", "content": {"image/gif": {}}}
_JSON = {"description": "JSON", "content": {"application/json": {}}}
_REFUSED = {"description": "the call can't be read"}
_BUSY = {"description": "nothing can be made durable now; try again after `Retry-After` seconds"}
_PAYLOAD = {"content": {"application/json": {"schema": {"type": "object"}}}}


def openapi(settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of what is switched on."""
    paths = {**_always(settings), **_redirect(settings), **_bridges(settings), **_proxy(settings)}
    return {"openapi": "3.1.0", "info": {"title": "evnt collector", "version": VERSION}, "paths": paths}


Paths = dict[str, dict[str, Any]]


def _always(settings: Settings) -> Paths:
    endpoints = settings.common.snowplow.endpoints
    post = _operation("Take events of a tracker", {"200": _TEXT, "503": _BUSY}, requestBody=_PAYLOAD)
    get = _operation("Take one event of a tracker", {"200": _PIXEL, "503": _BUSY})
    return {
        "/com.snowplowanalytics.snowplow/tp2": {"post": post},
        endpoints.post_endpoint: {"post": post},
        endpoints.sendgrid_endpoint: {"post": post},
        "/{vendor}/{version}": {"parameters": _parameters("vendor", "version"), "post": post, "get": get},
        endpoints.get_endpoint: {"get": get},
        "/health": {"get": _operation("Whether the process is alive", {"200": _TEXT, "503": _TEXT})},
        "/ready": {"get": _operation("Whether events can be made durable", {"200": _TEXT, "503": _TEXT})},
        "/static/{file}": {
            "parameters": _parameters("file"),
            "get": _operation("Scripts of the JavaScript tracker", {"200": {"description": "the file"}}),
        },
    }


def _redirect(settings: Settings) -> Paths:
    if not settings.collector.enable_default_redirect:
        return {}
    get = _operation("Record a click and send it on to `u`", {"302": {"description": "the target"}})
    return {"/r/{name}": {"parameters": _parameters("name"), "get": get}}


def _bridges(settings: Settings) -> Paths:
    paths: Paths = {}
    if settings.collector.bridges.analytics_js:
        answers = {"200": _JSON, "400": _REFUSED, "503": _BUSY}
        call = _operation("Take a call of analytics.js", answers, requestBody=_PAYLOAD)
        paths["/com.segment/v1/{call}"] = {"parameters": _parameters("call"), "post": call}
    if settings.collector.bridges.amplitude:
        answers = {"200": _JSON, "400": _JSON, "403": _JSON, "413": _JSON, "503": _BUSY}
        events = _operation("Take events of Amplitude's libraries", answers, requestBody=_PAYLOAD)
        paths |= {f"/com.amplitude/2/{name}": {"post": events} for name in ("httpapi", "batch")}
    return paths


def _proxy(settings: Settings) -> Paths:
    if not settings.proxy.domains:
        return {}
    proxy = settings.common.snowplow.endpoints.proxy_endpoint.rstrip("/")
    hashed = _operation("Proxied address of a script", {"200": _JSON, "422": _JSON}, requestBody=_PAYLOAD)
    get = _operation("Fetch a script of a listed host", {"200": {"description": "the script"}})
    route = {"parameters": _parameters("scheme", "host", "path"), "get": get}
    return {f"{proxy}/hash": {"post": hashed}, f"{proxy}/route/{{scheme}}/{{host}}/{{path}}": route}


def _operation(summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"summary": summary, "responses": responses, **more}


def _parameters(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def page(document: dict[str, Any]) -> str:
    """The document as a page to read; it loads nothing from anywhere."""
    rows = "".join(
        f"<tr><td>{method.upper()}</td><td><code>{html.escape(path)}</code></td>"
        f"<td>{html.escape(operation['summary'])}</td><td>{html.escape(', '.join(operation['responses']))}</td></tr>"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    )
    title = html.escape(document["info"]["title"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:1rem system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "td,th{padding:.4rem .8rem;text-align:left;border-bottom:1px solid #ccc}</style>"
        f"<h1>{title} {html.escape(document['info']['version'])}</h1>"
        "<p>The same for programs: <a href=openapi.json>openapi.json</a></p>"
        f"<table><tr><th>method<th>path<th>what it does<th>answers</tr>{rows}</table></html>"
    )


class Documentation:
    """The routes, where they are switched on."""

    def __init__(self, settings: Settings) -> None:
        self._on = not settings.security.disable_docs
        self._document = openapi(settings)

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        if self._on:
            yield web.get("/openapi.json", self.openapi)
            yield web.get("/docs", self.docs)

    async def openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(self._document)

    async def docs(self, _request: web.Request) -> web.Response:
        return web.Response(text=page(self._document), content_type="text/html")
