"""Messages of the streams, made of records and bad rows."""

from base64 import b64encode
from typing import Final

from collector.settings import RawSettings
from shared.badrow import Processor, bad_row, instant
from shared.identity import NewId
from shared.rawmessage import pack
from shared.stream.contract import Message

#: Part of the largest message that such a row quotes.
_QUOTED: Final = 10


class Messages:
    """Makes messages of the configured size and compression."""

    def __init__(self, settings: RawSettings, new_id: NewId) -> None:
        self._settings = settings
        self._new_id = new_id

    def raw(self, records: list[bytes], now: int) -> list[Message]:
        """Messages of the raw stream at this time, Unix milliseconds; at least one."""
        found: list[Message] = []
        chunk: list[bytes] = []
        size = 0
        for record in records:
            too_large = size + len(record) > self._settings.bytes_per_message
            if chunk and (too_large or len(chunk) >= self._settings.payloads_per_message):
                found.append(self._raw(chunk, now))
                chunk, size = [], 0
            chunk.append(record)
            size += len(record)
        return [*found, self._raw(chunk, now)]

    def bad(self, row: bytes, now: int) -> Message:
        """The message of a bad row."""
        return _bad(row, self._new_id(), now)

    def _raw(self, records: list[bytes], now: int) -> Message:
        method = self._settings.compression
        body = b"".join(records) if method == "none" else pack(records, method)
        content_type = "application/x-thrift" if method == "none" else f"application/{method}"
        headers = {"payloads": len(records)}
        return Message(body, self._new_id(), now, "collector-payload", content_type, headers)


def refused_message(message: Message, reason: str, processor: Processor) -> Message:
    """The bad row of a message that a transport will never take, with all of it, under the same id."""
    failure = {"timestamp": instant(message.timestamp_ms), "errors": [reason]}
    row = bad_row("generic_error", processor, failure, b64encode(message.body).decode())
    return _bad(row, message.message_id, message.timestamp_ms)


def shortened(row: Message, most: int, processor: Processor) -> Message:
    """What tells of a bad row that a transport will never take since it has more than `most` bytes: its beginning."""
    failure = {
        "timestamp": instant(row.timestamp_ms),
        "maximumAllowedSizeBytes": most,
        "actualSizeBytes": len(row.body),
        "expectation": f"Bad row exceeds the maximum allowed size of {most} bytes",
    }
    # six bytes stand for a control character, and the stream shall take this one
    quoted = row.body[: most // _QUOTED].decode("utf-8", "replace")
    body = bad_row("size_violation", processor, failure, quoted)
    return _bad(body, row.message_id, row.timestamp_ms)


def _bad(row: bytes, message_id: str, now: int) -> Message:
    # the type stands at a fixed place in the row: "…badrows/<type>/jsonschema/…"
    kind = row.partition(b".badrows/")[2].partition(b"/")[0].decode()
    return Message(row, message_id, now, "bad-row", "application/json", {"type": kind})
