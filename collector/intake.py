"""From a request on the wire to something kept: read the body, decide, commit."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import HttpVersion11, StreamReader, web

from collector import bodies
from collector.answer import Answer, Headers
from collector.commit import GroupCommit, TooLate
from collector.hit import Hit
from collector.metrics import Metrics
from collector.settings import Settings
from collector.tracking import Bodies, Outcome, Tracking
from shared.identity import Clock
from shared.stream.contract import StreamError

#: Seconds after which a tracker may try again when nothing can be kept.
RETRY_AFTER_S: Final = 30

#: A body of this many bytes is looked at in a thread: splitting it would hold up everybody else.
IN_THREAD: Final = 1_000_000


class Refused(Exception):
    """The request can't be served to its end: answer with this status and close the connection."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Intake:
    """Takes what is recorded, of trackers and of bridged libraries.

    most_body_bytes: bytes of a body above which it is not kept whole.
    """

    def __init__(
        self, settings: Settings, tracking: Tracking, commit: GroupCommit, clock: Clock, metrics: Metrics
    ) -> None:
        self._tracking = tracking
        self._commit = commit
        self._clock = clock
        self._metrics = metrics
        self._drop_bytes = settings.collector.limits.drop_payload_bytes
        self._body_seconds = settings.collector.timeouts.body_seconds
        limits = settings.collector.limits
        # what is a record as it is is one, whatever the bound of what is split
        self.most_body_bytes = max(limits.max_payload_bytes, limits.max_record_bytes)

    def hit(self, request: web.BaseRequest, query: bytes | None) -> Hit:
        """The request as a value, its body not read yet."""
        peer = request.remote
        return Hit(
            request.method,
            request.raw_path,
            query,
            request.raw_headers,
            b"" if peer is None else peer.encode(),
            secure=request.secure,
        )

    def read_at_once(self, content: StreamReader, hit: Hit) -> bool:
        """Fill in the body, if all of it has come already. Raises Refused."""
        body = bodies.at_once(content, self.most_body_bytes)
        if body is None:
            return False
        self._fill(hit, body)
        return True

    async def read(self, request: web.BaseRequest, hit: Hit) -> None:
        """Wait for the body and fill it in. Raises Refused."""
        asked = hit.named.get(b"expect", b"").lower() == b"100-continue"
        if asked and request.version >= HttpVersion11 and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            body = await bodies.read(request.content, self.most_body_bytes, self._body_seconds)
        except TimeoutError as error:
            self._metrics.cut_off += 1
            raise Refused(408) from error
        except web.RequestPayloadError as error:
            raise Refused(400) from error
        self._fill(hit, body)

    async def keep(self, hit: Hit, path: bytes, instead: Bodies | None = None) -> Answer:
        """The answer, once what is to be kept of the request is durable; 503 when nothing can be.

        instead: what is recorded in place of the body that came. Raises Refused when that takes too long.
        """
        now = self._clock()
        if hit.body is not None and len(hit.body) >= IN_THREAD:
            outcome = await asyncio.to_thread(self._tracking.serve, hit, path, now, instead)
        else:
            outcome = self._tracking.serve(hit, path, now, instead)
        return await self._answer(outcome)

    async def complain(self, error: str, payload: str) -> Answer:
        """400 to a request that is no payload, once the bad row that tells of it is durable; else as `keep`."""
        row = self._tracking.generic_error(error, payload, self._clock())
        return await self._answer(Outcome(Answer(400, []), [], [row]))

    async def _answer(self, outcome: Outcome) -> Answer:
        trouble: StreamError | TooLate | None = None
        if outcome.good or outcome.bad:
            try:
                await self._commit.add(outcome.good, outcome.bad)
            except (StreamError, TooLate) as error:
                trouble = error
        return self.judge(outcome, trouble)

    def keep_soon(self, hit: Hit, path: bytes, kept: Callable[[Outcome, StreamError | TooLate | None], None]) -> None:
        """As `keep`, for a small body, and for who is called instead of waiting, with what `judge` wants to know."""
        outcome = self._tracking.serve(hit, path, self._clock())
        if outcome.good or outcome.bad:
            self._commit.submit(outcome.good, outcome.bad, lambda trouble: kept(outcome, trouble))
        else:
            kept(outcome, None)

    def judge(self, outcome: Outcome, trouble: StreamError | TooLate | None) -> Answer:
        """The answer, now that it is known whether anything was kept. Raises Refused when that took too long."""
        if trouble is None:
            return outcome.answer
        if isinstance(trouble, TooLate):
            raise Refused(408) from trouble
        self._metrics.refused += 1
        return Answer(503, [("Retry-After", str(RETRY_AFTER_S)), *_readable(outcome.answer)])

    def client_address(self, hit: Hit) -> str:
        """The client's address as it is recorded."""
        return self._tracking.client_address(hit).decode()

    def _fill(self, hit: Hit, body: bodies.Body) -> None:
        size = len(body.data) + body.unread
        self._metrics.received_bytes += size
        if self._drop_bytes is not None and size > self._drop_bytes:
            raise Refused(413)
        encoding = hit.named.get(b"content-encoding")
        if encoding is not None:
            body = bodies.inflated(body, encoding, self.most_body_bytes)
        hit.body, hit.unread, hit.damage = body.data, body.unread, body.damage


def _readable(answer: Answer) -> Headers:
    """The headers by which a page may read even a refusal; cookies wait until something was kept."""
    return [header for header in answer.headers if header[0].startswith("Access-Control-")]
