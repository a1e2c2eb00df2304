"""Payloads too large for a record: split by events where that is possible, else told of in a bad row."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from collector import slices
from shared.badrow import Processor, bad_row, instant
from shared.payload import CollectorPayload, encode
from shared.schema import InvalidIgluUri, SchemaKey

#: Bounds of the size_violation schema.
_LONGEST_EXPECTATION = 256
_LARGEST_SIZE = 2**30

_TOO_LARGE_AROUND = 'cannot split this POST request because event without "data" field is still too big'

_COMPLAINTS = {"INVALID_IGLUURI": "Invalid Iglu URI", "INVALID_SCHEMAVER": "Invalid schema version"}

#: Bytes that an event costs in its array beside its own: the comma.
_JOIN = 1


@dataclass(frozen=True, slots=True)
class Sizes:
    """record: a payload of this many bytes or more is split. payload: one above it is not even read."""

    record: int
    payload: int


class _Unsplittable(Exception):
    """Why no split is possible."""


def split_and_serialize(
    payload: CollectorPayload, sizes: Sizes, processor: Processor, now_ms: int
) -> tuple[list[bytes], list[bytes]]:
    """Records and bad rows. Every event is in exactly one of them, but for what a bad row cuts off."""
    whole = encode(payload)
    if len(whole) < sizes.record:
        return [whole], []

    def violation(about: CollectorPayload, size: int, limit: int, expectation: str) -> bytes:
        return size_violation(about, size, limit, expectation, sizes.record // 10, processor, now_ms)

    if len(whole) > sizes.payload:
        expectation = f"Payload exceeds max size of {sizes.payload}. Actual length: {len(whole)}"
        return [], [violation(payload, len(whole), sizes.payload, expectation)]
    try:
        schema, batches, oversized = _divided(payload.body, len(whole), sizes)
    except _Unsplittable as reason:
        return [], [violation(payload, len(whole), sizes.record, str(reason))]
    too_large_alone = "this POST request split is still too large"
    return (
        [encode(_with_events(payload, schema, batch)) for batch in batches],
        [
            violation(_with_events(payload, schema, [event]), len(event.encode()), sizes.record, too_large_alone)
            for event in oversized
        ],
    )


def _divided(body: str | None, size: int, sizes: Sizes) -> tuple[str, list[list[str]], list[str]]:
    """The envelope's schema, and its events: in batches that fit into a record each, and those that fit into none.

    size: of the whole record.
    """
    schema, data, aside = _envelope(body)
    rest = size - len(data.encode()) - sum(len(text.encode()) for text in aside.values())
    if rest >= sizes.record:
        raise _Unsplittable(_TOO_LARGE_AROUND)
    events = slices.items(data)
    batches, oversized = split([event for event in events if event not in aside], sizes.record - rest)
    # what nobody can read costs none of its neighbours
    for event in [aside[event] for event in events if event in aside]:
        alone, too_large = split([event], sizes.record - rest)
        batches += alone
        oversized += too_large
    # what surrounds the events is repeated in each: large headers and small events would be gigabytes
    if (len(batches) + len(oversized)) * rest > max(sizes.payload, 2 * size):
        raise _Unsplittable(_TOO_LARGE_AROUND)
    return schema, batches, oversized


def split(events: Iterable[str], budget: int, join: int = _JOIN) -> tuple[list[list[str]], list[str]]:
    """Events in batches of at most `budget` bytes, in order, and those that are too large alone.

    join: bytes that an event costs beside its own.
    """
    batches: list[list[str]] = []
    oversized: list[str] = []
    current = budget
    for event in events:
        size = len(event.encode()) + join
        if size > budget:
            oversized.append(event)
            continue
        if size + current > budget:
            batches.append([])
            current = 0
        batches[-1].append(event)
        current += size
    return batches, oversized


def _envelope(body: str | None) -> tuple[str, str, dict[str, str]]:
    """The texts of `schema` and of the array `data`, and what stands in that by its name only."""
    if body is None:
        raise _Unsplittable("GET requests cannot be split")
    aside: dict[str, str] = {}
    try:
        try:
            document = slices.parse(body)
        except slices.TooDeep:
            body, aside = slices.set_aside(body)
            document = slices.parse(body)
    except slices.NotJson as error:
        raise _Unsplittable(f"cannot split POST requests which are not json {error}") from error
    complaint = _not_self_describing(document)
    if complaint:
        raise _Unsplittable(f"cannot split POST requests which are not self-describing {complaint}")
    if not isinstance(document["data"], list):
        raise _Unsplittable("cannot split POST requests which do not contain a data array")
    parts = slices.members(slices.compact(body))
    return parts["schema"], parts["data"], aside


def _not_self_describing(document: object) -> str | None:
    """In the words of the decoder that the Scala collectors use."""
    if not isinstance(document, dict):
        return "JsonObject"
    if "schema" not in document:
        return "schema key is not available"
    schema = document["schema"]
    if not isinstance(schema, str):
        return "String"
    try:
        SchemaKey.parse(schema)
    except InvalidIgluUri as error:
        return f"{_COMPLAINTS[error.code]}: {schema}, code: {error.code}"
    return None if "data" in document else "data key is not available"


def _with_events(payload: CollectorPayload, schema: str, events: list[str]) -> CollectorPayload:
    return replace(payload, body=f'{{"schema":{schema},"data":[{",".join(events)}]}}')


def size_violation(
    payload: CollectorPayload, size: int, limit: int, expectation: str, shown: int, processor: Processor, now_ms: int
) -> bytes:
    """The bad row; it quotes the first `shown` characters of the payload."""
    failure = {
        "timestamp": instant(now_ms),
        "maximumAllowedSizeBytes": min(limit, _LARGEST_SIZE),
        "actualSizeBytes": min(size, _LARGEST_SIZE),
        "expectation": f"oversized collector payload: {expectation}"[:_LONGEST_EXPECTATION],
    }
    return bad_row("size_violation", processor, failure, rendered(payload)[:shown])


def rendered(payload: CollectorPayload) -> str:
    """The payload as the Scala collectors show it in bad rows."""
    headers = None if payload.headers is None else f"[{', '.join(payload.headers)}]"
    always = [
        ("schema", payload.schema),
        ("ipAddress", payload.ip_address),
        ("timestamp", str(payload.timestamp)),
        ("encoding", payload.encoding),
        ("collector", payload.collector),
    ]
    where_set = [
        ("userAgent", payload.user_agent),
        ("refererUri", payload.referer_uri),
        ("path", payload.path),
        ("querystring", payload.querystring),
        ("body", payload.body),
        ("headers", headers),
        ("contentType", payload.content_type),
        ("hostname", payload.hostname),
        ("networkUserId", payload.network_userid),
    ]
    shown = [f"{name}:{'null' if value is None else value}" for name, value in always]
    shown += [f"{name}:{value}" for name, value in where_set if value is not None]
    return f"CollectorPayload({', '.join(shown)})"
