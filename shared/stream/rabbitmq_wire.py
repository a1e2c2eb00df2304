"""Messages as AMQP carries them."""

from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Final, cast

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from shared.identity import uuid5
from shared.stream.contract import Message

#: AMQP's own timestamp has seconds; RabbitMQ's convention for milliseconds is this header.
MILLISECONDS_HEADER: Final = "timestamp_in_ms"

#: Of the broker's own headers, only ours.
_OURS: Final = "x-evnt-"

_NAMESPACE: Final = "5a3e9c6e-5b51-4d0e-9a55-6b1f4f0c2f7d"


def properties(message: Message) -> Basic.Properties:
    """Everything about a message but its body; persistent."""
    return Basic.Properties(
        delivery_mode=2,
        content_type=message.content_type,
        message_id=message.message_id,
        message_type=message.type,
        timestamp=datetime.fromtimestamp(message.timestamp_ms // 1000, UTC),
        headers={**message.headers, MILLISECONDS_HEADER: message.timestamp_ms},
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
    return cast("int", cast("Basic.Deliver", delivered.delivery).delivery_tag)


def redelivered(delivered: DeliveredMessage) -> bool:
    """Whether the broker has lent it before."""
    return bool(cast("Basic.Deliver", delivered.delivery).redelivered)


def _is_published(name: str, value: Any) -> bool:
    theirs = name.startswith("x-") and not name.startswith(_OURS)
    return isinstance(value, int | str) and not theirs and name != MILLISECONDS_HEADER


def _milliseconds(header_value: Any, timestamp: datetime | None) -> int:
    if isinstance(header_value, int):
        return header_value
    return int(timestamp.timestamp() * 1000) if timestamp else 0


def _id_of(body: bytes) -> str:
    """The same id at every delivery, for a message that has none."""
    return uuid5(_NAMESPACE, sha1(body, usedforsecurity=False).hexdigest())
