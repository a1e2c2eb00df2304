"""What the stream port promises on RabbitMQ: lines that break, rights, queues and messages of others."""

import asyncio
import ssl
from pathlib import Path

import pytest

from shared.process import Misconfigured
from shared.settings import RabbitmqSettings, SharedSettings
from shared.stream import open_dead_letters, open_log, open_publisher, open_subscriber
from shared.stream.contract import MessageRefused, StreamUnavailable
from shared.stream.rabbitmq_line import broker_errors, connect
from shared.stream.rabbitmq_subscriber import RabbitmqSubscriber, acknowledgements
from tests.broker import PUBLISH_ONLY, Address
from tests.certificates import self_signed
from tests.conftest import clear
from tests.proxy import Line, line_to
from tests.shared.messages import PATIENCE_S, a_message, eventually, holds, ids, insist, quick, some, take

pytestmark = pytest.mark.rabbitmq


async def test_a_line_that_is_cut_is_made_anew(lined: SharedSettings, line: Line) -> None:
    async with open_publisher(lined) as publisher, open_subscriber(lined, "raw", 100) as subscriber:
        await publisher.publish("raw", some(10))
        held = await take(subscriber, 10)
        line.cut()
        await publisher.publish("raw", some(1, 10)) if publisher.ready else await insist(publisher, 10, 1)
        got = await take(subscriber, 11)
        assert set(ids(got)) == {f"id-{n}" for n in range(11)}
        assert all(d.redelivered for d in got if d.message.message_id != "id-10")
        await subscriber.ack(held)  # void by now: what came again is still held
        assert await subscriber.receive(100, 0.2) == []
        await subscriber.ack(got)


async def test_what_is_void_is_buried_once_when_it_comes_again(lined: SharedSettings, line: Line) -> None:
    async with open_publisher(lined) as publisher, open_subscriber(lined, "raw", 100) as subscriber:
        await publisher.publish("raw", some(1))
        void = await take(subscriber, 1)
        line.cut()
        got = await take(subscriber, 1)
        await subscriber.bury([*void, *got], "can't be read")
    async with open_dead_letters(lined, "raw") as dead:
        assert [message.message_id for message in await dead.peek(10)] == ["id-0"]


async def test_what_was_not_confirmed_is_published_again_by_itself(lined: SharedSettings, line: Line) -> None:
    async with open_publisher(lined) as publisher, open_subscriber(lined, "raw", 1000) as subscriber:
        line.silence()
        publishing = asyncio.create_task(publisher.publish("raw", some(50)))
        await asyncio.sleep(0.2)
        assert not publishing.done()
        line.cut()
        line.mend()
        await publishing
        assert {f"id-{n}" for n in range(50)} <= set(ids(await take(subscriber, 50)))


async def test_a_silent_line_ends_in_an_error_and_a_new_line(lined: SharedSettings, line: Line) -> None:
    limits = lined.ingest.limits.model_copy(update={"publish_timeout_ms": 500})
    settings = lined.model_copy(update={"ingest": lined.ingest.model_copy(update={"limits": limits})})
    async with open_publisher(settings) as publisher:
        line.silence()
        with pytest.raises(StreamUnavailable, match="in time"):
            await publisher.publish("raw", some(1))
        line.mend()
        await insist(publisher, 1, 1)


@pytest.mark.parametrize("error", [Exception(), RuntimeError("closed"), OSError()])
def test_what_the_library_raises_for_a_line_that_broke_is_an_outage(error: Exception) -> None:
    with pytest.raises(StreamUnavailable), broker_errors("publish"):
        raise error


def test_an_outage_without_words_is_told_by_its_name() -> None:
    with pytest.raises(StreamUnavailable, match="publish: TimeoutError"), broker_errors("publish"):
        raise TimeoutError


def test_a_bug_is_none() -> None:
    with pytest.raises(KeyError), broker_errors("publish"):
        raise KeyError


async def test_a_consumer_notices_a_silent_line(lined: SharedSettings, line: Line, rabbitmq: RabbitmqSettings) -> None:
    subscriber = RabbitmqSubscriber(lined.ingest, "raw", 10, watch_s=0.3)
    try:
        await subscriber.start()
        line.silence()
        async with open_publisher(quick(rabbitmq)) as publisher:
            await publisher.publish("raw", some(1))
        assert ids(await take(subscriber, 1)) == ["id-0"]
        assert line.accepted >= 2
    finally:
        await subscriber.close()


async def test_a_line_is_not_given_up_while_messages_come(
    lined: SharedSettings, line: Line, rabbitmq: RabbitmqSettings
) -> None:
    """On a slow one the broker's answer waits behind them; giving it up had it send all of them again, for ever."""
    async with open_publisher(quick(rabbitmq)) as publisher:
        await publisher.publish("raw", some(12, size=1_000_000))
    subscriber = RabbitmqSubscriber(lined.ingest, "raw", 12, watch_s=0.5)
    line.slow(4_000_000)
    try:
        await subscriber.start()
        taken = await take(subscriber, 12)
        assert [delivery.redelivered for delivery in taken] == [False] * 12
        assert line.accepted == 1
    finally:
        await subscriber.close()


async def test_a_line_on_which_nothing_but_confirms_comes_is_not_given_up(lined: SharedSettings, line: Line) -> None:
    """A broker that has something to send beats no heart; the client library would end it after six seconds."""
    loop = asyncio.get_running_loop()
    async with open_publisher(lined) as publisher, open_subscriber(lined, "raw", 1000) as subscriber:
        begun, accepted = loop.time(), line.accepted
        while loop.time() - begun < 7:
            await publisher.publish("raw", some(1))
            await subscriber.ack(await subscriber.receive(100, 0.0))
        assert line.accepted == accepted


async def test_a_refusing_line_makes_the_publisher_unready_at_once(lined: SharedSettings, line: Line) -> None:
    async with open_publisher(lined) as publisher:
        line.cut(refuse=True)
        await eventually(lambda: holds(not publisher.ready))
        with pytest.raises(StreamUnavailable):
            await publisher.publish("raw", some(1))
        line.mend()
        await eventually(lambda: holds(publisher.ready))


async def test_queues_that_somebody_deletes_are_declared_anew(rabbitmq: RabbitmqSettings) -> None:
    settings = quick(rabbitmq)
    async with open_publisher(settings) as publisher:
        await clear(rabbitmq)
        await insist(publisher, 0, 1)
        async with open_subscriber(settings, "raw", 10) as subscriber:
            assert ids(await take(subscriber, 1)) == ["id-0"]
            await clear(rabbitmq)  # the broker cancels the consumer
            await insist(publisher, 1, 1)
            assert "id-1" in ids(await take(subscriber, 1))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"username": "nobody"}, "username and password"),
        ({"virtualhost": "nowhere"}, "virtual host 'nowhere'"),
    ],
)
async def test_wrong_credentials_stop_a_start(
    rabbitmq: RabbitmqSettings, change: dict[str, str], complaint: str
) -> None:
    settings = quick(rabbitmq, **change)
    with pytest.raises(Misconfigured, match=complaint) as caught:
        async with open_publisher(settings):
            pass
    assert "guest" not in str(caught.value).replace("user 'guest'", "")
    with pytest.raises(Misconfigured, match=complaint):
        async with open_subscriber(settings, "raw", 10):
            pass
    with pytest.raises(Misconfigured, match=complaint):
        async with open_log(settings, "bad-rows") as log:
            await log.read(None, 1)


async def test_certificates_that_can_not_be_read_stop_a_start(rabbitmq: RabbitmqSettings, tmp_path: Path) -> None:
    settings = quick(rabbitmq, tls=True, tls_ca_file=tmp_path / "absent.pem")
    with pytest.raises(Misconfigured, match="tls_ca_file"):
        async with open_publisher(settings):
            pass


async def test_everything_goes_over_tls(rabbitmq: RabbitmqSettings, broker: Address, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with line_to(broker.host, broker.port, context) as line:
        encrypted = {"host": "localhost", "port": line.port, "tls": True}
        settings = quick(rabbitmq, **encrypted, tls_ca_file=certificate)
        async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
            await publisher.publish("raw", some(3, size=200_000))
            assert ids(await take(subscriber, 3)) == ["id-0", "id-1", "id-2"]
        with pytest.raises(Misconfigured, match="a certificate that can't be trusted"):
            async with open_publisher(quick(rabbitmq, **encrypted)):
                pass


async def test_a_queue_with_other_arguments_stops_a_start(rabbitmq: RabbitmqSettings) -> None:
    connection = connect(rabbitmq, "tests")
    await connection.connect()
    await (await connection.channel()).queue_declare("raw", durable=True)
    await connection.close()
    with pytest.raises(Misconfigured, match="other arguments"):
        async with open_publisher(quick(rabbitmq)):
            pass


async def test_a_user_that_may_only_publish_can(rabbitmq: RabbitmqSettings, broker: Address) -> None:
    if broker.virtualhost:
        pytest.skip("the broker that the environment names has no such user")
    limited = quick(rabbitmq, username=PUBLISH_ONLY, password=type(rabbitmq.password)(PUBLISH_ONLY))
    with pytest.raises(Misconfigured, match=f"user '{PUBLISH_ONLY}' may not make it"):
        async with open_publisher(limited):
            pass
    async with open_subscriber(quick(rabbitmq), "raw", 10) as subscriber, open_publisher(limited) as publisher:
        await publisher.publish("raw", some(1))
        assert ids(await take(subscriber, 1)) == ["id-0"]
    with pytest.raises(Misconfigured, match=f"does not let user '{PUBLISH_ONLY}' consume: .*queue 'raw'"):
        async with open_subscriber(limited, "raw", 10):
            pass


async def test_messages_of_other_programs_can_be_read(rabbitmq: RabbitmqSettings) -> None:
    settings = quick(rabbitmq)
    async with open_subscriber(settings, "raw", 10) as subscriber:
        connection = connect(rabbitmq, "tests")
        await connection.connect()
        channel = await connection.channel()
        for _ in range(2):
            await channel.basic_publish(b"bare", exchange="raw", routing_key="anything")
        await connection.close()
        first, second = (delivery.message for delivery in await take(subscriber, 2))
    assert (first.body, first.timestamp_ms, first.type, first.headers) == (b"bare", 0, "", {})
    assert first.message_id
    assert len(first.message_id) == len(second.message_id)


async def test_a_message_that_no_queue_takes_is_refused(rabbitmq: RabbitmqSettings) -> None:
    settings = quick(rabbitmq)
    async with open_subscriber(settings, "raw", 1), open_publisher(settings) as publisher:
        send = publisher.send  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(MessageRefused):
                await send("", "no-such-queue", [a_message()])


@pytest.mark.parametrize(
    ("held", "acked", "upto", "singles"),
    [
        ([1, 2, 3], [1, 2, 3], 3, []),
        ([1, 2, 3], [3, 1], 1, [3]),
        ([4, 5, 6], [5, 6], None, [5, 6]),
        ([4, 5, 6], [], None, []),
        ([2, 5, 9], [5, 2], 5, []),
    ],
)
def test_one_ack_covers_as_much_as_it_may(
    held: list[int], acked: list[int], upto: int | None, singles: list[int]
) -> None:
    left = dict.fromkeys(held)
    assert acknowledgements(left, acked) == (upto, singles)
    assert list(left) == [number for number in held if number not in acked]


async def test_the_broker_lends_no_more_while_its_queue_is_gone(tmp_path: Path, rabbitmq: RabbitmqSettings) -> None:
    """Void deliveries: acks, releases and burials of a lease that ended do no harm."""
    settings = quick(rabbitmq)
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
        await publisher.publish("raw", some(2))
        void = await take(subscriber, 2)
        await clear(rabbitmq)
        await insist(publisher, 5, 1)
        (fresh,) = await take(subscriber, 1)
        await subscriber.release(void)
        await subscriber.ack(void)
        assert await subscriber.receive(10, 0.2) == []
        await subscriber.ack([fresh])
