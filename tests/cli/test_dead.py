"""`evnt dead` as an operator runs it, on both transports."""

import base64
import json

import pytest

from shared.settings import SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message
from tests.cli.command import invoke
from tests.cli.test_bad_rows import variables
from tests.shared.messages import take


@pytest.fixture
async def buried(settings: SharedSettings) -> SharedSettings:
    messages = [Message(b"\xff%d" % n, f"id-{n}", 1_800_000_000_000, "collector-payload", "x/y") for n in range(3)]
    async with open_publisher(settings) as publisher, open_subscriber(settings, "raw", 10) as subscriber:
        await publisher.publish("raw", messages)
        await subscriber.bury(await take(subscriber, 3), "can't be\n[read]")
    return settings


def run(settings: SharedSettings, *arguments: str) -> str:
    done = invoke("dead", *arguments, **variables(settings))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_poison_is_listed_given_back_and_thrown_away(buried: SharedSettings) -> None:
    title, *rows = run(buried, "list", "raw").splitlines()
    assert title.split() == ["message", "time", "bytes", "reason"]
    assert [row.split(maxsplit=3) for row in rows] == [
        [f"id-{n}", "2027-01-15T08:00:00Z", "2", "can't be [read]"] for n in range(3)
    ]
    first = json.loads(run(buried, "list", "raw", "-n", "1", "--json"))
    assert base64.b64decode(first["body"]) == b"\xff0"
    assert first["headers"] == {"x-evnt-source-queue": "raw", "x-evnt-error": "can't be\n[read]"}
    assert run(buried, "replay", "raw", "-n", "2") == "2 given back to raw\n"
    assert run(buried, "purge", "raw", "--yes") == "1 thrown away\n"
    assert run(buried, "list", "raw", "--json") == ""


def test_an_unknown_queue_is_refused(settings: SharedSettings) -> None:
    done = invoke("dead", "list", "rwa", **variables(settings))
    assert done.exit_code == 2
    assert "bad-rows.load" in done.output
