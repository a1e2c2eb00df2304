"""The stream port: what the three processes ask of a transport, and no more.

A transport moves bytes; it reads no body and decides nothing about it. Errors are named by the caller's duty:

StreamError
├── StreamUnavailable   wait and try the same call again; nothing of it is known to be lost or owned
└── MessageRefused      never try this message again: the transport cannot hold it (too large, unroutable)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

#: Where a process publishes to. Each is an exchange on RabbitMQ.
StreamName = Literal["raw", "enriched", "failed", "bad"]

#: Where a process consumes from. Competing consumers of one queue share its messages.
QueueName = Literal["raw", "enriched", "failed", "bad-rows.load"]

#: What can be read again and again without consuming it.
LogName = Literal["bad-rows", "raw.archive"]


class StreamError(Exception):
    """The transport did not do what it was asked."""


class StreamUnavailable(StreamError):
    """The transport can't be reached or takes nothing now: hold what you have, back off, try again."""


class MessageRefused(StreamError):
    """The transport will never take this message: turn it into a bad row or report it.

    most: bytes of a body that it takes, where the message is too large.
    """

    def __init__(self, reason: str, most: int | None = None) -> None:
        super().__init__(reason)
        self.most = most


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream; docs/streams.md says what the bodies are.

    message_id: a UUID, set once by whoever made the message, kept when it is published again.
    timestamp_ms: Unix milliseconds.
    type: what the body is: `collector-payload`, `enriched-tsv`, `failed-tsv`, `bad-row`.
    headers: counts and the schemas that occur, so that a reader need not parse a body to account for it.
    """

    body: bytes
    message_id: str
    timestamp_ms: int
    type: str
    content_type: str
    headers: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message lent to one consumer until it acks, releases or buries it.

    attempts: deliveries so far, this one included, as far as the transport knows; `redelivered` is exact.
    tag: the transport's own handle.
    """

    message: Message
    redelivered: bool
    attempts: int
    tag: object


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A message at its place in a log; offsets grow, with gaps."""

    offset: int
    message: Message


class Posted(Protocol):
    """A publish that nobody waits in. owned: whether the stream durably owns every message by now.

    late: whether it was given up since some were not answered in time.
    """

    @property
    def owned(self) -> bool: ...

    @property
    def late(self) -> bool: ...


class Publisher(Protocol):
    """Puts messages on streams. One instance serves all tasks of a process, any number of calls at once."""

    @property
    def ready(self) -> bool:
        """False while the broker is unreachable or blocks publishers: stop intake or spool."""

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        """Return once the stream durably owns every message.

        Raises StreamUnavailable (some may be owned: publishing them again makes duplicates, not losses) or
        MessageRefused.
        """

    async def close(self) -> None:
        """Wait for what is outstanding, then let go of the connection."""


@runtime_checkable
class Poster(Protocol):
    """What a publisher may offer besides, for who publishes often: it costs no task, and no turn of the loop."""

    def post(
        self, stream: StreamName, messages: Sequence[Message], timeout_s: float, ended: Callable[[Posted], None]
    ) -> bool:
        """Begin to publish; False where that can't begin at once, of which `publish` says why.

        ended: called once, in the turn of the loop that reads the last answer, when `timeout_s` is over, or when the
        line breaks. What is not owned then goes on with `resume`, or elsewhere.
        """

    async def resume(self, stream: StreamName, messages: Sequence[Message], posted: Posted) -> None:
        """As `publish`, with what became of the messages so far: those that are owned are not sent again."""


class Subscriber(Protocol):
    """Takes messages from one queue. A living subscriber keeps its deliveries however long it holds them.

    No method raises for an outage: the subscriber waits and tries again by itself, or what was lent comes again.
    """

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        """Up to `limit` deliveries, oldest first; waits at most `wait_s` seconds for the first one, then [].

        During an outage of the broker it waits and reconnects; deliveries lent before are void then (their ack
        is ignored) and come again with `redelivered`.
        """

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """These are done with. Void deliveries are ignored. Returns at once."""

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give back, for any consumer, as redelivered. Not a way to express an outage: hold instead."""

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Move poison to the queue's dead queue, where an operator finds it with the reason.

        It leaves the queue only when the dead queue owns it.
        """

    async def close(self) -> None:
        """Release what is still lent and let go of the connection."""


class LogReader(Protocol):
    """Reads a log from any place without consuming anything."""

    async def read(self, after: int | None, limit: int, wait_s: float = 0) -> list[LogRecord]:
        """Up to `limit` records with an offset above `after` (None: from the oldest kept), in order.

        Waits at most `wait_s` seconds for the first. Raises StreamUnavailable.
        """

    async def newest(self) -> int | None:
        """Offset of the newest record, so that who publishes while reading knows where to stop; None: there is none.

        Raises StreamUnavailable.
        """

    async def close(self) -> None:
        """Let go of the connection."""


class DeadLetters(Protocol):
    """Poison of one queue, for an operator: not fast, and not for a process."""

    async def peek(self, limit: int) -> list[Message]:
        """Up to `limit` of the oldest, which stay. Their headers say why they are here."""

    async def replay(self, limit: int) -> int:
        """Give up to `limit` of the oldest back to their queue, as if new; returns how many."""

    async def purge(self) -> int:
        """Remove all of them for good; returns how many."""

    async def close(self) -> None:
        """Let go of the connection."""
