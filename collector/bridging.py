"""The routes of the bridges."""

import json
from collections.abc import Iterable

from aiohttp import web
from multidict import CIMultiDict

from collector.answer import Answer, Headers
from collector.bridges import amplitude, analytics_js
from collector.cookies import origin_hosts
from collector.hit import Hit, split_target
from collector.intake import Intake
from collector.routes import TP2
from collector.settings import Settings
from collector.slices import NotJson
from shared.identity import Clock

_JSON = (b"Content-Type", b"application/json")


class Bridges:
    """Takes calls of analytics.js and of Amplitude's libraries, where they are switched on."""

    def __init__(self, settings: Settings, intake: Intake, clock: Clock) -> None:
        self._bridges = settings.collector.bridges
        self._domains = settings.collector.cross_domain
        self._intake = intake
        self._clock = clock

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """The routes of what is switched on."""
        if self._bridges.analytics_js:
            letters = "".join(analytics_js.CALLS)
            yield web.post(f"/com.segment/v1/{{letter:[{letters}]}}", self.analytics_js)
            yield web.route("*", f"/com.segment/v1/{{letter:(?![{letters}]$)[^/]+}}", self._no_call)
        if self._bridges.amplitude:
            for name in ("httpapi", "batch"):
                yield web.post(f"/com.amplitude/2/{name}", self.amplitude)
                yield web.options(f"/com.amplitude/2/{name}", self.amplitude_preflight)

    async def analytics_js(self, request: web.Request) -> web.StreamResponse:
        letter = request.match_info["letter"]
        hit, text = await self._read(request)

        def bodies(network_userid: str) -> list[bytes]:
            return analytics_js.bodies(letter, text, hit.named.get(b"cookie"), network_userid)

        try:
            answer = await self._intake.keep(hit, TP2, bodies)
        except NotJson as error:
            answer = await self._intake.complain(f"analytics.js call is not JSON: {error}", text)
        return _response(answer, {"success": True}, answer.headers)

    async def _no_call(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=400)

    async def amplitude(self, request: web.Request) -> web.StreamResponse:
        if self._forbidden(request):
            return _amplitude_error(403, "Origin not allowed")
        hit, text = await self._read(request)
        cors = self._cors(request)
        size = len(hit.body or b"")
        try:
            # each event is recorded with all headers; a library divides its call when told that it is too large
            most = self._intake.most_body_bytes // hit.head_bytes
            events = amplitude.events(text, self._intake.client_address(hit), most)
        except amplitude.TooLarge:
            return _amplitude_error(413, "Payload too large", cors)
        except amplitude.BadCall as error:
            answer = await self._intake.complain(f"Amplitude call: {error}", text)
            return _amplitude_error(answer.status, str(error), cors + _kept(answer))
        answer = await self._intake.keep(hit, TP2, lambda userid: amplitude.bodies(events, userid))
        counts = {"events_ingested": len(events), "payload_size_bytes": size}
        return _response(answer, {"code": 200, **counts, "server_upload_time": self._clock()}, cors + _kept(answer))

    async def amplitude_preflight(self, request: web.Request) -> web.StreamResponse:
        if self._forbidden(request):
            return _amplitude_error(403, "Origin not allowed")
        return web.Response(headers=self._cors(request))

    async def _read(self, request: web.Request) -> tuple[Hit, str]:
        _, query = split_target(request.raw_path.encode("utf-8", "surrogateescape"))
        hit = self._intake.hit(request, query)
        await self._intake.read(request, hit)
        text = (hit.body or b"").decode("utf-8", "replace")
        # beacons say text/plain, which the enricher would refuse
        hit.headers = [header for header in hit.headers if header[0].lower() != b"content-type"] + [_JSON]
        hit.named[b"content-type"] = _JSON[1]
        return hit, text

    def _forbidden(self, request: web.Request) -> bool:
        hosts = origin_hosts(request.headers.get("Origin"))
        listed = self._domains.enabled and bool(hosts)
        return listed and not any(amplitude.origin_allowed(self._domains.domains, host) for host in hosts)

    def _cors(self, request: web.Request) -> Headers:
        origins = request.headers.get("Origin", "").split()
        return [
            ("Access-Control-Allow-Origin", origins[0] if origins else "*"),
            ("Access-Control-Allow-Methods", "POST, OPTIONS"),
            ("Access-Control-Allow-Headers", "Content-Type, SP-Anonymous"),
            ("Access-Control-Max-Age", "3600"),
        ]


def _kept(answer: Answer) -> Headers:
    """What of an answer to a tracker goes to a library of Amplitude's."""
    return [header for header in answer.headers if header[0] in ("Set-Cookie", "Retry-After")]


def _response(answer: Answer, body: object, headers: Headers) -> web.Response:
    """The library's kind of answer, when all went well."""
    if answer.status != 200:
        return web.Response(status=answer.status, headers=CIMultiDict(headers))
    text = json.dumps(body, separators=(",", ":")).encode()
    named = [header for header in headers if header[0] != "Content-Type"]
    return web.Response(body=text, headers=CIMultiDict([*named, ("Content-Type", "application/json")]))


def _amplitude_error(status: int, error: str, headers: Headers | None = None) -> web.Response:
    return web.json_response({"code": status, "error": error}, status=status, headers=headers)
