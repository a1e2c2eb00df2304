"""Sections beside `collector` that only the collector reads, named as in the seed product."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, field_validator

from shared.settings import Host, Section

#: What the enricher takes for a network user id.
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _one_line(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("expected one line, since it goes into a header")
    return value


def _token(value: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        raise ValueError("expected a name of letters, digits and -._~!#$%&'*+^`|")
    return value


#: What may be the value of a header, and the name of one or of a cookie; anything else would fail every request.
HeaderText = Annotated[str, AfterValidator(_one_line)]
Token = Annotated[str, AfterValidator(_token)]


class EndpointSettings(Section):
    post_endpoint: str = "/tracker"
    """A path of one's own for POST requests of trackers, beside the standard ones."""
    get_endpoint: str = "/i"
    """A path of one's own for GET requests of trackers, beside the standard ones."""
    sendgrid_endpoint: str = "/sendgrid"
    """A path of one's own for SendGrid's event webhook, beside `/com.sendgrid/v3`."""
    proxy_endpoint: str = "/proxy"
    """Where the proxy for scripts answers."""

    @field_validator("*")
    @classmethod
    def _path(cls, value: str) -> str:
        if not re.fullmatch(r"/[^?#\s]*[^?#\s/]", value):
            raise ValueError("expected a path such as /tracker")
        return value


class SnowplowSettings(Section):
    endpoints: EndpointSettings = EndpointSettings()


class CommonSettings(Section):
    service_name: HeaderText = "evnt"
    """Name under which errors and traces are reported, and the `Server` header of answers."""
    user_ip_header: str | None = None
    """Header with the client's address; set, it stands for `collector.client_ip.headers`."""
    snowplow: SnowplowSettings = SnowplowSettings()


class SecuritySettings(Section):
    disable_docs: bool = True
    """Don't answer `/docs` and `/openapi.json`."""
    headers: bool = True
    """Send the usual security headers (`X-Content-Type-Options`, `X-Frame-Options`, …) with every answer."""
    trusted_hosts: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Values of `Host` that are served, `*.example.com` with all its subdomains; others are answered 400."""
    enable_https_redirect: bool = False
    """Redirect plain HTTP to HTTPS, and send `Strict-Transport-Security`; behind a proxy see `trust_proxy_headers`."""
    trust_proxy_headers: bool = True
    """With the redirect: `X-Forwarded-Proto` of your proxy says how the client came; what is not `http` is served."""
    cors_allowed_origins: tuple[str, ...] = ("*",)
    """Origins whose pages may read answers, such as `https://shop.example.com`; `*` alone allows any."""
    cors_allow_credentials: bool = True
    """Whether pages of those origins may send and receive the cookie."""

    @field_validator("trusted_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """With a scheme or a port a host is never met: every request would be answered 400."""
        for host in value:
            if not re.fullmatch(r"\*|(\*\.)?[^\s/:*@?#\[\]]+|\[[0-9A-Fa-f:.]+\]", host):
                raise ValueError(f"expected hosts without scheme and port, or *.example.com, found {host!r}")
        return value

    @field_validator("cors_allowed_origins")
    @classmethod
    def _normalised(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        origins = tuple(dict.fromkeys(origin.strip().rstrip("/").lower() for origin in value if origin.strip()))
        if "*" in origins and len(origins) > 1:
            raise ValueError("expected either '*' alone or a list of origins, not both")
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", origin):
                raise ValueError(f"expected origins such as https://example.com, found {origin!r}")
        return origins


class ProxySettings(Section):
    domains: tuple[Host, ...] = ()
    """Hosts that the proxy may fetch from; empty: the proxy is off."""
    paths: tuple[str, ...] = ()
    """Paths that the proxy may fetch from those hosts, whole or from a `/` on (`gtag/js`); empty: any."""
    ports: tuple[int, ...] = (80, 443)
    """Ports that the proxy may connect to."""
    timeout_seconds: float = Field(default=10, gt=0)
    """Longest wait for a proxied answer."""
    max_bytes: int = Field(default=10_000_000, ge=1)
    """Largest proxied answer in bytes."""


class PerformanceSettings(Section):
    max_concurrent_connections: int = Field(default=10_000, ge=0)
    """Open connections of one worker above which new ones are closed at once; 0 sets no bound."""
    healthcheck_cache_ttl_seconds: float = 2
    """How long the answer to `GET /` is reused."""
    enable_access_log: bool = False
    """Write one line per request; it halves what a core can take."""
    access_log_excluded_paths: tuple[str, ...] = ("/health", "/ready", "/sink-health", "/")
    """Paths that the access log leaves out."""
    enable_brotli: bool = True
    """Compress larger answers (scripts, documentation) with Brotli where it is installed, else with gzip."""
    brotli_excluded_paths: tuple[str, ...] = ()
    """Paths whose answers are not compressed."""


class PrometheusSettings(Section):
    enabled: bool = True
    """Count requests and events; read at `/metrics` of the admin port."""


class SentrySettings(Section):
    enabled: bool = False
    """Report errors to Sentry; needs the extra `sentry`."""
    dsn: SecretStr | None = None
    """Address that Sentry gave you."""
    traces_sample_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of requests that are traced."""
    environment: str | None = None
    """Name of this installation in reports."""


class OpentelemetrySettings(Section):
    enabled: bool = False
    """Send traces of requests to a collector of OpenTelemetry; needs the extra `opentelemetry`."""
    endpoint: str = "http://127.0.0.1:4318/v1/traces"
    """Address that takes OTLP over HTTP."""
    sample_rate: float = Field(default=0.01, ge=0, le=1)
    """Share of requests that are traced."""


class ElasticApmSettings(Section):
    enabled: bool = False
    """Report errors and requests to Elastic APM; needs the extra `apm`."""
    service_name: str = "evnt"
    """Name of this service in reports."""
    server_url: str = "http://127.0.0.1:8200"
    """Address of the APM server."""
