"""Bodies over a socket: too large ones, and compressed ones."""

import gzip
import json
import time
import zlib

import pytest

from collector import bodies
from tests.collector.raw_http import exchange, post
from tests.collector.running import collector, plain


async def test_oversized_bodies_are_answered_200_and_told_of() -> None:
    async with collector(plain(limits={"max_payload_bytes": 5_000, "max_record_bytes": 5_000})) as running:
        answer = await exchange(running.port, post(b"x" * 300_000))
        assert answer
        assert answer.status == 200
        (row,) = running.publisher.messages("bad")
        failure = json.loads(row.body)["data"]["failure"]
        assert failure["actualSizeBytes"] > 300_000
        assert failure["maximumAllowedSizeBytes"] == 5_000
        assert not running.publisher.payloads()


async def test_what_is_a_record_as_it_is_is_recorded_whatever_the_bound_of_what_is_split() -> None:
    async with collector(plain(limits={"max_payload_bytes": 2_000, "max_record_bytes": 10_000})) as running:
        for size, kept in ((3_000, 1), (300_000, 1)):
            answer = await exchange(running.port, post(b"x" * size))
            assert answer
            assert (answer.status, len(running.publisher.payloads())) == (200, kept)
        (row,) = running.publisher.messages("bad")
        assert json.loads(row.body)["data"]["failure"]["maximumAllowedSizeBytes"] == 2_000


async def test_bodies_above_the_limit_for_dropping_are_413() -> None:
    async with collector(plain(limits={"drop_payload_bytes": 1_002})) as running:
        for size, status in ((1_002, 200), (1_003, 413)):
            answer = await exchange(running.port, post(b"x" * size))
            assert answer
            assert answer.status == status


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("GZIP", lambda data: gzip.compress(data[:10]) + gzip.compress(data[10:])),
    ],
    ids=["gzip", "zlib", "raw deflate", "two members"],
)
async def test_compressed_bodies_are_inflated(encoding: str, compress: object) -> None:
    assert callable(compress)
    body = b'{"schema":"x","data":[]}' * 100
    async with collector(plain()) as running:
        answer = await exchange(running.port, post(compress(body), f"Content-Encoding: {encoding}"))
        assert answer
        assert answer.status == 200
        assert running.publisher.payloads()[0].body == body.decode()


async def test_a_bomb_stops_at_the_limit() -> None:
    async with collector(plain(limits={"max_payload_bytes": 100_000})) as running:
        bomb = gzip.compress(b"\0" * 50_000_000)
        answer = await exchange(running.port, post(bomb, "Content-Encoding: gzip"))
        assert answer
        assert answer.status == 200
        assert "size_violation" in json.loads(running.publisher.messages("bad")[0].body)["schema"]


@pytest.mark.parametrize(
    ("size", "kept", "unread"), [(999, 999, 0), (1_000, 1_000, 0), (1_001, 1_000, 1), (5_000, 1_000, 1)]
)
def test_inflating_stops_one_byte_above_the_limit(size: int, kept: int, unread: int) -> None:
    """Beyond it is only known that there was more; with no room left zlib would take it for no limit at all."""
    for parts in (1, 7):
        whole = b"".join(gzip.compress(bytes(part)) for part in _parted(size, parts))
        assert bodies.inflated(bodies.Body(whole), b"gzip", 1_000) == bodies.Body(bytes(kept), unread)


def _parted(size: int, parts: int) -> list[int]:
    return [size // parts] * (parts - 1) + [size - size // parts * (parts - 1)]


def test_a_body_of_many_tiny_streams_is_inflated_as_quickly_as_one() -> None:
    begin = time.perf_counter()
    inflated = bodies.inflated(bodies.Body(gzip.compress(b"ab") * 100_000), b"gzip", 1_000_000)
    assert (inflated.data, inflated.damage) == (b"ab" * 100_000, None)
    assert time.perf_counter() - begin < 3


async def test_what_can_not_be_inflated_is_kept_in_a_bad_row() -> None:
    async with collector(plain()) as running:
        answer = await exchange(running.port, post(gzip.compress(b"x" * 100)[:-4], "Content-Encoding: gzip"))
        assert answer
        assert answer.status == 200
        row = json.loads(running.publisher.messages("bad")[0].body)
        assert "generic_error" in row["schema"]
        assert "inflated" in row["data"]["failure"]["errors"][0]
