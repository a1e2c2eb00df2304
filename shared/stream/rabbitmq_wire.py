"""Messages as AMQP carries them."""

from datetime import datetime
from hashlib import sha1
from struct import Struct
from typing import Any, Final, cast

from aiormq.abc import DeliveredMessage

from shared.identity import uuid5
from shared.stream.contract import Message

#: AMQP's own timestamp has seconds; RabbitMQ's convention for milliseconds is this header.
MILLISECONDS_HEADER: Final = "timestamp_in_ms"

#: Of the broker's own headers, only ours.
_OURS: Final = "x-evnt-"

#: What a publish begins with: class, method, and nothing.
_PUBLISH: Final = Struct(">HHH")
_MANDATORY: Final = b"\x01"

#: What a content header begins with: class, weight, size of the body, and which properties follow: content type,
#: headers, delivery mode, message id, timestamp and type, in this order.
_CONTENT: Final = Struct(">HHQH")
_BASIC: Final = 60
_FLAGS: Final = 0b1011_0000_1110_0000
_TABLE: Final = Struct(">I")
_TIME: Final = Struct(">Q")
_PERSISTENT: Final = b"\x02"

#: A whole number in a table, and how a text is announced there.
_NUMBER: Final = Struct(">cq")
_TEXT: Final = Struct(">cI")

_NAMESPACE: Final = "5a3e9c6e-5b51-4d0e-9a55-6b1f4f0c2f7d"


def publish_method(exchange: str, routing_key: str) -> bytes:
    """The payload of the frame that a publish begins with; mandatory.

    This and the next are written here since the library's general way takes half of what a publish costs.
    """
    return _PUBLISH.pack(_BASIC, 40, 0) + _short(exchange) + _short(routing_key) + _MANDATORY


def content_header(message: Message) -> bytes:
    """The payload of the frame that says everything about a message but its body; persistent."""
    table = b"".join(_entry(name, value) for name, value in message.headers.items())
    table += _entry(MILLISECONDS_HEADER, message.timestamp_ms)
    return b"".join(
        (
            _CONTENT.pack(_BASIC, 0, len(message.body), _FLAGS),
            _short(message.content_type),
            _TABLE.pack(len(table)),
            table,
            _PERSISTENT,
            _short(message.message_id),
            _TIME.pack(max(0, message.timestamp_ms // 1000)),
            _short(message.type),
        )
    )


def message(delivered: DeliveredMessage) -> Message:
    """What somebody published, be it evnt or another program that leaves properties out."""
    found = delivered.header.properties
    headers: dict[str, Any] = found.headers or {}
    return Message(
        body=delivered.body,
        message_id=found.message_id or _id_of(delivered.body),
        timestamp_ms=_milliseconds(headers.get(MILLISECONDS_HEADER), found.timestamp),
        type=found.message_type or "",
        content_type=found.content_type or "",
        headers={name: value for name, value in headers.items() if _is_published(name, value)},
    )


def header(delivered: DeliveredMessage, name: str) -> Any:
    """A header of the broker's own, or None."""
    return (delivered.header.properties.headers or {}).get(name)


def tag(delivered: DeliveredMessage) -> int:
    """The number that an ack names."""
    delivery: Any = delivered.delivery
    return cast("int", delivery.delivery_tag)


def redelivered(delivered: DeliveredMessage) -> bool:
    """Whether the broker has lent it before."""
    delivery: Any = delivered.delivery
    return bool(delivery.redelivered)


def _is_published(name: str, value: Any) -> bool:
    theirs = name.startswith("x-") and not name.startswith(_OURS)
    return isinstance(value, int | str) and not theirs and name != MILLISECONDS_HEADER


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded


def _entry(name: str, value: int | str) -> bytes:
    if isinstance(value, int):
        return _short(name) + _NUMBER.pack(b"l", value)
    encoded = value.encode()
    return _short(name) + _TEXT.pack(b"S", len(encoded)) + encoded


def _milliseconds(header_value: Any, timestamp: datetime | None) -> int:
    if isinstance(header_value, int):
        return header_value
    return int(timestamp.timestamp() * 1000) if timestamp else 0


def _id_of(body: bytes) -> str:
    """The same id at every delivery, for a message that has none."""
    return uuid5(_NAMESPACE, sha1(body, usedforsecurity=False).hexdigest())
