"""The enricher's bad rows: which failure and which payload go into each type (docs/bad-rows.md)."""

import base64
import traceback
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from enricher import violations
from enricher.adapters import TRACKER_PROTOCOL
from enricher.adapters.contract import Message, SchemaMapping
from enricher.querystring import Pairs
from enricher.request import FormatViolation, Request
from enricher.values import format_timestamp
from enricher.violations import CriterionMismatch, EnrichmentError, Invalid, Violation
from shared.badrow import BadRowType, Processor, bad_row
from shared.event import FIELDS
from shared.rawmessage import TooLarge

#: Part of an oversized text that its bad row quotes.
_QUOTED: Final = 10

#: Bytes of the rows of one raw message, above which further ones say why, but no more of what: each event's row repeats
#: the headers of its request, and a megabyte of small events would fill the memory.
_MOST: Final = 100_000_000
#: Characters of such a row that its substitute quotes.
_SHOWN: Final = 1_000


class BadRow(NamedTuple):
    type: BadRowType
    body: bytes


class BadRows:
    """Rows of one batch: they share the processor, the processing time and the largest size that streams take."""

    def __init__(self, processor: Processor, etl_ms: int, max_bytes: int, most: int = _MOST) -> None:
        self.processor = processor
        self._etl_ms = etl_ms
        self._max_bytes = max_bytes
        self._most = most
        self._made = 0

    @cached_property
    def timestamp(self) -> str:
        """Processing time, as java.time.Instant writes it: no fraction when it is zero."""
        return format_timestamp(self._etl_ms).replace(" ", "T").removesuffix(".000") + "Z"

    def format_violation(self, violation: FormatViolation, record: bytes) -> BadRow:
        if violation.field is None:
            message: dict[str, Any] = {"error": violation.message[: violations.ERROR_LIMIT]}
        else:
            expectation = violation.message[: violations.EXPECTATION_LIMIT]
            message = {"payloadField": violation.field, "value": violation.value, "expectation": expectation}
        failure = {"timestamp": self.timestamp, "loader": "thrift", "message": message}
        return self._row("collector_payload_format_violation", failure, _base64(record))

    def oversized_payload(self, sent: TooLarge, longest: int) -> BadRow:
        """A record that is too large once its batch is decompressed; the others of the batch go on."""
        after = f"after {sent.method.title()} decompression"
        expectation = f"Collector payload will exceed maximum allowed size of {longest} {after}"
        return self._row("size_violation", self._too_large(expectation, longest, sent.size), _base64(sent.record))

    def refusal(self, request: Request, messages: Sequence[Message | Violation]) -> BadRow:
        """Nothing of the request could be used."""
        key = request.vendor, request.version
        kind: BadRowType = "tracker_protocol_violations" if key in TRACKER_PROTOCOL else "adapter_failures"
        failure = {
            "timestamp": self.timestamp,
            "vendor": request.vendor,
            "version": request.version,
            "messages": [_adapter_message(message) for message in messages],
        }
        return self._row(kind, failure, _collector_payload(request))

    def schema_violations(
        self, found: Sequence[Violation], values: list[str], request: Request, parameters: Mapping[str, str | None]
    ) -> BadRow:
        failure = {"timestamp": self.timestamp, "messages": [violations.message(violation) for violation in found]}
        return self._row("schema_violations", failure, _event(values, request, parameters))

    def enrichment_failures(
        self,
        found: Sequence[EnrichmentError],
        values: list[str],
        request: Request,
        parameters: Mapping[str, str | None],
    ) -> BadRow:
        messages = [violations.enrichment_message(error) for error in found]
        failure = {"timestamp": self.timestamp, "messages": messages}
        return self._row("enrichment_failures", failure, _event(values, request, parameters))

    def generic_error(self, error: BaseException, record: bytes) -> BadRow:
        """A bug of ours. The record can be replayed once it is mended."""
        text = "".join(traceback.format_exception(error))
        return self._row("generic_error", {"timestamp": self.timestamp, "errors": [text]}, _base64(record))

    def oversized_event(self, line: bytes) -> BadRow:
        expectation = f"Enriched event exceeds the maximum allowed size of {self._max_bytes} bytes"
        return self._oversized(expectation, line)

    def _row(self, kind: BadRowType, failure: Any, payload: Any) -> BadRow:
        if self._made > self._most:
            body = bad_row(kind, self.processor, failure, None)
            expectation = f"Bad rows of one raw message exceed {self._most} bytes, the payload of this one is left out"
            return self._size_violation(expectation, body, self._most, self._made, _SHOWN)
        body = bad_row(kind, self.processor, failure, payload)
        self._made += len(body)
        if len(body) <= self._max_bytes:
            return BadRow(kind, body)
        expectation = (
            f"Event failed enrichment and resulting bad row exceeds the maximum allowed size of {self._max_bytes} bytes"
        )
        return self._oversized(expectation, body)

    def _oversized(self, expectation: str, oversized: bytes) -> BadRow:
        return self._size_violation(expectation, oversized, self._max_bytes, len(oversized), self._max_bytes // _QUOTED)

    def _size_violation(self, expectation: str, text: bytes, limit: int, size: int, shown: int) -> BadRow:
        failure = self._too_large(expectation, limit, size)
        quoted = text.decode("utf-8", "replace")[:shown]
        return BadRow("size_violation", bad_row("size_violation", self.processor, failure, quoted))

    def _too_large(self, expectation: str, limit: int, size: int) -> dict[str, Any]:
        return {
            "timestamp": self.timestamp,
            "maximumAllowedSizeBytes": limit,
            "actualSizeBytes": size,
            "expectation": expectation,
        }


def _base64(record: bytes) -> str:
    return base64.b64encode(record).decode()


def _adapter_message(message: Message | Violation) -> dict[str, Any]:
    if isinstance(message, (Invalid, CriterionMismatch)):
        return violations.message(message)
    if isinstance(message, SchemaMapping):
        return {
            "actual": message.actual,
            "expectedMapping": message.expected_mapping,
            "expectation": message.expectation,
        }
    details = message._asdict()
    if "expectation" in details:
        details["expectation"] = details["expectation"][: violations.EXPECTATION_LIMIT]
    return details


# ---- payloads -----------------------------------------------------------------------------------------------------


def _collector_payload(request: Request) -> dict[str, Any]:
    """Names in upstream's order, here as below: it decides what a row that is cut still shows."""
    payload = request.payload
    return {
        "vendor": request.vendor,
        "version": request.version,
        "querystring": _pairs(request.query),
        "contentType": payload.content_type,
        "body": payload.body,
        "collector": payload.collector or "",
        **_source(request),
        "networkUserId": request.network_userid,
    }


def _event(values: list[str], request: Request, parameters: Mapping[str, str | None]) -> dict[str, Any]:
    payload = request.payload
    raw = {
        "vendor": request.vendor,
        "version": request.version,
        "parameters": _pairs(list(parameters.items())),
        "contentType": payload.content_type,
        "loaderName": payload.collector or "",
        **_source(request),
        "userId": request.network_userid,
    }
    return {"enriched": typed(values), "raw": raw}


def _source(request: Request) -> dict[str, Any]:
    """What a collector payload and a raw event call the same."""
    payload = request.payload
    return {
        "encoding": payload.encoding,
        "hostname": payload.hostname,
        "timestamp": _joda(payload.timestamp),
        "ipAddress": request.ip_address,
        "useragent": payload.user_agent,
        "refererUri": payload.referer_uri,
        "headers": payload.headers or [],
    }


def _pairs(pairs: Pairs) -> list[dict[str, str | None]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _joda(milliseconds: int) -> str:
    """Always three fractional digits."""
    return format_timestamp(milliseconds).replace(" ", "T") + "Z"


_NAMES: Final = [field.name for field in FIELDS]
_NULLS: Final[dict[str, Any]] = dict.fromkeys(_NAMES)
_NUMBERS: Final[dict[str, type[int] | type[float]]] = {
    field.name: float if field.kind == "float" else int
    for field in FIELDS
    if field.kind in ("int", "bool", "float") and field.name != "txn_id"
}


def typed(values: list[str]) -> dict[str, Any]:
    """All columns by name, null where empty. txn_id and decimals are texts, as upstream has them."""
    columns = _NULLS.copy()
    for place, text in enumerate(values):
        if text:
            columns[_NAMES[place]] = text
    for name, number in _NUMBERS.items():
        sent = columns[name]
        if sent is not None:
            columns[name] = number(sent)
    return columns
