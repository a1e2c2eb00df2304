"""The small pages: health, robots, the policy of Flash, the root."""

from collections.abc import Callable

from aiohttp import web
from multidict import CIMultiDict

from collector.settings import CrossDomainSettings, RootResponseSettings, Settings
from collector.state import State

NOT_FOUND = "404 not found"

ROBOTS = "\n\n".join(f"User-agent: {agent}\nDisallow: /" for agent in ("*", "Googlebot", "AdsBot-Google"))


def text(status: int, body: str) -> web.Response:
    """A plain answer."""
    return web.Response(status=status, text=body)


def crossdomain(settings: CrossDomainSettings) -> str:
    """The policy file of Flash."""
    secure = "true" if settings.secure else "false"
    lines = [f'  <allow-access-from domain="{domain}" secure="{secure}" />' for domain in settings.domains]
    return '<?xml version="1.0"?>\n<cross-domain-policy>\n' + "\n".join(lines) + "\n</cross-domain-policy>"


class Pages:
    """Handlers of the small pages."""

    def __init__(self, settings: Settings, state: State, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._state = state
        self._monotonic = monotonic
        self._root: RootResponseSettings = settings.collector.root_response
        self._summary: tuple[float, bool, bool] | None = None

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register them; anything but GET stays a 404, as does every other path."""
        for path, handler in (
            ("/", self.root),
            ("/health", self.health),
            ("/ready", self.sink_health),
            ("/sink-health", self.sink_health),
            ("/robots.txt", self.robots),
            ("/crossdomain.xml", self.crossdomain),
        ):
            router.add_get(path, handler, allow_head=False)

    async def health(self, _request: web.Request) -> web.Response:
        """Whether this process is alive; load balancers may be told beforehand that it will not be for long."""
        return text(503, "Service Unavailable") if self._state.terminating else text(200, "ok")

    async def sink_health(self, _request: web.Request) -> web.Response:
        """Whether events can be made durable now."""
        return text(503, "Service Unavailable") if self._state.unready else text(200, "ok")

    async def robots(self, _request: web.Request) -> web.Response:
        return text(200, ROBOTS)

    async def crossdomain(self, _request: web.Request) -> web.Response:
        settings = self._settings.collector.cross_domain
        if not settings.enabled:
            return text(404, NOT_FOUND)
        body = crossdomain(settings).encode("latin-1", "replace")
        return web.Response(body=body, headers={"Content-Type": "text/xml; charset=ISO-8859-1"})

    async def root(self, _request: web.Request) -> web.Response:
        """What the operator set, else a summary of the health."""
        if self._root.enabled:
            headers = CIMultiDict(self._root.headers)
            if self._root.body:  # a browser saves what nobody says is a text
                headers.setdefault("Content-Type", "text/plain; charset=UTF-8")
            return web.Response(status=self._root.status_code, headers=headers, body=self._root.body.encode())
        healthy, flows = self._judged()
        mode = self._settings.ingest.mode
        body = {
            "status": {"rabbitmq" if mode == "rabbitmq" else "stream": flows},
            "healthy": healthy,
            "ingest_mode": mode,
            "table": "events",
        }
        return web.json_response(body, status=200 if healthy else 502)

    def _judged(self) -> tuple[bool, bool]:
        """Whether requests should be sent here, and whether the stream takes messages."""
        now = self._monotonic()
        if self._summary is None or now >= self._summary[0]:
            ttl = self._settings.performance.healthcheck_cache_ttl_seconds
            self._summary = now + ttl, self._state.unready is None, self._state.flows()
        return self._summary[1:]
