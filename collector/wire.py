"""Answers to trackers as bytes, written at once: building and serialising a response object costs as much again."""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from collector.answer import Answer, Headers
from collector.cookies import http_date
from collector.correlation import HEADER, request_id
from shared.identity import Clock


class Rendered(web.StreamResponse):
    """An answer that is bytes already."""

    def __init__(self, status: int, data: bytes, *, keep_alive: bool) -> None:
        super().__init__(status=status)
        self._data = data
        self._keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write it."""
        if request.transport is None:
            raise ConnectionResetError("the client is gone")
        request.transport.write(self._data)
        await request.writer.drain()  # what a client does not fetch must not pile up
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """All is written already."""


class Renderer:
    """Turns answers into responses, with the headers that every answer carries."""

    def __init__(self, headers: Headers, clock: Clock) -> None:
        self._headers = headers
        self._common = _text(headers)
        self._clock = clock

    def response(self, request: web.BaseRequest, answer: Answer, *, close: bool = False) -> web.StreamResponse:
        """The response; `close` ends the connection after it."""
        if request.version != HttpVersion11:
            return self._ordinary(answer, close)
        keep_alive = request.keep_alive and not close
        data = self.render(request.method, answer, request_id.get(), keep_alive=keep_alive)
        return Rendered(answer.status, data, keep_alive=keep_alive)

    def render(self, method: str, answer: Answer, correlation: str | None, *, keep_alive: bool) -> bytes:
        """The answer to a request of HTTP/1.1."""
        status = answer.status
        last = "" if keep_alive else "Connection: close\r\n"
        # cookies and locations come first and differ from answer to answer; what follows hardly ever does
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
            f"{_first(answer.headers)}{_remembered(tuple(answer.headers[1:]))}{self._common}"
            f"{_line(HEADER, correlation) if correlation is not None else ''}"
            f"Content-Length: {len(answer.body)}\r\nDate: {http_date(self._clock() // 1000)}\r\n{last}\r\n"
        )
        body = answer.body if method != "HEAD" else b""
        return head.encode("latin-1", "replace") + body

    def _ordinary(self, answer: Answer, close: bool) -> web.StreamResponse:
        headers = CIMultiDict(answer.headers)
        headers.extend(self._headers)
        correlation = request_id.get()
        if correlation is not None:
            headers[HEADER] = correlation
        response = web.Response(status=answer.status, headers=headers, body=answer.body)
        if close:
            response.force_close()
        return response


_REASONS = {status.value: status.phrase for status in HTTPStatus}


def _first(headers: Headers) -> str:
    return _line(*headers[0]) if headers else ""


@lru_cache(maxsize=1024)
def _remembered(headers: tuple[tuple[str, str], ...]) -> str:
    return _text(headers)


def _text(headers: Sequence[tuple[str, str]]) -> str:
    return "".join([_line(name, value) for name, value in headers])


def _line(name: str, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ValueError(f"the header {name} holds a line break")
    return f"{name}: {value}\r\n"
