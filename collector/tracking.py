"""From a request to its answer and what is kept of it. Pure: no sockets, no clock, no randomness of its own."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from collector.address import ClientAddress
from collector.answer import PIXEL, Answer, Headers
from collector.hit import Hit
from collector.origins import Origins
from collector.queries import complaint
from collector.record import Recorder
from collector.redirects import Redirects, bounce_location, own_address
from collector.settings import ClientIpSettings, Settings
from collector.splitting import Sizes, size_violation, split_and_serialize
from collector.visitor import Visitor, Visitors
from shared.badrow import Processor, bad_row, instant
from shared.identity import NewId
from shared.payload import CollectorPayload, Encoder
from shared.payload_reader import decode

_PIXEL_HEADER: Final = ("Content-Type", "image/gif")
_TEXT_HEADER: Final = ("Content-Type", "text/plain")
_NO_CACHE: Final = ("Cache-Control", "no-cache, no-store, must-revalidate")


#: Network user id → the bodies to record.
Bodies = Callable[[str], Iterable[bytes]]


@dataclass(slots=True, init=False)
class Outcome:
    """The answer to give once `good` and `bad` are durable."""

    answer: Answer
    good: list[bytes]
    bad: list[bytes]

    def __init__(self, answer: Answer, good: list[bytes], bad: list[bytes]) -> None:
        self.answer = answer
        self.good = good
        self.bad = bad


class Tracking:
    """Serves tracker routes by the configured rules."""

    def __init__(self, settings: Settings, collector: str, processor: Processor, new_id: NewId) -> None:
        rules = settings.collector
        self._visitors = Visitors(rules, new_id)
        self._recorder = Recorder(Encoder(collector), ClientAddress(_client_ip(settings)))
        self._redirects = Redirects(rules)
        self._origins = Origins(settings.security, rules.cors)
        self._bounce = rules.cookie_bounce
        self._sizes = Sizes(rules.limits.max_record_bytes, rules.limits.max_payload_bytes)
        self._processor = processor
        policy = f'policyref="{rules.p3p.policy_ref}", CP="{rules.p3p.cp}"'
        self._p3p: Headers = [("P3P", policy)] if rules.p3p.enabled else []

    def serve(self, hit: Hit, path: bytes, now_ms: int, bodies: Bodies | None = None) -> Outcome:
        """Serve a request that is recorded under `path` at this time, Unix milliseconds.

        bodies: what to record instead of the body that came, one record each.
        """
        unwritable = complaint(hit.query)
        if unwritable is not None:
            query = (hit.query or b"").decode("utf-8", "replace")
            return Outcome(Answer(200, []), [], [self.generic_error(unwritable, query, now_ms)])
        visitor = self._visitors.recognise(hit, now_ms)
        redirect = path.startswith(b"/r/")
        if self._bounce.enabled and visitor.source == "new" and hit.pixel and not redirect:
            location = own_address(hit, self._bounce.forwarded_protocol_header)
            headers = [("Location", bounce_location(location, self._bounce.name)), *self._headers(hit, visitor)]
            return Outcome(Answer(302, headers), [], [])
        answer = self._redirect(hit, visitor) if redirect else self._plain(hit, visitor)
        if visitor.opted_out:
            return Outcome(answer, [], [])
        outcome = Outcome(answer, [], [])
        for body in [hit.body] if bodies is None else bodies(visitor.network_userid):
            hit.body = body
            self._record(hit, path, visitor.network_userid, now_ms, outcome)
        return outcome

    def client_address(self, hit: Hit) -> bytes:
        """The client's address as it would be recorded."""
        return self._recorder.address(hit)

    def generic_error(self, error: str, payload: str, now_ms: int) -> bytes:
        """The bad row of something that is no payload."""
        failure = {"timestamp": instant(now_ms), "errors": [error]}
        return bad_row("generic_error", self._processor, failure, payload)

    def _record(self, hit: Hit, path: bytes, network_userid: str, now_ms: int, outcome: Outcome) -> None:
        record = self._recorder.record(hit, path, network_userid, now_ms)
        if len(record) < self._sizes.record and hit.damage is None and not hit.unread:
            outcome.good.append(record)
            return
        good, bad = self._exceptional(hit, record, now_ms)
        outcome.good += good
        outcome.bad += bad

    def _exceptional(self, hit: Hit, record: bytes, now_ms: int) -> tuple[list[bytes], list[bytes]]:
        """Records and bad rows of a request that can't be recorded as it is."""
        if hit.damage is not None:
            return [], [self.generic_error(hit.damage, b64encode(hit.body or b"").decode(), now_ms)]
        payload = next(payload for payload in decode(record) if isinstance(payload, CollectorPayload))
        if not hit.unread:
            return split_and_serialize(payload, self._sizes, self._processor, now_ms)
        size, limit = len(record) + hit.unread, self._sizes.payload
        expectation = f"Payload exceeds max size of {limit}. Actual length: {size}"
        return [], [
            size_violation(payload, size, limit, expectation, self._sizes.record // 10, self._processor, now_ms)
        ]

    def _plain(self, hit: Hit, visitor: Visitor) -> Answer:
        headers = self._headers(hit, visitor)
        if hit.pixel:
            headers.append(_PIXEL_HEADER)
            return Answer(200, headers, PIXEL)
        headers.append(_TEXT_HEADER)
        return Answer(200, headers, b"ok")

    def _redirect(self, hit: Hit, visitor: Visitor) -> Answer:
        target = self._redirects.target(hit.query, visitor.network_userid)
        if target is None:
            return Answer(400, self._headers(hit, visitor))
        return Answer(302, [("Location", target), *self._headers(hit, visitor)])

    def _headers(self, hit: Hit, visitor: Visitor) -> Headers:
        origin = hit.named.get(b"origin")
        headers: Headers = [("Set-Cookie", cookie) for cookie in visitor.set_cookies]
        if hit.pixel:
            headers.append(_NO_CACHE)
        headers += self._p3p
        headers += self._origins.headers(origin.decode("latin-1") if origin is not None else None)
        return headers


def _client_ip(settings: Settings) -> ClientIpSettings:
    header = settings.common.user_ip_header
    return settings.collector.client_ip.model_copy(update={"headers": (header,)} if header else {})
