"""Reading requests off a connection: past what aiohttp's parser loses, mixes up, or does not take though it could."""

import asyncio
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import HttpRequestParser, RawRequestMessage

from collector.mending import apart, mended

#: How a body in chunks ends, with trailers or without.
_BLANK_LINE = b"\r\n\r\n"


class Reading(web.RequestHandler):
    """A connection of aiohttp's that has read what came into its queue of messages."""

    __slots__ = ("_chunks_end", "_half_head", "_newest")

    def __init__(
        self, server: web.Server, loop: asyncio.AbstractEventLoop, **limits: int | float | bool | None
    ) -> None:
        super().__init__(server, loop=loop, **limits)  # type: ignore[arg-type] # the limits are aiohttp's own keywords
        self._newest: StreamReader = EMPTY_PAYLOAD
        self._chunks_end: bytes | None = None  # the last bytes that came, while the newest request is one in chunks
        self._half_head = False

    def data_received(self, data: bytes) -> None:
        """Raises IndexError over an address that yarl trips over."""
        begins = not self._half_head and self._newest.is_eof()
        self._forget_trailer(begins)
        known = self._request_count
        super().data_received(data)
        if self._request_count != known:
            message = self._take_newest()
            self._half_head = False
            if begins and (not isinstance(message, RawRequestMessage) or message.upgrade):
                self._read_lost(data, known)
        elif begins and data:
            self._half_head = True
        self._watch_chunks(data, new=self._request_count != known)

    def _watch_chunks(self, data: bytes, *, new: bool) -> None:
        if new:
            newest = self._messages[-1][0] if self._messages else None
            self._chunks_end = b"" if isinstance(newest, RawRequestMessage) and newest.chunked else None
        if self._chunks_end is not None:
            self._chunks_end = (self._chunks_end + data)[-len(_BLANK_LINE) :]

    def _forget_trailer(self, begins: bool) -> None:
        """Begin with a new parser after a body in chunks: aiohttp's gives its trailer to the next request."""
        if begins and self._chunks_end == _BLANK_LINE and not self._messages and not self._request_in_progress:
            self._parser = self._new_parser()

    def _read_lost(self, data: bytes, known: int) -> None:
        """Read what aiohttp loses of requests that come together: all with a broken one, what follows an upgrade."""
        pieces = apart(data)
        if isinstance(self._messages[-1][0], RawRequestMessage):
            self._read_apart([] if self._upgraded else pieces[self._request_count - known :])
        elif len(pieces) == 1:
            self._mend(data)
        else:
            self._forget_newest()
            self._read_apart(pieces)

    def _read_apart(self, pieces: list[bytes]) -> None:
        """Read requests one by one. One that can't be mended is the last, since nobody knows where the next begins."""
        for piece in pieces:
            begins, known = self._newest.is_eof(), self._request_count
            super().data_received(piece)
            self._half_head = begins and self._request_count == known
            if self._request_count == known:
                continue
            message = self._take_newest()
            if not isinstance(message, RawRequestMessage) and not (begins and self._mend(piece)):
                return

    def _mend(self, data: bytes) -> bool:
        """Whether what could not be parsed, a request from its beginning on, could be mended; then it is read."""
        repaired = mended(data)
        if repaired is None:
            return False
        self._forget_newest()
        known = self._request_count
        super().data_received(repaired)
        self._half_head = self._request_count == known
        self._newest = EMPTY_PAYLOAD if self._half_head else self._messages[-1][1]
        return True

    def _take_newest(self) -> Any:
        """The newest message; where that is none, the body in whose place it came is never completed."""
        unfinished = self._newest
        message, self._newest = self._messages[-1]
        if not isinstance(message, RawRequestMessage) and not unfinished.is_eof():
            unfinished.set_exception(web.RequestPayloadError("the body is broken"))
            unfinished.feed_eof()
        return message

    def _forget_newest(self) -> None:
        """Begin anew where a request could not be parsed."""
        self._messages.pop()
        self._request_count -= 1
        self._parser = self._new_parser()

    def _new_parser(self) -> HttpRequestParser:
        return HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )
