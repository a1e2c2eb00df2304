"""Request bodies: read within bounds of size and time, inflated within the same bound."""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final

from aiohttp.streams import StreamReader

#: Content-Encoding → window bits of zlib; 47 tells gzip and zlib apart by itself.
_INFLATABLE: Final = {b"gzip": 47, b"x-gzip": 47, b"deflate": 47}
_RAW_DEFLATE: Final = -15

#: Bytes that are inflated at once. What follows a stream is handed out as a copy: a body of many tiny ones, given as a
#: whole, would be copied over and over.
_STEP: Final = 4_096


@dataclass(slots=True, init=False)
class Body:
    """What was kept of a body, how many bytes more there were, and why it could not be inflated."""

    data: bytes
    unread: int
    damage: str | None

    def __init__(self, data: bytes, unread: int = 0, damage: str | None = None) -> None:
        self.data = data
        self.unread = unread
        self.damage = damage


def at_once(content: StreamReader, bound: int) -> Body | None:
    """The body, if all of it has come together with the head, as most do, and is no larger than the bound."""
    if not content.is_eof() or content.exception() is not None or content.total_bytes > bound:
        return None
    return Body(content.read_nowait())


async def read(content: StreamReader, bound: int, timeout_s: float) -> Body:
    """Up to `bound` bytes, counting the rest. Raises TimeoutError when the client is slower than that."""
    kept = bytearray()
    total = 0
    async with asyncio.timeout(timeout_s):
        while chunk := await content.readany():
            total += len(chunk)
            kept += chunk[: max(0, bound - len(kept))]
    return Body(bytes(kept), total - len(kept))


def inflated(body: Body, encoding: bytes, bound: int) -> Body:
    """The body that was compressed; what is compressed otherwise, or not at all, comes back as it is.

    Inflating stops at the bound, so of a larger one it is only known that there was more.
    """
    window = _INFLATABLE.get(encoding.strip().lower())
    if window is None or body.unread or not body.data:
        return body
    try:
        return _inflate(body.data, window, bound)
    except zlib.error as error:
        if encoding.strip().lower() == b"deflate":
            try:
                return _inflate(body.data, _RAW_DEFLATE, bound)
            except zlib.error:
                pass
        return Body(body.data, damage=f"{encoding.decode('latin-1')} body can't be inflated: {error}")


def _inflate(data: bytes, window: int, bound: int) -> Body:
    parts: list[bytes] = []
    room, place = bound + 1, 0
    stream = None
    while place < len(data):
        if stream is None:
            stream = zlib.decompressobj(window)
        step = data[place : place + _STEP]
        part = stream.decompress(step, room)
        parts.append(part)
        room -= len(part)
        if room <= 0:
            return Body(b"".join(parts)[:bound], unread=1)
        place += len(step) - len(stream.unused_data)
        if stream.eof:
            stream = None
    if stream is not None:
        raise zlib.error("it ends too early")
    return Body(b"".join(parts))
