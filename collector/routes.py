"""Which requests are a tracker's, and under which path they are recorded."""

from functools import lru_cache
from urllib.parse import unquote_to_bytes

from collector.settings import Settings

TP2 = b"/com.snowplowanalytics.snowplow/tp2"
PIXELS = (b"/i", b"/ice.png")
_SENDGRID = b"/com.sendgrid/v3"

#: What clients make up must not fill the memory.
_LONGEST_REMEMBERED = 256


class Routes:
    """Every two-segment path is a tracker's, but for what evnt answers itself."""

    def __init__(self, settings: Settings) -> None:
        endpoints = settings.common.snowplow.endpoints
        rules = settings.collector
        self._paths = {path.encode(): mapped.encode() for path, mapped in rules.paths.items()}
        self._get = {path: path for path in PIXELS} | {endpoints.get_endpoint.encode(): PIXELS[0]}
        self._post = {endpoints.sendgrid_endpoint.encode(): _SENDGRID, endpoints.post_endpoint.encode(): TP2}
        reserved = ["/static/", endpoints.proxy_endpoint.rstrip("/") + "/"]
        if not rules.enable_default_redirect:
            reserved.append("/r/")
        if rules.bridges.analytics_js:
            reserved.append("/com.segment/v1/")
        self._reserved = tuple(prefix.encode() for prefix in reserved)
        self._remembered = lru_cache(maxsize=1024)(self._find)

    def recorded_path(self, method: str, path: bytes) -> bytes | None:
        """The path to record, decoded; None when the request is none of a tracker's. `path` is as it came."""
        find = self._remembered if len(path) <= _LONGEST_REMEMBERED else self._find
        return find(method == "POST", path)

    def _find(self, post: bool, path: bytes) -> bytes | None:
        fixed = self._post if post else self._get
        decoded = unquote_to_bytes(path) if b"%" in path else path
        if decoded in fixed:
            return fixed[decoded]
        if path.count(b"/") != 2 or not path.startswith(b"/") or path.startswith(b"//") or path.endswith(b"/"):
            return None
        if decoded in self._paths:
            return self._paths[decoded]
        return None if decoded.startswith(self._reserved) else decoded
