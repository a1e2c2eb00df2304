"""A message of the raw stream: payloads back to back as payload.py writes them, or a batch of them, compressed.

Batches are Snowplow's own format, which its Enrich 6 reads too: a gzip or zstd stream of two bytes 01 01 (version, kind
of payload), then of each record its length in four bytes and its Thrift bytes.
"""

import gzip
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from typing import Final, Literal

from shared import payload_reader
from shared.payload import CollectorPayload
from shared.payload_reader import Damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Method = Literal["gzip", "zstd"]

#: First bytes of a compressed stream; no Thrift struct begins with these.
_MAGIC: Final[dict[bytes, Method]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_HEADER: Final = b"\x01\x01"
#: What Java reads behind the end of a stream.
_NO_HEADER: Final = (-1, -1)
_LENGTH: Final = struct.Struct(">i")

#: The fastest of either: the next levels take twice the time for a tenth less.
_LEVEL: Final = 1

#: Bytes at a time when a record is passed over.
_STEP: Final = 1 << 16

CORRUPT: Final = "corrupt compressed payload"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message, or its tail, that is no batch. record: the whole message."""

    record: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A record in a batch that is longer than one may be. record: the whole message. size: of what is too large."""

    record: bytes
    size: int
    method: Method


Read = CollectorPayload | Damaged | Unreadable | TooLarge


def pack(records: Sequence[bytes], method: Method) -> bytes:
    parts = [_HEADER]
    for record in records:
        parts += (_LENGTH.pack(len(record)), record)
    plain = b"".join(parts)
    if method == "gzip":
        return zlib.compress(plain, _LEVEL, wbits=31)
    return zstd.compress(plain, _LEVEL)


def method_of(message: bytes) -> Method | None:
    """How a message is compressed; None for a plain one."""
    return _MAGIC.get(message[:2]) or _MAGIC.get(message[:4])


def read(message: bytes, longest: int) -> Iterator[Read]:
    """The payloads of a message, compressed or not, in order; what can't be read is told, and what came before counts.

    longest: bytes that one record of a batch may have. Memory is bounded by it, not by what a batch grows to.
    """
    method = method_of(message)
    return payload_reader.decode(message) if method is None else _inflated(message, method, longest)


def _inflated(message: bytes, method: Method, longest: int) -> Iterator[Read]:
    try:
        with _opened(message, method) as stream:
            yield from _read_batch(stream, message, method, longest)
    except (OSError, EOFError, zlib.error, zstd.ZstdError, _Short):
        yield Unreadable(message, CORRUPT)


class _Short(Exception):
    """The stream ends within a record, or a length is none."""


def _opened(message: bytes, method: Method) -> BufferedIOBase:
    file = BytesIO(message)
    return gzip.GzipFile(fileobj=file) if method == "gzip" else zstd.ZstdFile(file)


def _read_batch(stream: BufferedIOBase, message: bytes, method: Method, longest: int) -> Iterator[Read]:
    header = stream.read(len(_HEADER))
    if header != _HEADER:
        versions = ", ".join(map(str, [*header, *_NO_HEADER][: len(_HEADER)]))
        yield Unreadable(message, f"Unsupported versions in compressed record header: {versions}")
        return
    while head := stream.read(_LENGTH.size):
        if len(head) < _LENGTH.size:
            raise _Short
        (length,) = _LENGTH.unpack(head)
        if length < 0:
            raise _Short
        if length > longest:
            yield TooLarge(message, length, method)
            _pass_over(stream, length)
        else:
            yield from payload_reader.decode(_exactly(stream, length))


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise _Short
    return found


def _pass_over(stream: BufferedIOBase, size: int) -> None:
    """A stream may end in such a record: that it is too large is all that is told of it."""
    while size and (passed := stream.read(min(size, _STEP))):
        size -= len(passed)
