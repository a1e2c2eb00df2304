"""The short way of a tracker's request: from the parsed message to the answer's bytes.

aiohttp spends a task, a request and a response object on every request, half of what a small one costs. A request
that has come completely needs none of them. Whatever is unusual about one goes the ordinary way, with the same answer.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple, Protocol

from aiohttp import HttpVersion11, StreamReader
from aiohttp.http_writer import HttpVersion
from multidict import CIMultiDictProxy

from collector.answer import Answer
from collector.commit import TooLate
from collector.correlation import HEADER, sent_id
from collector.handlers import METHODS
from collector.hit import Header, Hit, split_target
from collector.intake import IN_THREAD, Intake, Refused
from collector.metrics import Metrics
from collector.routes import Routes
from collector.tracking import Outcome
from collector.wire import Renderer
from shared.stream.contract import StreamError

#: Told of a bug: method and target of the request that met it.
Report = Callable[[str, str, BaseException | None], None]

#: Takes the answer's bytes, and whether the connection stays open after them.
Write = Callable[[bytes, bool], None]


class Parsed(Protocol):
    """A parsed head, as aiohttp's parsers give it: that in C has a class of its own, which is no tuple."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def version(self) -> HttpVersion: ...

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...

    @property
    def raw_headers(self) -> Sequence[Header]: ...

    @property
    def should_close(self) -> bool: ...

    @property
    def upgrade(self) -> bool: ...


class Client(NamedTuple):
    """Who is at the other end of a connection: the address, and whether it speaks TLS."""

    peer: bytes
    secure: bool


class Shortcut:
    """Serves what has come completely and is a tracker's."""

    def __init__(self, routes: Routes, intake: Intake, metrics: Metrics, renderer: Renderer, report: Report) -> None:
        self._routes = routes
        self._most = min(IN_THREAD - 1, intake.most_body_bytes)
        self.intake = intake
        self.metrics = metrics
        self.renderer = renderer
        self.report = report

    def take(self, message: Parsed, content: StreamReader, client: Client, write: Write) -> bool:
        """Whether it is served here; then `write` is called once, maybe before this returns."""
        method = message.method
        if method not in METHODS or not _usual(message, content) or content.total_bytes > self._most:
            return False
        path, query = split_target(message.path.encode("utf-8", "surrogateescape"))
        recorded = self._routes.recorded_path(method, path)
        if recorded is None:
            return False
        hit = Hit(method, message.path, query, message.raw_headers, client.peer, secure=client.secure)
        _Exchange(self, message, write).run(hit, recorded, content)
        return True


def _usual(message: Parsed, content: StreamReader) -> bool:
    if message.version != HttpVersion11 or message.should_close or message.upgrade:
        return False
    if not content.is_eof() or content.exception() is not None:
        return False
    return "Content-Encoding" not in message.headers


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_begin", "_correlation", "_message", "_shortcut", "_write")

    def __init__(self, shortcut: Shortcut, message: Parsed, write: Write) -> None:
        self._shortcut = shortcut
        self._message = message
        self._write = write
        self._correlation = sent_id(message.headers.get(HEADER))
        self._begin = monotonic()
        shortcut.metrics.in_flight += 1

    def run(self, hit: Hit, recorded: bytes, content: StreamReader) -> None:
        intake = self._shortcut.intake
        try:
            if hit.method == "POST":
                intake.read_at_once(content, hit)
            intake.keep_soon(hit, recorded, self._kept)
        except Refused as refused:
            self._refuse(refused)
        except Exception as error:  # noqa: BLE001 - a bug costs this request, not the connection's other end
            self._fail(error)

    def _kept(self, outcome: Outcome, trouble: StreamError | TooLate | None) -> None:
        try:
            answer = self._shortcut.intake.judge(outcome, trouble)
            data = self._shortcut.renderer.render(self._message.method, answer, self._correlation, keep_alive=True)
        except Refused as refused:
            self._refuse(refused)
        except Exception as error:  # noqa: BLE001 - the others of the group are still to be answered
            self._fail(error)
        else:
            self._answered(answer.status, data, keep_alive=True)

    def _refuse(self, refused: Refused) -> None:
        answer = Answer(refused.status, [])
        data = self._shortcut.renderer.render(self._message.method, answer, self._correlation, keep_alive=False)
        self._answered(refused.status, data, keep_alive=False)

    def _answered(self, status: int, data: bytes, *, keep_alive: bool) -> None:
        metrics = self._shortcut.metrics
        metrics.in_flight -= 1
        metrics.answered(self._message.method, status, monotonic() - self._begin)
        self._write(data, keep_alive)

    def _fail(self, error: Exception) -> None:
        shortcut, method = self._shortcut, self._message.method
        shortcut.report(method, self._message.path, error)
        shortcut.metrics.in_flight -= 1
        shortcut.metrics.count(method, 500)
        answer = Answer(500, [("Content-Type", "text/plain; charset=utf-8")], b"Internal Server Error")
        self._write(shortcut.renderer.render(method, answer, self._correlation, keep_alive=False), False)
