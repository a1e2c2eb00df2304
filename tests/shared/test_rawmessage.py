"""Messages of the raw stream: plain ones, and Snowplow's compressed batches."""

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import CollectorPayload, encode
from shared.payload_reader import END_OF_BYTES, Damaged
from shared.rawmessage import CORRUPT, Method, TooLarge, Unreadable, method_of, pack, read

METHODS: tuple[Method, ...] = ("gzip", "zstd")
PAYLOADS = [CollectorPayload(path=f"/com.acme/v{number}", body="täglich " * number) for number in range(40)]
RECORDS = [encode(payload) for payload in PAYLOADS]
ENOUGH = 10_000_000


def gzipped(*parts: bytes) -> bytes:
    return zlib.compress(b"".join(parts), wbits=31)


def framed(*records: bytes) -> bytes:
    return b"".join(len(record).to_bytes(4, "big") + record for record in records)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_batch_is_read_as_it_was_packed(method: Method, count: int) -> None:
    message = pack(RECORDS[:count], method)
    assert method_of(message) == method
    assert list(read(message, ENOUGH)) == PAYLOADS[:count]
    assert [one.record for one in read(message, ENOUGH)] == RECORDS[:count]


def test_plain_structs_are_read_as_ever() -> None:
    message = b"".join(RECORDS)
    assert method_of(message) is None
    assert list(read(message, 1)) == PAYLOADS
    assert list(read(b"", 1)) == [Damaged(b"", END_OF_BYTES)]


def test_the_format_is_the_one_of_snowplow() -> None:
    assert zlib.decompress(pack(RECORDS[:2], "gzip"), wbits=31) == b"\x01\x01" + framed(*RECORDS[:2])


@pytest.mark.parametrize(
    ("message", "payloads", "reason"),
    [
        (
            gzipped(b"\x02\x01", framed(RECORDS[0])),
            [],
            "Unsupported versions in compressed record header: 2, 1",
        ),
        (gzipped(b"\x01\x07"), [], "Unsupported versions in compressed record header: 1, 7"),
        (gzipped(b"\x01"), [], "Unsupported versions in compressed record header: 1, -1"),
        (gzipped(b""), [], "Unsupported versions in compressed record header: -1, -1"),
        (gzipped(b"\x01\x01", framed(RECORDS[0], RECORDS[1])[:-1]), PAYLOADS[:1], CORRUPT),
        (gzipped(b"\x01\x01", framed(RECORDS[0]), b"\x00\x00"), PAYLOADS[:1], CORRUPT),
        (gzipped(b"\x01\x01", framed(RECORDS[0]), b"\xff\xff\xff\xff"), PAYLOADS[:1], CORRUPT),
        (b"\x1f\x8b", [], CORRUPT),
        (b"\x28\xb5\x2f\xfd", [], CORRUPT),
        (b"\x28\xb5\x2f\xfd and so on", [], CORRUPT),
    ],
)
def test_what_is_no_batch_is_told_after_what_could_be_read(
    message: bytes, payloads: Sequence[CollectorPayload], reason: str
) -> None:
    assert list(read(message, ENOUGH)) == [*payloads, Unreadable(message, reason)]


@pytest.mark.parametrize("method", METHODS)
def test_a_record_that_is_too_large_does_not_harm_the_next(method: Method) -> None:
    payload = CollectorPayload(path="/com.acme/v1", body="x" * 200_000)
    large = encode(payload)
    message = pack([RECORDS[0], large, RECORDS[1]], method)
    for longest in (100_000, len(large) - 1):
        assert list(read(message, longest)) == [PAYLOADS[0], TooLarge(message, len(large), method), PAYLOADS[1]]
    assert list(read(message, len(large))) == [PAYLOADS[0], payload, PAYLOADS[1]]


def test_a_batch_that_ends_in_a_record_that_is_too_large_is_told_of_once() -> None:
    message = gzipped(b"\x01\x01", framed(RECORDS[0]), b"\x00\x02\x00\x00", b"x" * 100)
    assert list(read(message, 100_000)) == [PAYLOADS[0], TooLarge(message, 0x20000, "gzip")]


def test_a_damaged_record_does_not_harm_the_next() -> None:
    message = gzipped(b"\x01\x01", framed(RECORDS[0][:-3], RECORDS[1]))
    assert list(read(message, ENOUGH)) == [Damaged(RECORDS[0][:-3], END_OF_BYTES), PAYLOADS[1]]


def test_what_one_sent_in_two_pieces_is_one_batch() -> None:
    plain = b"\x01\x01" + framed(*RECORDS)
    assert list(read(gzipped(plain[:100]) + gzipped(plain[100:]), ENOUGH)) == PAYLOADS


@given(st.sampled_from(METHODS), st.integers(0), st.binary(max_size=8), st.integers(0, 8))
def test_whatever_is_broken_nothing_is_raised(method: Method, at: int, put: bytes, cut: int) -> None:
    message = pack(RECORDS, method)
    place = at % len(message)
    broken = message[:place] + put + message[place + cut :]
    for one in read(broken, ENOUGH):
        assert isinstance(one, CollectorPayload | Damaged | Unreadable | TooLarge)
