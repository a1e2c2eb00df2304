"""While the broker takes nothing, events are kept on this machine's disk, and go on by themselves afterwards."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from collector.metrics import Metrics
from collector.settings import SpoolSettings
from shared.identity import Clock
from shared.settings import StreamLimits
from shared.stream import poster
from shared.stream.contract import (
    Delivery,
    Message,
    MessageRefused,
    Posted,
    Publisher,
    StreamName,
    StreamUnavailable,
    Subscriber,
)

#: Messages that are on their way out of the spool at a time.
_BATCH = 50

#: Pause before an outage is looked at again, seconds.
_PAUSE_S = 0.5

#: Longest time between two looks at what is kept, seconds: that nothing was lent may be a disk that took nothing then.
_LOOK_S = 1.0

#: More often than any message is ever lent.
_EVER = 2**31 - 1

#: Why messages are spooled of which nobody knows whether the stream has them.
_LATE = "the stream did not confirm in time"

#: Which stream a message of the spool was meant for, by its type.
_STREAMS: dict[str, StreamName] = {"collector-payload": "raw", "bad-row": "bad"}


def _stream(one: Delivery) -> StreamName:
    return _STREAMS.get(one.message.type, "raw")


def limits(bounds: SpoolSettings, of_stream: StreamLimits) -> StreamLimits:
    """What the stream holds that is a spool. It takes every message that the real one takes, and lends it any number
    of times: in an outage that says something of the collector's restarts, nothing of the message."""
    return StreamLimits(
        queue_max_bytes=bounds.max_bytes,
        log_max_bytes=0,
        message_max_bytes=of_stream.message_max_bytes,
        delivery_limit=_EVER,
    )


def told_once(notice: Callable[[str | None], None]) -> Callable[[str | None], None]:
    """To be told a reason, or None, again and again: passes on the first reason of an outage, and its end."""
    away = False

    def say(reason: str | None) -> None:
        nonlocal away
        if (reason is not None) != away:
            away = reason is not None
            notice(reason)

    return say


class Spool:
    """A stream of its own in which messages for all streams wait, oldest first. Its size is bounded by that stream."""

    def __init__(
        self,
        publisher: Publisher,
        subscriber: Subscriber,
        max_age_ms: float,
        clock: Clock,
        metrics: Metrics,
        told_of: Callable[[Message, str], Message],
        notice: Callable[[str | None], None],
    ) -> None:
        """told_of: the bad row of a message that the stream will never take, and why. notice: called with the reason
        when the spool begins to take nothing, and with None when it takes something again."""
        self._publisher = publisher
        self._subscriber = subscriber
        self._max_age_ms = max_age_ms
        self._clock = clock
        self._metrics = metrics
        self._told_of = told_of
        self._say = told_once(notice)
        self._held: list[Delivery] = []
        #: Whether the stream has to take something of what is kept before it is trusted with more.
        self.doubts = False
        self._filled = asyncio.Event()
        self._filled.set()  # an earlier process may have left something

    @property
    def trouble(self) -> str | None:
        """Why it takes nothing now; None while it does."""
        if self._held and self._clock() - self._held[0].message.timestamp_ms > self._max_age_ms:
            return "the oldest spooled event is too old"
        return None if self._publisher.ready else "the spool is full or can't be written"

    async def put(self, messages: Sequence[Message]) -> None:
        """Return once they are on disk. Raises StreamUnavailable when the spool is full or its oldest is too old."""
        try:
            await self._put(messages)
        except StreamUnavailable as error:
            self._say(str(error))
            raise
        self._say(None)

    async def _put(self, messages: Sequence[Message]) -> None:
        trouble = self.trouble
        if trouble is not None:
            raise StreamUnavailable(trouble)
        await self._publisher.publish("raw", messages)
        self._metrics.spooled += len(messages)
        self._filled.set()

    async def drain(self, target: Publisher) -> None:
        """Send what is kept to the stream it was meant for, whenever that takes messages; ends when cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._filled.wait()
            self._filled.clear()
            while held := await self._subscriber.receive(_BATCH, 0):
                self._held = held
                self._metrics.spool_oldest_ms = held[0].message.timestamp_ms
                await self._send(target, held)
                self._held = []
                if len(held) < _BATCH:
                    self._say(None)  # it is empty, or nearly
            self._metrics.spool_oldest_ms = None

    async def _send(self, target: Publisher, held: list[Delivery]) -> None:
        while not await self._sent(target, held):
            await self._pause()
        self.doubts = False
        await self._subscriber.ack(held)
        self._metrics.drained += len(held)

    async def _sent(self, target: Publisher, held: list[Delivery]) -> bool:
        if not target.ready:
            return False
        try:
            await self._publish(target, held)
        except StreamUnavailable:
            return False
        return True

    async def _publish(self, target: Publisher, held: list[Delivery]) -> None:
        try:
            for stream in ("raw", "bad"):
                messages = [one.message for one in held if _stream(one) == stream]
                if messages:
                    await target.publish(stream, messages)
        except MessageRefused:
            for one in held:
                await self._publish_one(target, one)

    async def _publish_one(self, target: Publisher, one: Delivery) -> None:
        """What will never be taken goes on as a bad row; a bad row of that kind stays in the spool's dead queue."""
        try:
            await target.publish(_stream(one), [one.message])
        except MessageRefused as refusal:
            await self._tell(target, one, str(refusal))

    async def _tell(self, target: Publisher, one: Delivery, reason: str) -> None:
        told = [self._told_of(one.message, reason)] if _stream(one) == "raw" else [one.message]
        try:
            await target.publish("bad", told)
            self._metrics.bad += 1
        except MessageRefused:
            await self._subscriber.bury([one], reason)

    async def _pause(self) -> None:
        await asyncio.sleep(_PAUSE_S)


class SpoolingPublisher:
    """Publishes to the stream, and to the spool while the stream takes nothing within the time given."""

    def __init__(
        self, stream: Publisher, spool: Spool | None, timeout_s: float, notice: Callable[[str | None], None]
    ) -> None:
        """`notice` is called with the reason when the stream is away, and with None when it is back."""
        self._stream = stream
        self._poster = poster(stream)
        self._spool = spool
        self._timeout_s = timeout_s
        self._say = told_once(notice)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be made durable now; None while it can."""
        if self._stream.ready:
            return None
        return self._spool.trouble if self._spool else "the stream takes nothing"

    @property
    def flows(self) -> bool:
        """Whether the stream itself takes messages."""
        return self._stream.ready

    @property
    def posts(self) -> bool:
        """Whether `post` may begin anything, ever."""
        return self._poster is not None

    def post(self, stream: StreamName, messages: Sequence[Message], ended: Callable[[Posted], None]) -> bool:
        """Begin to publish to the stream, as a Poster does. What is not owned at its end goes on with `publish`."""

        def told(posted: Posted) -> None:
            if posted.owned:
                self._say(None)
            ended(posted)

        if self._poster is None or self._doubted:
            return False
        return self._poster.post(stream, messages, self._timeout_s, told)

    async def publish(self, stream: StreamName, messages: Sequence[Message], posted: Posted | None = None) -> None:
        """Return once the messages are durable somewhere. Raises StreamUnavailable or MessageRefused.

        posted: what became of them so far.
        """
        reason = await self._trouble(stream, messages, posted)
        self._say(reason)
        if reason is None:
            return
        if self._spool is None:
            raise StreamUnavailable(reason)
        await self._spool.put(messages)
        if reason == _LATE:
            self._spool.doubts = True

    @property
    def _doubted(self) -> bool:
        """Whether the spool is to be preferred: on a silent line every request would wait for a confirm in vain."""
        return self._spool is not None and self._spool.doubts and self._spool.trouble is None

    async def _trouble(self, stream: StreamName, messages: Sequence[Message], posted: Posted | None) -> str | None:
        """Why the stream has not taken them; None when it has."""
        if posted is not None and posted.late:
            return _LATE
        if posted is None and self._doubted:
            return "the stream has still to confirm what the spool sends"
        if posted is None and not self._stream.ready:
            return "the stream takes nothing"
        try:
            async with asyncio.timeout(self._timeout_s):
                if posted is not None and self._poster is not None:
                    await self._poster.resume(stream, messages, posted)
                else:
                    await self._stream.publish(stream, messages)
        except (StreamUnavailable, TimeoutError) as error:
            return str(error) or _LATE
        return None
