"""The proxy for scripts of other hosts: `POST /proxy/hash`, `GET /proxy/route/…`."""

import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.helpers import is_ip_address
from yarl import URL

from collector.gate import clients_scheme
from collector.proxied import NotProxied, Targets
from collector.settings import Settings

#: What is passed on of a request, and of an answer.
_REQUEST_HEADERS = ("User-Agent", "Accept", "Accept-Language", "If-None-Match", "If-Modified-Since")
_RESPONSE_HEADERS = ("Content-Type", "Cache-Control", "ETag", "Expires", "Last-Modified", "Location")

_CONTROLS = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")

_CHUNK = 65_536


class Forbidden(OSError):
    """The name leads to an address that the proxy must not connect to."""


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses those that lead into a private network: the connection uses what it resolved."""

    def __init__(self, resolver: AbstractResolver, allowed: Callable[[str], bool]) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not found or not all(self._allowed(one["host"]) for one in found):
            raise Forbidden(f"{host} is no public address")
        return found

    async def close(self) -> None:
        await self._resolver.close()


@asynccontextmanager
async def proxy_session(
    settings: Settings, resolver: AbstractResolver, allowed: Callable[[str], bool]
) -> AsyncIterator[aiohttp.ClientSession]:
    """The client for proxied requests: no cookies, no redirects, no private addresses, no environment."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(resolver, allowed), use_dns_cache=False, limit=50)
    timeout = aiohttp.ClientTimeout(total=settings.proxy.timeout_seconds)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
        yield session


class Proxy:
    """Fetches scripts from listed hosts, so that pages get them from the collector's own domain."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession, allowed: Callable[[str], bool]) -> None:
        self._targets = Targets(settings.proxy)
        self._on = bool(settings.proxy.domains)
        self._prefix = settings.common.snowplow.endpoints.proxy_endpoint.rstrip("/")
        self._trusts_proxy = settings.security.trust_proxy_headers
        self._most = settings.proxy.max_bytes
        self._session = session
        self._allowed = allowed

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """The routes, where hosts are listed."""
        if self._on:
            yield web.post(f"{self._prefix}/hash", self.hash)
            yield web.get(f"{self._prefix}/route/{{scheme}}/{{host}}/{{path:[^/]*}}", self.fetch, allow_head=False)

    async def hash(self, request: web.Request) -> web.StreamResponse:
        """The address under which the proxy fetches another; one that it does not fetch comes back as it is."""
        try:
            # whatever character set the client names: some are none, and take minutes
            document = json.loads(await request.read())
        except (ValueError, RecursionError):
            return _error(422, "expected a JSON object with a url")
        url = document.get("url") if isinstance(document, dict) else None
        if not isinstance(url, str):
            return _error(422, "expected a JSON object with a url")
        route = self._targets.route(url)
        return web.json_response(url if route is None else f"{self._base(request)}{self._prefix}/route/{route}")

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """What lies behind a route of the proxy."""
        parts = request.match_info
        try:
            url = self._targets.target(parts["scheme"], parts["host"], parts["path"])
            return await self._pass_on(request, url)
        except NotProxied as refusal:
            return _error(refusal.status, refusal.detail)
        except TimeoutError:
            return _error(504, "Proxy target took too long")
        except (aiohttp.ClientError, OSError) as error:
            forbidden = isinstance(error.__cause__, Forbidden) or isinstance(error, Forbidden)
            return _error(403, "Proxy target not allowed") if forbidden else _error(502, "Proxy target failed")

    async def _pass_on(self, request: web.Request, url: str) -> web.StreamResponse:
        self._check_literal(url)
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        async with self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
            if not 200 <= answer.status < 600:
                raise NotProxied(502, "Proxy target failed")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > self._most:
                    raise NotProxied(502, "Proxy target is too large")
            return web.Response(status=answer.status, headers=_passed(answer.headers), body=bytes(body))

    def _check_literal(self, url: str) -> None:
        """An address in place of a name is connected to without asking the resolver."""
        host = URL(url).host or ""
        if is_ip_address(host) and not self._allowed(host):
            raise NotProxied(403, "Proxy target not allowed")

    def _base(self, request: web.Request) -> str:
        forwarded = clients_scheme(request.headers.get("X-Forwarded-Proto", "")) if self._trusts_proxy else ""
        scheme = forwarded if forwarded in ("http", "https") else request.scheme
        return f"{scheme}://{request.host}"


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    """Without what may be read of an answer, but not be written into one."""
    found = {name: headers[name] for name in _RESPONSE_HEADERS if name in headers}
    return {name: value for name, value in found.items() if not _CONTROLS.search(value)}


def _error(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=status)
