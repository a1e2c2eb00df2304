"""What is written for publishes and what the broker's confirms mean, past the client library's queues and tasks.

The library takes three turns of the event loop from a confirm to who waits for it, and two from a publish to the
socket: with requests between them, most of what a tracker waits, and most of what a publish costs. It still does all
that is rare: connects, declares, beats its heart and hangs up.
"""

import struct
from collections.abc import Callable, Sequence
from enum import Enum, auto
from itertools import takewhile
from typing import Final

from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from shared.stream.contract import Message
from shared.stream.rabbitmq_wire import content_header, publish_method

#: A frame: kind, channel and size before its payload, one byte after it.
_HEAD: Final = struct.Struct(">BHI")
_HEAD_SIZE: Final = 7
_END: Final = b"\xce"
_METHOD: Final = 1
_HEADER: Final = 2
_BODY: Final = 3
_HEARTBEAT: Final = 8
_KINDS: Final = (_METHOD, _HEADER, _BODY, _HEARTBEAT)

#: Class and method that the payload of a method's frame begins with, and what follows them in a confirm: a delivery
#: tag, and bits of which the first says that all tags before it are meant too.
_ACK: Final = b"\x00\x3c\x00\x50"
_NACK: Final = b"\x00\x3c\x00\x78"
_RETURN: Final = b"\x00\x3c\x00\x32"
_CONFIRM: Final = struct.Struct(">QB")


class Outcome(Enum):
    """What became of one message."""

    OWNED = auto()
    REFUSED = auto()  # no queue is bound for it
    FULL = auto()  # a queue takes no more
    LATE = auto()  # no answer in time
    LOST = auto()  # the line broke before the answer


class Sent:
    """Messages that were published together. ended: called once, when each was answered or `end` was called.

    outcomes: in the order of the messages, LATE where there is no answer yet.
    """

    def __init__(self, count: int, ended: "Callable[[Sent], None]") -> None:
        self.outcomes = [Outcome.LATE] * count
        self._ended: Callable[[Sent], None] | None = ended
        self._left = count

    def settle(self, place: int, outcome: Outcome) -> None:
        self.outcomes[place] = outcome
        self._left -= 1
        if not self._left:
            self.end()

    def end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)


class Outlet:
    """A connection's way out for publishes. write: puts bytes on it, whole frames at a time. lost: it broke."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._channel = 0  # no frame about publishes comes on this one
        self._most = 0
        self._tag = 0
        self._waiting: dict[int, tuple[Sent, int, str]] = {}
        self._returned: set[str] = set()
        self._rest = b""
        self.lost = False

    def open(self, channel: int, most: int) -> None:
        """Publish on this channel, in confirm mode and not used before; most: bytes of a body that a frame may hold."""
        self._channel = channel
        self._most = most if most > 0 else 2**32 - 1

    def send(self, exchange: str, routing_key: str, messages: Sequence[Message], ended: Callable[[Sent], None]) -> Sent:
        """Publish to an exchange, mandatory; on a line that is lost it ends before this returns."""
        sent = Sent(len(messages), ended)
        publish, parts = publish_method(exchange, routing_key), list[bytes]()
        for message in messages:
            self._frame(_METHOD, publish, parts)
            self._frame(_HEADER, content_header(message), parts)
            for begin in range(0, len(message.body), self._most):
                self._frame(_BODY, message.body[begin : begin + self._most], parts)
        for place, message in enumerate(messages):
            self._tag += 1
            self._waiting[self._tag] = (sent, place, message.message_id)
        if self.lost:
            self.lose()
        else:
            self._write(b"".join(parts))
        return sent

    def read(self, data: bytes) -> bytes:
        """Take in what the broker sent next; return the whole frames of it that are not about publishes."""
        if self._rest:
            data = self._rest + data
        place = begin = 0  # of the frame, and of what is to be returned
        others = b""
        while place + _HEAD_SIZE <= len(data):
            kind, channel, size = _HEAD.unpack_from(data, place)
            end = place + _HEAD_SIZE + size + len(_END)
            if kind not in _KINDS:
                end = len(data)  # this is not AMQP, which the library shall say
            if end > len(data):
                break
            if channel == self._channel and self._takes(kind, data[place:end]):
                others += data[begin:place]
                begin = end
            place = end
        self._rest = data[place:]
        return others + data[begin:place]

    def lose(self) -> None:
        """The line broke: nothing is confirmed any more."""
        self.lost = True
        waiting, self._waiting = self._waiting, {}
        for sent, place, _ in waiting.values():
            sent.settle(place, Outcome.LOST)

    def _frame(self, kind: int, payload: bytes, parts: list[bytes]) -> None:
        parts += (_HEAD.pack(kind, self._channel, len(payload)), payload, _END)

    def _takes(self, kind: int, frame: bytes) -> bool:
        """Whether this is about publishes. On this channel all content is of messages that come back."""
        if kind == _BODY:
            return True
        if kind == _HEADER:
            header = unmarshal(frame)[2]
            if isinstance(header, ContentHeader):
                self._returned.add(header.properties.message_id or "")
            return True
        method = frame[_HEAD_SIZE : _HEAD_SIZE + 4]
        if method in (_ACK, _NACK):
            tag, bits = _CONFIRM.unpack_from(frame, _HEAD_SIZE + 4)
            self._confirm(tag, bool(bits & 1), Outcome.OWNED if method == _ACK else Outcome.FULL)
            return True
        return kind == _METHOD and method == _RETURN

    def _confirm(self, tag: int, multiple: bool, outcome: Outcome) -> None:
        # tags were added in their order; 0 stands for all that there are
        tags = list(takewhile(lambda one: one <= tag or not tag, self._waiting)) if multiple else [tag]
        for one in tags:
            found = self._waiting.pop(one, None)
            if found is None:
                continue  # the channel was lost meanwhile
            sent, place, message_id = found
            if message_id in self._returned:  # comes back before its confirm
                self._returned.discard(message_id)
                sent.settle(place, Outcome.REFUSED)
            else:
                sent.settle(place, outcome)
