"""From a request on the wire to something kept: read the body, decide, commit."""

import asyncio

from aiohttp import web

from collector import bodies
from collector.answer import Answer, Headers
from collector.commit import GroupCommit, TooLate
from collector.hit import Hit
from collector.metrics import Metrics
from collector.settings import Settings
from collector.tracking import Bodies, Tracking
from shared.identity import Clock
from shared.stream.contract import StreamError

#: Seconds after which a tracker may try again when nothing can be kept.
RETRY_AFTER_S = 30

#: A body of this many bytes is looked at in a thread: splitting it would hold up everybody else.
_IN_THREAD = 1_000_000


class Refused(Exception):
    """The request can't be served to its end: answer with this status and close the connection."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Intake:
    """Takes what is recorded, of trackers and of bridged libraries."""

    def __init__(
        self, settings: Settings, tracking: Tracking, commit: GroupCommit, clock: Clock, metrics: Metrics
    ) -> None:
        self._tracking = tracking
        self._commit = commit
        self._clock = clock
        self._metrics = metrics
        self._limits = settings.collector.limits
        self._body_seconds = settings.collector.timeouts.body_seconds

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

    def read_at_once(self, request: web.BaseRequest, hit: Hit) -> bool:
        """Fill in the body, if all of it has come already. Raises Refused."""
        body = bodies.at_once(request.content, self._limits.max_payload_bytes)
        if body is None:
            return False
        self._fill(hit, body)
        return True

    async def read(self, request: web.BaseRequest, hit: Hit) -> None:
        """Wait for the body and fill it in. Raises Refused."""
        if hit.named.get(b"expect", b"").lower() == b"100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            body = await bodies.read(request.content, self._limits.max_payload_bytes, self._body_seconds)
        except TimeoutError as error:
            self._metrics.cut_off += 1
            raise Refused(408) from error
        except web.RequestPayloadError as error:
            raise Refused(400) from error
        self._fill(hit, body)

    async def keep(self, hit: Hit, path: bytes, bodies: Bodies | None = None) -> Answer:
        """The answer, once what is to be kept of the request is durable; 503 when nothing can be.

        Raises Refused when that takes too long.
        """
        now = self._clock()
        if hit.body is not None and len(hit.body) >= _IN_THREAD:
            outcome = await asyncio.to_thread(self._tracking.serve, hit, path, now, bodies)
        else:
            outcome = self._tracking.serve(hit, path, now, bodies)
        if outcome.good or outcome.bad:
            try:
                await self._commit.add(outcome.good, outcome.bad)
            except StreamError:
                self._metrics.refused += 1
                return Answer(503, [("Retry-After", str(RETRY_AFTER_S)), *_readable(outcome.answer)])
            except TooLate as error:
                raise Refused(408) from error
        return outcome.answer

    async def complain(self, error: str, payload: str) -> None:
        """Keep a bad row of a request that is no payload. Raises Refused when that is not possible."""
        try:
            await self._commit.add([], [self._tracking.generic_error(error, payload, self._clock())])
        except (StreamError, TooLate) as trouble:
            raise Refused(503) from trouble

    def client_address(self, hit: Hit) -> str:
        """The client's address as it is recorded."""
        return self._tracking.client_address(hit).decode()

    def _fill(self, hit: Hit, body: bodies.Body) -> None:
        size = len(body.data) + body.unread
        self._metrics.received_bytes += size
        most = self._limits.drop_payload_bytes
        if most is not None and size > most:
            raise Refused(413)
        encoding = hit.named.get(b"content-encoding")
        if encoding is not None:
            body = bodies.inflated(body, encoding, self._limits.max_payload_bytes)
        hit.body, hit.unread, hit.damage = body.data, body.unread, body.damage


def _readable(answer: Answer) -> Headers:
    """The headers by which a page may read even a refusal; cookies wait until something was kept."""
    return [header for header in answer.headers if header[0].startswith("Access-Control-")]
