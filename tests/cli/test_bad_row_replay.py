"""`evnt bad-rows replay` as an operator runs it, on both transports."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.bad_rows import PAGE
from cli.commands import app
from loader.badrows import parsing_error
from shared.badrow import Processor, bad_row
from shared.identity import uuid7
from shared.settings import SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Delivery, Message, QueueName
from tests.cli.command import evnt, invoke, stopped
from tests.cli.test_bad_rows import NOW_MS, variables
from tests.enricher.harness import enrich, record


def refused(number: int) -> bytes:
    return enrich(record(path="/com.acme/v1", querystring=f"aid=shop&n={number}")).bad[0].body


REFUSED = [json.loads(refused(number)) for number in range(2)]
LINE = json.loads(parsing_error(b"no event", {"type": "NotTSV"}))
LOST = json.loads(bad_row("size_violation", Processor("x", "1.0.0"), {}, "the beg"))


def published(document: Any, timestamp_ms: int) -> Message:
    kind = document["schema"].split("/")[1]
    body = json.dumps(document).encode()
    return Message(body, uuid7(), timestamp_ms, "bad-row", "application/json", {"type": kind})


async def fill(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        rows = (REFUSED[0], LINE, LOST, REFUSED[1])
        await publisher.publish("bad", [published(row, NOW_MS + place) for place, row in enumerate(rows)])


@pytest.fixture
async def filled(settings: SharedSettings) -> SharedSettings:
    await fill(settings)
    return settings


async def run(settings: SharedSettings, *arguments: str, command: str = "replay") -> Result:
    """In a thread, since it has an event loop of its own."""
    return await asyncio.to_thread(invoke, "bad-rows", command, *arguments, **variables(settings))


async def numbers(settings: SharedSettings) -> list[str]:
    done = await run(settings, "--json", command="list")
    return [str(json.loads(line)["number"]) for line in done.stdout.splitlines()]


async def taken(settings: SharedSettings, queue: QueueName, most: int) -> list[Delivery]:
    async with open_subscriber(settings, queue, 10) as subscriber:
        found: list[Delivery] = []
        while len(found) < most and (more := await subscriber.receive(10, 3)):
            found += more
        found += await subscriber.receive(10, 0.5)
        await subscriber.ack(found)
    return found


async def test_rows_are_given_back_by_number(filled: SharedSettings) -> None:
    first, line, *_ = await numbers(filled)
    done = await run(filled, first, line, first)
    assert (done.exit_code, done.stdout) == (0, "given back: 1 to raw, 1 to enriched\n"), done.stderr
    (raw,) = await taken(filled, "raw", 1)
    (outcome,) = enrich(raw.message.body).bad
    assert json.loads(outcome.body) == REFUSED[0]
    assert (raw.message.type, raw.message.headers["payloads"]) == ("collector-payload", 1)
    (enriched,) = await taken(filled, "enriched", 1)
    assert (enriched.message.body, enriched.message.headers["events"]) == (b"no event", 1)
    assert (await numbers(filled))[:2] == [first, line], "nothing is consumed"


async def test_what_can_not_be_given_back_is_counted_on_every_page(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        await publisher.publish("bad", [published(LOST, NOW_MS), *[published(LINE, NOW_MS)] * PAGE])
    done = await run(settings, "--since", "2027-01-15T07:59")
    assert (done.exit_code, done.stdout) == (1, f"given back: 1 to enriched; {PAGE - 1} more rows are of the same\n")


async def test_rows_are_given_back_by_what_they_are_and_twice_is_as_good_as_once(filled: SharedSettings) -> None:
    for options in (("--type", "adapter_failures"), ("--app-id", "shop")):
        done = await run(filled, *options)
        assert (done.exit_code, done.stdout) == (0, "given back: 2 to raw\n"), done.stderr
    ids = [delivery.message.message_id for delivery in await taken(filled, "raw", 4)]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


async def test_what_can_not_be_given_back_is_told_and_the_rest_goes(filled: SharedSettings) -> None:
    lost = (await numbers(filled))[2]
    done = await run(filled, "--since", "2027-01-15T07:59")
    assert (done.exit_code, done.stdout) == (1, "given back: 2 to raw, 1 to enriched\n")
    assert done.stderr == f"{lost}: a size_violation quotes only the beginning of its original\n"
    assert len(await taken(filled, "raw", 2)) == 2


async def test_a_dry_run_gives_nothing_back(filled: SharedSettings) -> None:
    first, line, lost, last = await numbers(filled)
    done = await run(filled, "--since", "2027-01-15T07:59", "--dry-run")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"{first}: raw",
        f"{line}: enriched",
        f"{last}: raw",
        "would be given back: 2 to raw, 1 to enriched",
    ]
    assert done.stderr.startswith(f"{lost}: ")
    assert await taken(filled, "raw", 0) == []


async def test_mended_rows_come_from_standard_input(filled: SharedSettings) -> None:
    shown = {"number": 1, "bad_row": REFUSED[0]}
    lines = "\n".join([json.dumps(shown), "", json.dumps(LINE), "{", "[" * 100_000, '"x"'])
    done = evnt(filled.data_dir, "bad-rows", "replay", "-", stdin=lines, **variables(filled))
    assert (done.returncode, done.stdout) == (1, "given back: 1 to raw, 1 to enriched\n")
    assert done.stderr.splitlines() == [f"line {place}: not a bad row" for place in (4, 5, 6)]
    assert len(await taken(filled, "raw", 1)) == 1


async def test_what_is_no_utf_8_is_no_bad_row(tmp_path: Path) -> None:
    lines = json.dumps(LINE).encode() + b"\n\xff\n"
    async with open_publisher(SharedSettings(data_dir=tmp_path)):
        pass
    environ = {"EVNT_DATA_DIR": str(tmp_path)}
    done = await asyncio.to_thread(CliRunner().invoke, app, ["bad-rows", "replay", "-"], input=lines, env=environ)
    assert (done.exit_code, done.stdout) == (1, "given back: 1 to enriched\n")
    assert done.stderr == "line 2: not a bad row\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "say which: numbers"),
        (("1", "--type", "adapter_failures"), "say which: numbers"),
        (("-", "1"), "not both"),
        (("999999",), "there is no bad row 999999"),
        (("x",), "there is no bad row x"),
        (("9" * 30,), "there is no bad row 999"),
    ],
)
async def test_without_saying_which_nothing_is_given_back(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    settings = SharedSettings(data_dir=tmp_path)
    await fill(settings)
    done = await run(settings, *arguments)
    assert done.exit_code == 2
    assert complaint in " ".join(done.stderr.replace("│", " ").split())
    assert await taken(settings, "raw", 0) == []


async def test_one_that_no_stream_takes_does_not_keep_the_others(filled: SharedSettings) -> None:
    """A mended row may be larger than a message can be."""
    large = {**LINE, "data": {**LINE["data"], "payload": "x" * 140_000_000}}
    lines = "\n".join(json.dumps(row) for row in (LINE, large))
    done = evnt(filled.data_dir, "bad-rows", "replay", "-", stdin=lines, **variables(filled))
    assert (done.returncode, done.stdout) == (1, "given back: 1 to enriched\n"), done.stderr
    assert done.stderr.startswith("line 2: ")
    assert len(await taken(filled, "enriched", 1)) == 1


async def test_a_full_stream_is_waited_for(tmp_path: Path) -> None:
    """Doing it again would begin with the same rows, and never come to the last ones."""
    settings = SharedSettings(data_dir=tmp_path)
    await fill(settings)
    small = {"EVNT_INGEST__LIMITS__QUEUE_MAX_BYTES": "900", **variables(settings)}
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", [Message(b"x" * 900, "first", NOW_MS, "collector-payload", "x/y")])
    running = asyncio.create_task(
        asyncio.to_thread(invoke, "bad-rows", "replay", "--type", "adapter_failures", **small)
    )
    await asyncio.sleep(1.5)
    assert not running.done(), running.result().stderr
    (first,) = await taken(settings, "raw", 1)
    done = await running
    assert (done.exit_code, done.stdout) == (0, "given back: 2 to raw\n")
    assert "raw is full" in done.stderr
    assert (first.message.message_id, len(await taken(settings, "raw", 2))) == ("first", 2)


async def test_ctrl_c_says_how_far_it_was(tmp_path: Path) -> None:
    settings = SharedSettings(data_dir=tmp_path)
    rows = [published(json.loads(refused(number)), NOW_MS + number) for number in range(PAGE + 1)]
    async with open_publisher(settings) as publisher:
        await publisher.publish("bad", rows)
    small = {"EVNT_INGEST__LIMITS__QUEUE_MAX_BYTES": "900", **variables(settings)}
    said = await asyncio.to_thread(stopped, tmp_path, "bad-rows", "replay", "--type", "adapter_failures", **small)
    assert said == f"stopped; given back: {PAGE} to raw\n"


async def test_what_failed_again_is_given_back_once(settings: SharedSettings) -> None:
    """With every attempt its rows would double, and events that have no id of their own when they succeed."""
    failures = [{**REFUSED[0]["data"]["failure"], "timestamp": f"2027-01-15T08:00:0{n}Z"} for n in range(3)]
    rows = [{**REFUSED[0], "data": {**REFUSED[0]["data"], "failure": failure}} for failure in failures]
    async with open_publisher(settings) as publisher:
        await publisher.publish("bad", [published(row, NOW_MS) for row in (*rows, REFUSED[1])])
    said = "2 to raw; 2 more rows are of the same\n"
    done = await run(settings, "--type", "adapter_failures", "--dry-run")
    assert done.stdout.splitlines()[-1] + "\n" == f"would be given back: {said}"
    done = await run(settings, "--type", "adapter_failures")
    assert (done.exit_code, done.stdout) == (0, f"given back: {said}"), done.stderr
    assert len(await taken(settings, "raw", 2)) == 2
