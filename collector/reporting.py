"""Errors and traces to the services of others, each an optional extra that is loaded only when it is switched on."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from aiohttp import web

from collector.handlers import Handler
from collector.settings import Settings
from shared.process import Misconfigured
from shared.version import VERSION


class Reporter(Protocol):
    """A service that is told what went wrong, and how long requests took."""

    def failed(self, error: BaseException | None) -> None:
        """A request met a bug."""

    def traced(self, handler: Handler) -> Handler:
        """The handler, each of its requests a trace."""

    def close(self) -> None:
        """Send what is outstanding; waits a few seconds at most."""


def reporters(settings: Settings) -> list[Reporter]:
    """Those that are switched on. Raises Misconfigured where an extra is not installed."""
    found: list[Reporter] = []
    if settings.sentry.enabled:
        found.append(Sentry(settings))
    if settings.opentelemetry.enabled:
        found.append(Opentelemetry(settings))
    if settings.elastic_apm.enabled:
        found.append(ElasticApm(settings))
    return found


def _load(module: str, extra: str) -> Any:
    if find_spec(module.partition(".")[0]) is None:
        raise Misconfigured(f"{extra} is switched on but not installed: pip install 'evnt[{extra}]'")
    return import_module(module)


def _path(request: web.BaseRequest) -> str:
    """The path without its query, which holds personal data."""
    return request.raw_path.partition("?")[0]


class Sentry:
    """Errors, and a share of the requests, to Sentry."""

    def __init__(self, settings: Settings) -> None:
        self._sdk = _load("sentry_sdk", "sentry")
        rules = settings.sentry
        if rules.dsn is None:
            raise Misconfigured("sentry.enabled needs sentry.dsn")
        try:
            self._sdk.init(
                dsn=rules.dsn.get_secret_value(),
                environment=rules.environment,
                release=f"evnt@{VERSION}",
                traces_sample_rate=rules.traces_sample_rate or None,
                default_integrations=False,
                send_default_pii=False,
            )
        except self._sdk.utils.BadDsn as error:  # what it says may quote the secret in it
            raise Misconfigured("sentry.dsn: expected an address such as https://key@host/project") from error
        self._traces = rules.traces_sample_rate > 0

    def failed(self, error: BaseException | None) -> None:
        if error is not None:
            self._sdk.capture_exception(error)

    def traced(self, handler: Handler) -> Handler:
        if not self._traces:
            return handler

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            name = f"{request.method} {_path(request)}"
            with self._sdk.isolation_scope(), self._sdk.start_transaction(op="http.server", name=name) as transaction:
                response = await handler(request)
                transaction.set_http_status(response.status)
                return response

        return handle

    def close(self) -> None:
        self._sdk.flush(timeout=2)


class Opentelemetry:
    """A share of the requests to a collector of OpenTelemetry, in the trace of whoever sent them."""

    def __init__(self, settings: Settings) -> None:
        trace = _load("opentelemetry.sdk.trace", "opentelemetry")
        sampling = import_module("opentelemetry.sdk.trace.sampling")
        resources = import_module("opentelemetry.sdk.resources")
        export = import_module("opentelemetry.sdk.trace.export")
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        self._propagate = import_module("opentelemetry.propagate")
        self._kind = import_module("opentelemetry.trace").SpanKind.SERVER
        rules = settings.opentelemetry
        attributes = {"service.name": settings.common.service_name, "service.version": VERSION}
        self._provider = trace.TracerProvider(
            sampler=sampling.ParentBased(sampling.TraceIdRatioBased(rules.sample_rate)),
            resource=resources.Resource.create(attributes),
            shutdown_on_exit=False,
        )
        exporter = otlp.OTLPSpanExporter(endpoint=rules.endpoint, timeout=2)
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("evnt.collector", VERSION)

    def failed(self, error: BaseException | None) -> None:
        """The span of the request holds the error already."""

    def traced(self, handler: Handler) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            path = _path(request)
            attributes = {"http.request.method": request.method, "url.path": path}
            parent = self._propagate.extract({name.lower(): value for name, value in request.headers.items()})
            with self._tracer.start_as_current_span(
                f"{request.method} {path}", context=parent, kind=self._kind, attributes=attributes
            ) as span:
                response = await handler(request)
                span.set_attribute("http.response.status_code", response.status)
                return response

        return handle

    def close(self) -> None:
        self._provider.shutdown()


class ElasticApm:
    """Errors and requests to Elastic APM."""

    def __init__(self, settings: Settings) -> None:
        library = _load("elasticapm", "apm")
        rules = settings.elastic_apm
        self._client = library.Client(
            service_name=rules.service_name,
            service_version=VERSION,
            server_url=rules.server_url,
            central_config=False,
            cloud_provider="none",
        )

    def failed(self, error: BaseException | None) -> None:
        if error is not None:
            self._client.capture_exception((type(error), error, error.__traceback__))

    def traced(self, handler: Handler) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            self._client.begin_transaction("request")
            result = "HTTP 5xx"
            try:
                response = await handler(request)
                result = f"HTTP {response.status // 100}xx"
                return response
            finally:
                self._client.end_transaction(f"{request.method} {_path(request)}", result)

        return handle

    def close(self) -> None:
        self._client.close()
