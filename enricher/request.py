"""A collector payload as the adapters need it: path, query string, address and ids understood, or refused."""

import codecs
import encodings.aliases
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple, overload

from enricher import querystring
from enricher.remembered import remembered
from enricher.values import Refused, lenient_uuid, tsv_safe
from shared.payload import SCHEMA, CollectorPayload
from shared.payload_reader import NO_CHARSET, Damaged
from shared.rawmessage import Unreadable

_SCHEMA: Final = re.compile(r"iglu:com\.snowplowanalytics\.snowplow/CollectorPayload/thrift/1-0-[0-9]+")
_PATH: Final = re.compile(r"/?([^/]+)/([^/]+)/?")
_FORWARDED_FOR: Final = "x-forwarded-for: "
_FORWARDED: Final = "forwarded: for="
#: Encodings that are charsets to Python only.
_FOREIGN_CHARSETS: Final = frozenset(("charmap", "palmos", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"))
_LONGEST_CHARSET: Final = 40
_CHARSET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-+.:_]*")
#: Python's names of charsets → those that Java prints, however they were spelled.
_JAVA_CHARSETS: Final = {"ascii": "US-ASCII", "iso8859-1": "ISO-8859-1", "utf-16": "UTF-16", "utf-8": "UTF-8"}
#: What a header that may be one of them begins with.
_FORWARDING: Final = frozenset(("x", "X", "f", "F"))
_ADDRESS: Final = re.compile(
    r'"?\[?([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|(?:[0-9a-f]{1,4}(?![0-9a-z_])|[.:]){1,15})', re.ASCII
)


class FormatViolation(NamedTuple):
    """One reason why a record is no collector payload. Without `field` it is an error about the whole record."""

    message: str
    field: str | None = None
    value: str | None = None


class Headers(Sequence[tuple[str, str]]):
    """Name and value of each header line, taken apart when somebody looks: few enrichments do."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._pairs: list[tuple[str, str]] | None = None

    def _read(self) -> list[tuple[str, str]]:
        if self._pairs is None:
            split = (line.partition(":") for line in self._lines)
            self._pairs = [(name, value.strip()) for name, _, value in split]
        return self._pairs

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, str]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, str] | Sequence[tuple[str, str]]:
        return self._read()[index]


@dataclass(slots=True, init=False)
class Request:
    """vendor, version: from the path; they choose the adapter. query: decoded pairs in order, with duplicates.

    ip_address: the first hop of the forwarding headers, else the payload's. network_userid: canonical.
    headers: names as sent.
    """

    payload: CollectorPayload
    vendor: str
    version: str
    query: querystring.Pairs
    ip_address: str | None
    network_userid: str | None
    headers: Sequence[tuple[str, str]]

    def __init__(
        self,
        payload: CollectorPayload,
        vendor: str,
        version: str,
        query: querystring.Pairs,
        ip_address: str | None,
        network_userid: str | None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.payload = payload
        self.vendor = vendor
        self.version = version
        self.query = query
        self.ip_address = ip_address
        self.network_userid = network_userid
        self.headers = headers


def read(payload: CollectorPayload | Damaged | Unreadable) -> Request | list[FormatViolation]:
    """Checks are independent: one record can violate the format in several ways at once."""
    if isinstance(payload, Unreadable):
        return [FormatViolation(payload.reason)]
    if isinstance(payload, Damaged):
        return [FormatViolation(f"error deserializing raw event: {payload.reason}")]
    charset = _charset(payload.encoding)
    if isinstance(charset, Refused):
        return [FormatViolation(f"error deserializing raw event: {charset.message}")]
    query = querystring.pairs(payload.querystring, charset) if payload.querystring else []
    path = api_path(payload.path or "")
    user = payload.network_userid
    network_userid = lenient_uuid(user) if user is not None else None
    lines = payload.headers or []
    if (
        isinstance(query, Refused)
        or path is None
        or (user is not None and network_userid is None)
        or not _is_collector_payload(payload.schema)
    ):
        return _violations(payload, charset, query, path, network_userid)
    address = forwarded_address(lines) or payload.ip_address
    return Request(payload, *path, query, address, network_userid, Headers(lines))


def _violations(
    payload: CollectorPayload,
    charset: str,
    query: querystring.Pairs | Refused,
    path: tuple[str, str] | None,
    network_userid: str | None,
) -> list[FormatViolation]:
    found = []
    if isinstance(query, Refused):
        encoding = _JAVA_CHARSETS.get(charset) or payload.encoding
        reason = _plain(query.message)
        message = f"could not extract name-value pairs from querystring with encoding {encoding}: {reason}"
        found.append(FormatViolation(message, "querystring", payload.querystring))
    if path is None:
        found.append(FormatViolation(_path_complaint(payload.path), "path", payload.path))
    if payload.network_userid is not None and network_userid is None:
        found.append(FormatViolation("not valid UUID", "networkUserId", payload.network_userid))
    if not _is_collector_payload(payload.schema):
        shown = "null" if payload.schema is None else payload.schema
        wanted = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-*"
        found.append(FormatViolation(f"verifying record as {wanted} failed: found {shown}"))
    return found


def _is_collector_payload(schema: str | None) -> bool:
    return schema == SCHEMA or _SCHEMA.fullmatch(schema or "") is not None


def _path_complaint(path: str | None) -> str:
    if path is None:
        return "request does not contain a path"
    return "path does not match (/)vendor/version(/) nor is a legacy /i(ce.png) request"


def _plain(text: str) -> str:
    """How upstream makes exception texts comparable: an object's hash ends in a semicolon, a mail address does not."""
    return tsv_safe(re.sub("@[0-9a-z]+;", "@xxxxxx;", text)).strip(" ")


@remembered(1024)
def api_path(path: str) -> tuple[str, str] | None:
    """Vendor and version of `/vendor/version`; the pixel's old paths are tracker protocol 1."""
    match = _PATH.fullmatch(path)
    if match is not None:
        return match[1], match[2]
    if path == "/i" or path.startswith(("/ice.png", "/i?")):
        return "com.snowplowanalytics.snowplow", "tp1"
    return None


def _charset(name: str | None) -> str | Refused:
    if name is None:
        return Refused(NO_CHARSET)
    legal = len(name) <= _LONGEST_CHARSET and _CHARSET.fullmatch(name) is not None
    return _known_charset(name) if legal else Refused(name)


@remembered(64)
def _known_charset(name: str) -> str | Refused:
    # Python remembers every name that it was asked about and does not know
    if encodings.normalize_encoding(name).replace(".", "_").lower() not in _encodings():
        return Refused(name)
    try:
        b"\xff".decode(name, "replace")  # Python also has codecs that are no charsets, such as hex
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return Refused(name)
    return Refused(name) if found in _FOREIGN_CHARSETS else found


@cache
def _encodings() -> frozenset[str]:
    """What Python may know, by its own names and others'."""
    modules = [module.name for module in pkgutil.iter_modules(encodings.__path__)]
    return frozenset((*modules, *encodings.aliases.aliases))


def forwarded_address(lines: list[str]) -> str | None:
    """X-Forwarded-For's first hop, else Forwarded's. The first hop decides, whether it is an address or not."""
    forwarded = None
    for line in lines:
        if line[:1] not in _FORWARDING:
            continue
        lowered = line.lower()
        if lowered.startswith(_FORWARDED_FOR) and (match := _ADDRESS.match(lowered, len(_FORWARDED_FOR))):
            return match[1]
        if lowered.startswith(_FORWARDED) and (match := _ADDRESS.match(lowered, len(_FORWARDED))):
            forwarded = match[1]
    return forwarded
