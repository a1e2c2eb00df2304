"""`evnt archive replay` as an operator runs it, on both transports."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from cli.archive import Period
from cli.giving import insist
from shared.identity import now_ms, uuid7
from shared.payload import CollectorPayload, encode
from shared.rawmessage import pack
from shared.settings import IngestSettings, SharedSettings, StreamLimits
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message, StreamName, StreamUnavailable
from tests.cli.command import invoke, stopped
from tests.cli.test_bad_rows import HOUR_MS, NOW_MS, variables

PERIOD = ("--since", "2027-01-15T07:30", "--until", "2027-01-15T09:00")


def messages() -> list[Message]:
    """One before the period, thirty in it, one behind it."""
    times = [NOW_MS - HOUR_MS, *range(NOW_MS, NOW_MS + 30), NOW_MS + HOUR_MS]
    return [
        Message(b"%d" % time, uuid7(), time, "collector-payload", "application/x-thrift", {"payloads": 2})
        for time in times
    ]


async def run(settings: SharedSettings, *arguments: str, archives: bool = True, **more: str) -> Result:
    """In a thread, since it has an event loop of its own."""
    switched = {"EVNT_INGEST__LIMITS__RAW_ARCHIVE": str(archives).lower(), **more}
    return await asyncio.to_thread(invoke, "archive", "replay", *arguments, **variables(settings), **switched)


async def taken(settings: SharedSettings, most: int) -> list[Message]:
    async with open_subscriber(settings, "raw", 100) as subscriber:
        found: list[Message] = []
        while deliveries := await subscriber.receive(100, 3 if len(found) < most else 0.5):
            found += [delivery.message for delivery in deliveries]
            await subscriber.ack(deliveries)
    return found


@pytest.fixture
async def archived(settings: SharedSettings) -> tuple[SharedSettings, list[Message]]:
    """Collected, enriched long ago."""
    limits = settings.ingest.limits.model_copy(update={"raw_archive": True})
    archiving = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"limits": limits})})
    sent = messages()
    async with open_publisher(archiving) as publisher:
        await publisher.publish("raw", sent)
    assert await taken(archiving, len(sent)) == sent
    return archiving, sent


async def test_a_period_is_enriched_again(archived: tuple[SharedSettings, list[Message]]) -> None:
    settings, sent = archived
    done = await run(settings, *PERIOD, "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "would be given back to raw: 60 payloads in 30 messages\n"), done.stderr
    names = set()
    for _ in range(2):  # what is given back is archived too, and yet counts once
        done = await run(settings, *PERIOD)
        assert (done.exit_code, done.stdout) == (0, "given back to raw: 60 payloads in 30 messages\n"), done.stderr
        found = await taken(settings, 30)
        assert [replace(one, headers={"payloads": 2}) for one in found] == sent[1:-1], "ids and times stay"
        names |= {one.headers["replay"] for one in found}
    assert len(names) == 2, "each replay has a name"


async def test_without_an_archive_it_says_so(tmp_path: Path) -> None:
    settings = SharedSettings(data_dir=tmp_path)
    done = await run(settings, *PERIOD, archives=False)
    assert done.exit_code == 2
    assert "ingest.limits.raw_archive is off" in " ".join(done.stderr.replace("│", " ").split())


async def test_a_wrong_time_is_a_usage_error(tmp_path: Path) -> None:
    for arguments in (("--since", "yesterday"), ("--since", "1h", "--until", "soon")):
        done = await run(SharedSettings(data_dir=tmp_path), *arguments)
        assert done.exit_code == 2
        assert "expected 90s" in " ".join(done.stderr.split())


@pytest.mark.parametrize("arguments", [("1h", "2h"), ("1h", "1h"), ("2999-01-01", None)])
async def test_a_period_that_ends_before_it_begins_is_a_usage_error(
    tmp_path: Path, arguments: tuple[str, str | None]
) -> None:
    first, last = arguments
    done = await run(SharedSettings(data_dir=tmp_path), "--since", first, *(("--until", last) if last else ()))
    assert done.exit_code == 2
    assert "the period ends before it begins" in " ".join(done.stderr.replace("│", " ").split())


async def test_what_other_programs_published_is_enriched_again(settings: SharedSettings) -> None:
    """Without a time, or with a header of theirs."""
    limits = settings.ingest.limits.model_copy(update={"raw_archive": True})
    archiving = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"limits": limits})})
    bodies = [encode(CollectorPayload(timestamp=time)) for time in (NOW_MS, NOW_MS + 2 * HOUR_MS)]
    sent = [
        *(Message(body, uuid7(), 0, "", "") for body in (*bodies, pack(bodies[:1], "gzip"), b"", b"no payload")),
        Message(b"1", uuid7(), NOW_MS, "", "", {"payloads": "many", "replay": "an earlier one"}),
    ]
    async with open_publisher(archiving) as publisher:
        await publisher.publish("raw", sent)
    assert len(await taken(archiving, len(sent))) == len(sent)
    done = await run(archiving, *PERIOD)
    assert (done.exit_code, done.stdout) == (0, "given back to raw: 3 payloads in 3 messages\n"), done.stderr
    found = await taken(archiving, 3)
    assert [one.body for one in found] == [sent[0].body, sent[2].body, sent[5].body]
    assert len({one.headers["replay"] for one in found}) == 1, "of what an earlier replay gave back too"


async def test_one_that_the_stream_never_takes_does_not_keep_the_others(
    archived: tuple[SharedSettings, list[Message]],
) -> None:
    """The limit was lowered since."""
    settings, sent = archived
    large = replace(sent[1], body=b"x" * 1_001, message_id=uuid7())
    beside = [replace(sent[1], message_id=uuid7()) for _ in range(10)]  # the other half of the last page
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", [large, *beside])
    await taken(settings, 11)
    done = await run(settings, *PERIOD, EVNT_INGEST__LIMITS__MESSAGE_MAX_BYTES="1000")
    assert (done.exit_code, done.stdout) == (1, "given back to raw: 80 payloads in 40 messages\n"), done.stderr
    assert done.stderr == f"{large.message_id}: a body of 1001 bytes is above 1000\n"
    assert len(await taken(settings, 40)) == 40


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    period = Period(10, 12)
    assert [time for time in range(9, 14) if period.has(Message(b"", "", time, "", ""))] == [10, 11]


class Full:
    """A raw stream that takes nothing for a while."""

    ready = True

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals
        self.published: list[Message] = []

    async def publish(self, stream: StreamName, sent: Sequence[Message]) -> None:
        if self._refusals:
            self._refusals -= 1
            raise StreamUnavailable(f"{stream} is full")
        self.published += sent

    async def close(self) -> None:
        pass


async def test_ctrl_c_says_how_far_it_was(tmp_path: Path) -> None:
    limits = StreamLimits(raw_archive=True)
    settings = SharedSettings(data_dir=tmp_path, ingest=IngestSettings(limits=limits))
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", messages())
    await taken(settings, len(messages()))
    small = {"EVNT_INGEST__LIMITS__RAW_ARCHIVE": "true", "EVNT_INGEST__LIMITS__QUEUE_MAX_BYTES": "100"}
    said = await asyncio.to_thread(stopped, tmp_path, "archive", "replay", *PERIOD, **small, **variables(settings))
    assert said == "stopped; given back to raw: 38 payloads in 19 messages\n"


async def test_a_full_stream_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Full(2)
    sent = [Message(b"", uuid7(), now_ms(), "", "")]
    await insist(stream, "raw", sent, pause_s=0)
    assert stream.published == sent
    assert capsys.readouterr().err == "raw is full; trying again, Ctrl-C to stop\n" * 2
