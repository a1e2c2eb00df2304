"""A Scala collector's configuration as ours: what a user who moves over has to write."""

import re
from typing import Any

from collector.settings import Settings

#: Every spelling of a unit that HOCON reads, without the plural.
_UNITS = {
    0.001: ("ms", "milli", "millisecond"),
    1: ("s", "second"),
    60: ("m", "minute"),
    3600: ("h", "hour"),
    86400: ("d", "day"),
}
_SECONDS = {name: size for size, names in _UNITS.items() for name in names}


def seconds(duration: str) -> float:
    """`60 minutes`, `10.seconds`, `-1 seconds`, `100 ms`, `5s`."""
    found = re.fullmatch(r"(-?\d+)[ .]?([a-z]+)", duration)
    assert found, duration
    unit = found[2]
    return int(found[1]) * _SECONDS[unit if unit in _SECONDS else unit.removesuffix("s")]


def translate(config: dict[str, Any]) -> dict[str, Any]:
    """The `collector` section. Their empty list of redirect domains allows any; they take any text for an id."""
    section: dict[str, Any] = {"validate_network_userid": False, "redirect_domains": ["*"], "port": 0}
    for key, value in config.items():
        for name, part in _KEYS[key](value).items():
            both = isinstance(part, dict) and name in section
            section[name] = section[name] | part if both else part
    return section


def settings(config: dict[str, Any], **others: Any) -> Settings:
    """Our settings for this configuration of theirs."""
    if config.get("ssl", {}).get("redirect"):
        others = {"security": {"enable_https_redirect": True}, **others}
    return Settings.model_validate({"collector": translate(config) | {"admin": {"port": 0}}, **others})


def _cookie(value: dict[str, Any]) -> dict[str, Any]:
    names = {"httpOnly": "http_only", "sameSite": "same_site", "fallbackDomain": "fallback_domain"}
    names |= {"clientCookieName": "client_cookie_name", "enabled": "enabled", "name": "name", "secure": "secure"}
    section = {names[key]: part for key, part in value.items() if key not in ("expiration", "domains")}
    if "expiration" in value:
        section["expiration_seconds"] = int(seconds(value["expiration"]))
    if value.get("domains"):
        section["domains"] = value["domains"]
    return {"cookie": section}


def _renamed(section: str, **names: str) -> Any:
    """Their names by ours; null is a setting that is not made."""
    return lambda value: {section: {names.get(key, key): part for key, part in value.items() if part is not None}}


def _networking(value: dict[str, Any]) -> dict[str, Any]:
    limits = {"maxPayloadSize": "max_payload_bytes", "dropPayloadSize": "drop_payload_bytes"}
    limits |= {"maxRequestLineLength": "max_request_line_bytes", "maxHeadersLength": "max_header_bytes"}
    timeouts = {"responseHeaderTimeout": "response_seconds", "idleTimeout": "idle_seconds"}
    timeouts |= {"bodyReadTimeout": "body_seconds"}
    given = {key: part for key, part in value.items() if key != "maxConnections"}  # a setting of another section
    return {
        "limits": {limits[key]: part for key, part in given.items() if key not in timeouts},
        "timeouts": {timeouts[key]: seconds(part) for key, part in given.items() if key in timeouts},
    }


def _streams(value: dict[str, Any]) -> dict[str, Any]:
    limit = value.get("sink", {}).get("maxBytes")
    return {} if limit is None else {"limits": {"max_record_bytes": limit}}


def _nothing(_value: Any) -> dict[str, Any]:
    """What has no meaning here: the port that a test takes is free, and evnt has neither StatsD nor heartbeats."""
    return {}


_KEYS: dict[str, Any] = {
    "interface": lambda value: {"host": "127.0.0.1" if value == "0.0.0.0" else value},  # noqa: S104
    "port": _nothing,
    "ssl": _nothing,
    "monitoring": _nothing,
    "telemetry": _nothing,
    "license": _nothing,
    "debug": _nothing,
    "enableStartupChecks": _nothing,
    "preTerminationPeriod": lambda value: {"shutdown": {"pre_termination_seconds": seconds(value)}},
    "preTerminationUnhealthy": lambda value: {"shutdown": {"pre_termination_unhealthy": value}},
    "terminationDeadline": lambda value: {"shutdown": {"deadline_seconds": seconds(value)}},
    "paths": lambda value: {"paths": value},
    "enableDefaultRedirect": lambda value: {"enable_default_redirect": value},
    "redirectDomains": lambda value: {"redirect_domains": value or ["*"]},
    "redirectMacro": _renamed("redirect_macro"),
    "p3p": _renamed("p3p", policyRef="policy_ref", CP="cp"),
    "crossDomain": _renamed("cross_domain"),
    "cookie": _cookie,
    "doNotTrackCookie": _renamed("do_not_track_cookie"),
    "cookieBounce": _renamed(
        "cookie_bounce",
        fallbackNetworkUserId="fallback_network_userid",
        forwardedProtocolHeader="forwarded_protocol_header",
    ),
    "rootResponse": _renamed("root_response", statusCode="status_code"),
    "cors": lambda value: {"cors": {"max_age_seconds": int(seconds(value["accessControlMaxAge"]))}},
    "hsts": lambda value: {
        "hsts": {"enable": value["enable"]}
        | ({"max_age_seconds": int(seconds(value["maxAge"]))} if "maxAge" in value else {})
    },
    "networking": _networking,
    "streams": _streams,
    "experimental": lambda value: {
        "bridges": {
            "analytics_js": value.get("enableAnalyticsJsBridge", False),
            "amplitude": value.get("enableAmplitudeBridge", False),
        }
    },
}
