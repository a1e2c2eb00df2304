"""What can be set about the collector; names as in the seed product and the Scala collectors where they have one."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from collector.sections import (
    UUID,
    CommonSettings,
    ElasticApmSettings,
    HeaderText,
    OpentelemetrySettings,
    PerformanceSettings,
    PrometheusSettings,
    ProxySettings,
    SecuritySettings,
    SentrySettings,
    Token,
)
from collector.visitor_sections import CookieBounceSettings, CookieSettings, DoNotTrackCookieSettings, P3pSettings
from shared.settings import AdminSettings, Host, Section, SharedSettings


class CrossDomainSettings(Section):
    enabled: bool = False
    """Answer `/crossdomain.xml`, the policy file of Flash."""
    domains: tuple[str, ...] = ("*",)
    """Domains that the policy file allows."""
    secure: bool = True
    """Whether the policy file allows them over HTTPS only."""


class RedirectMacroSettings(Section):
    enabled: bool = False
    """Replace the placeholder in redirect targets by the network user id."""
    placeholder: str = Field(default="${SP_NUID}", min_length=1)
    """The text to replace."""


class RootResponseSettings(Section):
    enabled: bool = False
    """Answer `GET /` with what follows instead of the health of the collector."""
    status_code: int = Field(default=302, ge=200, le=599)
    """Status of the answer."""
    headers: dict[Token, HeaderText] = Field(default_factory=dict)
    """Headers of the answer, sent as they are."""
    body: str = ""
    """Body of the answer."""


class CorsSettings(Section):
    max_age_seconds: int = Field(default=3600, ge=-1)
    """How long a browser may remember the answer to a preflight; -1 forbids it."""
    extra_allowed_headers: tuple[Token, ...] = ()
    """Request headers that pages may send besides `Content-Type` and `SP-Anonymous`."""


class ClientIpSettings(Section):
    headers: tuple[str, ...] = ("X-Forwarded-For",)
    """Headers that may carry the client's address, first one wins; trust only what your proxy sets or replaces. Unless
    `X-Forwarded-For` is the first, it and `Forwarded` are not recorded: enrichers would take the address from them."""
    trusted_hops: int | None = Field(default=None, ge=0)
    """Proxies of yours that append to the header: the address is taken that many places from the right, and what a
    client wrote further left is not kept. 0: no proxy, headers are ignored. null: the first address, as the Scala
    collectors do, which any client can forge."""


class LimitSettings(Section):
    max_record_bytes: int = Field(default=1_000_000, ge=1)
    """A payload of this size or more is split by events; what can't be split becomes a `size_violation` bad row."""
    max_payload_bytes: int = Field(default=8_388_608, ge=1)
    """A payload above this size, inflated if it came compressed, is not split but becomes a `size_violation` bad row;
    one below `max_record_bytes` is recorded whatever this says."""
    drop_payload_bytes: int | None = Field(default=None, ge=0)
    """A request body above this size is answered 413, which trackers retry for ever; null: 200, and the bad row."""
    max_request_line_bytes: int = Field(default=65_536, ge=1)
    """Longest request line; longer ones are answered 400."""
    max_header_bytes: int = Field(default=32_768, ge=1)
    """Longest header line."""
    max_headers: int = Field(default=128, ge=1)
    """Most headers in a request."""


class TimeoutSettings(Section):
    headers_seconds: float = Field(default=20, gt=0)
    """A client that has not sent all headers of a request after this time is cut off."""
    body_seconds: float = Field(default=30, gt=0)
    """A client that has not sent the body after this time is answered 408 and cut off."""
    response_seconds: float = Field(default=30, gt=0)
    """A request that is not answered after this time is answered 408."""
    idle_seconds: float = Field(default=610, gt=0)
    """How long a connection may stay open between requests; longer than what load balancers wait."""


class SpoolSettings(Section):
    enabled: bool = True
    """Keep events on this machine's disk while RabbitMQ takes none; not used with the embedded stream."""
    max_bytes: int = Field(default=4_000_000_000, ge=1)
    """Size of the spool in bytes, which all workers share, above which requests are answered 503."""
    max_age_hours: float = Field(default=72, gt=0)
    """Requests are answered 503 when the oldest spooled event is older than this."""


class RawSettings(Section):
    payloads_per_message: int = Field(default=200, ge=1)
    """Most payloads in one message of the raw stream; 1 feeds Snowplow's and OpenSnowcat's own enrichers."""
    bytes_per_message: int = Field(default=1_000_000, ge=1)
    """A message is closed when it has this many bytes."""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """Compress messages, in the format that Snowplow's Enrich 6 reads too: a fifth of the bytes for the broker, less
    where a message has many requests. zstd takes a fifth of gzip's time."""
    publish_timeout_ms: int = Field(default=3_000, ge=1)
    """Events that the transport did not confirm after this time are spooled; browsers wait about five seconds."""
    in_flight_max_bytes: int = Field(default=500_000_000, ge=1)
    """Bytes that wait for a confirm, per worker, above which requests are answered 503."""


class ShutdownSettings(Section):
    pre_termination_seconds: float = Field(default=0, ge=0)
    """After SIGTERM, go on serving for this long, so that load balancers notice; behind one, 10 is a good value."""
    pre_termination_unhealthy: bool = True
    """Answer `/health` and `/ready` with 503 in that time."""
    deadline_seconds: float = Field(default=10, ge=0)
    """How long requests in flight may take to finish after that."""


class SslSettings(Section):
    enable: bool = False
    """Also listen for HTTPS, with the certificate below."""
    port: int = Field(default=443, ge=0, le=65535)
    """Port for HTTPS."""
    certificate_file: Path | None = None
    """Certificate chain (PEM)."""
    key_file: Path | None = None
    """Private key of the certificate (PEM)."""
    key_password: SecretStr | None = None
    """Password of the private key, if it has one."""

    @model_validator(mode="after")
    def _certificate(self) -> "SslSettings":
        if self.enable and not (self.certificate_file and self.key_file):
            raise ValueError("expected certificate_file and key_file when ssl is enabled")
        return self


class HstsSettings(Section):
    enable: bool = False
    """Send `Strict-Transport-Security` with every answer."""
    max_age_seconds: int = Field(default=31_536_000, ge=0)
    """How long browsers must use HTTPS after the last answer."""


class BridgeSettings(Section):
    analytics_js: bool = False
    """Take analytics.js (Segment) calls at `POST /com.segment/v1/{i,t,p,s,g,a}`."""
    amplitude: bool = False
    """Take Amplitude calls at `POST /com.amplitude/2/{httpapi,batch}`."""


class CollectorAdminSettings(AdminSettings):
    port: int = Field(default=8101, ge=0, le=65535)
    """Admin port; the second worker takes the next one, and so on."""


class CollectorSettings(Section):
    host: Host = "127.0.0.1"
    """Address to listen on; 0.0.0.0 listens on all."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port for HTTP."""
    workers: int = Field(default=1, ge=1)
    """Processes that share the port; one per core that the collector may use."""
    admin: CollectorAdminSettings = CollectorAdminSettings()
    paths: dict[str, str] = Field(default_factory=dict)
    """Own two-segment paths → the path to record instead (`/com.acme/track: /com.snowplowanalytics.snowplow/tp2`)."""
    validate_network_userid: bool = True
    """Take ids from cookie and `nuid` parameter only when they are UUIDs; the enricher refuses payloads with others."""
    enable_default_redirect: bool = False
    """Answer `/r/…?u=<url>` with a redirect and record the click."""
    redirect_domains: tuple[str, ...] = ()
    """Hosts that may be redirected to, exactly; `*` allows any, which makes the collector an open redirect."""
    p3p: P3pSettings = P3pSettings()
    cross_domain: CrossDomainSettings = CrossDomainSettings()
    cookie: CookieSettings = CookieSettings()
    do_not_track_cookie: DoNotTrackCookieSettings = DoNotTrackCookieSettings()
    cookie_bounce: CookieBounceSettings = CookieBounceSettings()
    redirect_macro: RedirectMacroSettings = RedirectMacroSettings()
    root_response: RootResponseSettings = RootResponseSettings()
    cors: CorsSettings = CorsSettings()
    client_ip: ClientIpSettings = ClientIpSettings()
    limits: LimitSettings = LimitSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    raw: RawSettings = RawSettings()
    spool: SpoolSettings = SpoolSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    ssl: SslSettings = SslSettings()
    hsts: HstsSettings = HstsSettings()
    bridges: BridgeSettings = BridgeSettings()
    static_dir: Path | None = None
    """Folder served below `/static/`, where `evnt scripts download` puts the tracker; null: `static` in `data_dir`."""
    extra_headers: dict[Token, HeaderText] = Field(default_factory=dict)
    """Headers sent with every answer, for instance `Timing-Allow-Origin`."""

    @model_validator(mode="after")
    def _fallback_is_an_id(self) -> "CollectorSettings":
        if self.validate_network_userid and not UUID.fullmatch(self.cookie_bounce.fallback_network_userid):
            raise ValueError("expected a UUID as cookie_bounce.fallback_network_userid while others are not taken")
        return self

    @field_validator("paths")
    @classmethod
    def _two_segments(cls, value: dict[str, str]) -> dict[str, str]:
        for path in (*value, *value.values()):
            if not re.fullmatch(r"/[^/?#]+/[^/?#]+", path):
                raise ValueError(f"expected paths of two segments such as /com.acme/track, found {path!r}")
        return value


class Settings(SharedSettings):
    """Everything that the collector reads."""

    collector: CollectorSettings = CollectorSettings()
    common: CommonSettings = CommonSettings()
    security: SecuritySettings = SecuritySettings()
    proxy: ProxySettings = ProxySettings()
    performance: PerformanceSettings = PerformanceSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    sentry: SentrySettings = SentrySettings()
    opentelemetry: OpentelemetrySettings = OpentelemetrySettings()
    elastic_apm: ElasticApmSettings = ElasticApmSettings()
