"""Publishes on the wire and what the broker says to them, byte by byte."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Connection
from pamqp.frame import FrameTypes, marshal, unmarshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from shared.stream.contract import Message
from shared.stream.rabbitmq_outlet import Outcome, Outlet, Sent
from shared.stream.rabbitmq_tap import Tap
from shared.stream.rabbitmq_wire import MILLISECONDS_HEADER, content_header
from tests.shared.messages import a_message, some

CHANNEL = 1


class Wire:
    """What an outlet wrote, and what has ended."""

    def __init__(self, most: int = 131_064) -> None:
        self.written = b""
        self.ended: list[Sent] = []
        self.outlet = Outlet(self._write)
        self.outlet.open(CHANNEL, most)

    def send(self, messages: Sequence[Message]) -> Sent:
        return self.outlet.send("raw", "key", messages, self.ended.append)

    def frames(self) -> list[FrameTypes]:
        data, found = self.written, []
        while data:
            size, channel, frame = unmarshal(data)
            assert channel == CHANNEL
            found.append(frame)
            data = data[size:]
        return found

    def _write(self, data: bytes) -> None:
        self.written += data


def frames(*found: FrameTypes, channel: int = CHANNEL) -> bytes:
    return b"".join(marshal(frame, channel) for frame in found)


def returned(identifier: str) -> bytes:
    header = ContentHeader(body_size=4, properties=Basic.Properties(message_id=identifier))
    return frames(Basic.Return(312, "NO_ROUTE", "raw", ""), header, ContentBody(b"body"))


#: What the broker sends, what of it is not about publishes, and what becomes of four messages.
ANSWERS = {
    "one by one": (frames(*(Basic.Ack(tag) for tag in (1, 2, 3, 4))), b"", "OOOO"),
    "in another order": (frames(*(Basic.Ack(tag) for tag in (4, 2, 3, 1))), b"", "OOOO"),
    "all up to one": (frames(Basic.Ack(2), Basic.Ack(4, multiple=True)), b"", "OOOO"),
    "all that there are": (frames(Basic.Ack(0, multiple=True)), b"", "OOOO"),
    "some": (frames(Basic.Ack(2, multiple=True)), b"", "OOLL"),
    "one twice": (frames(Basic.Ack(1), Basic.Ack(1)), b"", "OLLL"),
    "one unknown": (frames(Basic.Ack(9), Basic.Ack(3)), b"", "LLOL"),
    "full": (frames(Basic.Nack(2), Basic.Ack(1), Basic.Nack(4, multiple=True)), b"", "OFFF"),
    "come back": (returned("id-1") + frames(Basic.Ack(4, multiple=True)), b"", "OROO"),
    "come back, later": (
        returned("id-0") + frames(Basic.Ack(2)) + returned("id-3") + frames(Basic.Ack(1)),
        b"",
        "ROLL",
    ),
    "among others": (
        frames(Heartbeat()) + frames(Basic.Ack(1)) + frames(Connection.Blocked("memory"), channel=0),
        frames(Heartbeat()) + frames(Connection.Blocked("memory"), channel=0),
        "OLLL",
    ),
    "another channel's": (frames(Basic.Ack(1), channel=2), frames(Basic.Ack(1), channel=2), "LLLL"),
    "the channel's end": (frames(Channel.Close(404, "NOT_FOUND", 60, 40)),) * 2 + ("LLLL",),
}


def _cuts(data: bytes) -> Iterable[list[bytes]]:
    """In one piece, in two at every place, and byte by byte."""
    yield [data]
    yield from ([data[:cut], data[cut:]] for cut in range(1, len(data)))
    yield [data[begin:end] for begin, end in pairwise(range(len(data) + 1))]


@pytest.mark.parametrize(("answer", "others", "outcomes"), ANSWERS.values(), ids=ANSWERS)
async def test_answers_are_understood_however_they_are_cut(answer: bytes, others: bytes, outcomes: str) -> None:
    for pieces in _cuts(answer):
        wire = Wire()
        sent = wire.send(some(4))
        assert b"".join(wire.outlet.read(piece) for piece in pieces) == others
        assert "".join(outcome.name[0] for outcome in sent.outcomes) == outcomes
        assert wire.ended == ([] if "L" in outcomes else [sent])


async def test_what_is_given_on_is_whole_frames() -> None:
    """Since one that is taken out must not be missed in the middle of another."""
    wire, heartbeat = Wire(), frames(Heartbeat())
    assert wire.outlet.read(heartbeat + heartbeat[:5]) == heartbeat
    assert wire.outlet.read(heartbeat[5:]) == heartbeat


async def test_what_is_no_amqp_is_left_to_the_library() -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert Wire().outlet.read(answer) == answer
    assert Wire().outlet.read(b"AMQP\x00\x00\x09\x01") == b"AMQP\x00\x00\x09\x01"


#: Texts and numbers as AMQP carries them.
_SHORT = st.text(max_size=60)
_HEADERS = st.dictionaries(
    _SHORT.filter(lambda name: name != MILLISECONDS_HEADER), st.integers(-(2**63), 2**63 - 1) | st.text(), max_size=5
)


@given(
    st.builds(
        Message,
        body=st.binary(max_size=50),
        message_id=_SHORT,
        timestamp_ms=st.integers(0, 2**32 * 1000 - 1),  # the library takes later seconds for milliseconds
        type=_SHORT,
        content_type=_SHORT,
        headers=_HEADERS,
    ),
    _SHORT,
    _SHORT,
)
def test_the_library_reads_what_is_written(message: Message, exchange: str, routing_key: str) -> None:
    asyncio.run(_check_what_is_written(message, exchange, routing_key))


async def _check_what_is_written(message: Message, exchange: str, routing_key: str) -> None:
    wire = Wire(most=10)
    wire.outlet.send(exchange, routing_key, [message], wire.ended.append)
    publish, header, *bodies = wire.frames()
    assert isinstance(publish, Basic.Publish)
    assert isinstance(header, ContentHeader)
    assert (publish.exchange, publish.routing_key, publish.mandatory) == (exchange, routing_key, True)
    assert (header.properties.delivery_mode, header.body_size) == (2, len(message.body))
    portions = [body.value for body in bodies if isinstance(body, ContentBody)]
    assert b"".join(portions) == message.body
    assert all(len(portion) <= 10 for portion in portions)
    found = header.properties
    assert (found.message_id or "", found.message_type or "", found.content_type or "") == (
        message.message_id, message.type, message.content_type,
    )  # fmt: skip
    assert found.timestamp == datetime.fromtimestamp(message.timestamp_ms // 1000, UTC)
    assert found.headers == {**message.headers, MILLISECONDS_HEADER: message.timestamp_ms}


def test_a_text_too_long_for_amqp_is_an_error_not_a_broken_line() -> None:
    with pytest.raises(ValueError, match="range"):
        content_header(replace(a_message(), message_id="x" * 256))


async def test_a_body_may_be_empty_or_fill_its_frames() -> None:
    for size, expected in ((0, 0), (10, 1), (11, 2), (20, 2)):
        wire = Wire(most=10)
        wire.send([replace(a_message(), body=b"x" * size)])
        assert len(wire.frames()) == 2 + expected


async def test_a_broker_without_a_limit_gets_bodies_in_one_frame() -> None:
    wire = Wire(most=-8)
    wire.send(some(1, size=200_000))
    assert len(wire.frames()) == 3


async def test_a_line_that_breaks_leaves_nobody_waiting() -> None:
    wire = Wire()
    before = wire.send(some(2))
    wire.outlet.read(frames(Basic.Ack(1)))
    wire.outlet.lose()
    written = wire.written
    after = wire.send(some(1))
    assert (before.outcomes, after.outcomes) == ([Outcome.OWNED, Outcome.LOST], [Outcome.LOST])
    assert wire.ended == [before, after]
    assert wire.written == written
    assert wire.outlet.read(frames(Basic.Ack(2))) == b""


async def test_the_end_is_told_once() -> None:
    wire = Wire()
    sent = wire.send(some(2))
    sent.end()
    wire.outlet.read(frames(Basic.Ack(2, multiple=True)))
    wire.outlet.lose()
    assert wire.ended == [sent]


async def test_what_is_sent_when_one_is_told_of_its_end_is_none_of_that() -> None:
    wire = Wire()
    then: list[Sent] = []
    wire.outlet.send("raw", "key", some(2), lambda _: then.append(wire.send(some(1))))
    wire.outlet.read(frames(Basic.Ack(0, multiple=True)))
    assert [sent.outcomes for sent in then] == [[Outcome.LATE]]
    wire.outlet.read(frames(Basic.Ack(3)))
    assert wire.ended == then


async def test_the_library_sees_that_the_broker_is_there_while_only_confirms_come() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    tap = Tap(reader, loop)
    tap.connection_made(asyncio.Transport())
    tap.outlet.open(CHANNEL, 1000)
    tap.data_received(frames(Basic.Ack(1)))
    assert await reader.readexactly(8) == frames(Heartbeat(), channel=0)
    tap.data_received(frames(Basic.Ack(2)))
    tap.data_received(frames(Connection.Unblocked(), channel=0))
    assert await reader.read(100) == frames(Connection.Unblocked(), channel=0)
