"""analytics.js of Segment: one call, one event (`POST /com.segment/v1/<letter>`)."""

import json
from collections.abc import Mapping
from urllib.parse import unquote

from collector import slices
from collector.bridges.envelope import text_at, tp2_body
from collector.cookies import read

#: What a letter of the path stands for, and the version of its schema.
CALLS: Mapping[str, tuple[str, str]] = {
    "i": ("identify", "1-0-0"),
    "t": ("track", "1-0-0"),
    "p": ("page", "2-0-0"),
    "s": ("screen", "2-0-0"),
    "g": ("group", "2-0-0"),
    "a": ("alias", "2-0-0"),
}


def bodies(letter: str, body: str, cookies: bytes | None, network_userid: str) -> list[bytes]:
    """The tp2 body of a call. Raises slices.NotJson."""
    document = slices.parse(body)
    name, version = CALLS[letter]
    parameters = {
        "aid": "ajs_bridge",
        "e": "ue",
        "p": "web",
        "tv": text_at(document, "context", "library", "version") or "unknown",
        "tnuid": network_userid,
        "url": text_at(document, "properties", "url"),
        "page": text_at(document, "properties", "page"),
        "lang": text_at(document, "context", "locale"),
        "tz": text_at(document, "context", "timezone"),
        "uid": _cookie(cookies, b"ajs_user_id") or text_at(document, "userId"),
        "duid": _cookie(cookies, b"ajs_anonymous_id"),
    }
    return [tp2_body(f"iglu:com.segment/{name}/jsonschema/{version}", slices.compact(body), parameters)]


def _cookie(header: bytes | None, name: bytes) -> str | None:
    """The library writes its cookies as JSON, percent-encoded; older ones are plain text."""
    raw = read(header, name)
    if not raw:
        return None
    text = unquote(raw.decode("latin-1"))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text
