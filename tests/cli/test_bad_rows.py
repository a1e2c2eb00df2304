"""`evnt bad-rows` as an operator runs it, on both transports; looking consumes nothing."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cli.bad_rows import Wanted, fitting, pages_till_now
from shared.badrow import BadRowType, Processor, bad_row
from shared.identity import uuid7
from shared.settings import SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import LogRecord, Message, StreamUnavailable
from tests.cli.command import environment, evnt, invoke
from tests.enricher.harness import enrich, record

HOUR_MS = 3_600_000
#: 2027-01-15T08:00Z
NOW_MS = 1_800_000_000_000


def message(kind: BadRowType, app_id: str, timestamp_ms: int, reason: str = "boom") -> Message:
    payload = {"querystring": [{"name": "aid", "value": app_id}], "body": None}
    body = bad_row(kind, Processor("evnt-test", "1.0.0"), {"errors": [reason]}, payload)
    return Message(body, uuid7(), timestamp_ms, "bad-row", "application/json", {"type": kind})


def messages() -> list[Message]:
    """Three bad rows and something that is none."""
    return [
        message("adapter_failures", "shop", NOW_MS - 2 * HOUR_MS, "old"),
        message("schema_violations", "shop", NOW_MS, "first\nline"),
        message("schema_violations", "blog", NOW_MS + 1, "[red]markup[/red]"),
        Message(b"\xff", uuid7(), NOW_MS + 2, "bad-row", "application/json"),
    ]


@pytest.fixture
async def filled(settings: SharedSettings) -> SharedSettings:
    async with open_publisher(settings) as publisher:
        await publisher.publish("bad", messages())
    return settings


def variables(settings: SharedSettings) -> dict[str, str]:
    """The settings as the environment of a process."""
    broker = settings.ingest.rabbitmq
    return {
        "EVNT_DATA_DIR": str(settings.data_dir),
        "EVNT_INGEST__MODE": settings.ingest.mode,
        "EVNT_INGEST__RABBITMQ__PORT": str(broker.port),
        "EVNT_INGEST__RABBITMQ__HOST": broker.host,
        "EVNT_INGEST__RABBITMQ__USERNAME": broker.username,
        "EVNT_INGEST__RABBITMQ__PASSWORD": broker.password.get_secret_value(),
        "EVNT_INGEST__RABBITMQ__VIRTUALHOST": broker.virtualhost,
    }


def run(settings: SharedSettings, *arguments: str) -> Result:
    return invoke("bad-rows", *arguments, **variables(settings))


def objects(settings: SharedSettings, *arguments: str) -> list[dict[str, Any]]:
    done = run(settings, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_list_is_for_people(filled: SharedSettings) -> None:
    done = run(filled, "list")
    title, *rows = done.stdout.splitlines()
    assert title.split() == ["number", "time", "type", "app_id", "reason"]
    assert [row.split()[2] for row in rows] == ["adapter_failures", "schema_violations", "schema_violations", "unknown"]
    assert "first line" in rows[1]
    assert "[red]markup[/red]" in rows[2]
    assert "2027-01-15T08:00:00.000Z" in rows[1]


def test_filters_and_limit(filled: SharedSettings) -> None:
    (row,) = objects(filled, "list", "--app-id", "shop", "--since", "2027-01-15T07:30", "--type", "schema_violations")
    assert (row["app_id"], row["reasons"]) == ("shop", ["first\nline"])
    assert [row["app_id"] for row in objects(filled, "list", "--limit", "2")] == ["blog", None]


@pytest.mark.parametrize(
    ("wanted", "applications"),
    [
        (Wanted(None, None, None), ["shop", "shop", "blog", None]),
        (Wanted("schema_violations", None, None), ["shop", "blog"]),
        (Wanted(None, "shop", None), ["shop", "shop"]),
        (Wanted(None, None, NOW_MS), ["shop", "blog", None]),
        (Wanted("unknown", None, None), [None]),
        (Wanted(None, "nobody", None), []),
    ],
)
def test_what_is_wanted(wanted: Wanted, applications: list[str | None]) -> None:
    records = [LogRecord(offset, one) for offset, one in enumerate(messages())]
    assert [row.app_id for row in fitting(records, wanted)] == applications


def test_show_decodes_the_original(filled: SharedSettings) -> None:
    number = objects(filled, "list", "--app-id", "blog")[0]["number"]
    (shown,) = objects(filled, "show", str(number))
    assert shown["payload"] == {"querystring": {"aid": "blog"}, "body": None}
    assert shown["bad_row"]["data"]["processor"] == {"artifact": "evnt-test", "version": "1.0.0"}
    text = run(filled, "show", str(number)).stdout
    assert "[red]markup[/red]" in text
    assert '"aid": "blog"' in text
    absent = run(filled, "show", "999999")
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert "there is no bad row 999999" in absent.stderr


def test_a_wrong_time_is_a_usage_error(tmp_path: Path) -> None:
    done = run(SharedSettings(data_dir=tmp_path), "list", "--since", "yesterday")
    assert done.exit_code == 2
    assert "expected 90s" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("[" * 100_000, "[" * 100_000),
        ('{"a":"\\ud83d"}', {"a": "\ud83d"}),
        ('{"a":1e999}', {"a": "1e999"}),
        ('{"a":NaN}', '{"a":NaN}'),
        ('{"a":%s}' % ("9" * 5_000), {"a": "9" * 5_000}),
    ],
)
async def test_whatever_a_tracker_sends_can_be_shown_and_given_back(tmp_path: Path, body: str, shown: Any) -> None:
    path = "/com.snowplowanalytics.snowplow/tp2"
    (row,) = enrich(record(path=path, body=body, content_type="application/json")).bad
    sent = Message(row.body, uuid7(), NOW_MS, "bad-row", "application/json", {"type": row.type})
    async with open_publisher(SharedSettings(data_dir=tmp_path)) as publisher:
        await publisher.publish("bad", [sent])
    for arguments in (("list",), ("show", "1"), ("replay", "1", "--dry-run")):
        done = evnt(tmp_path, "bad-rows", *arguments, EVNT_DATA_DIR=str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
    listed = evnt(tmp_path, "bad-rows", "list", "--json", EVNT_DATA_DIR=str(tmp_path)).stdout
    assert json.loads(listed, parse_constant=pytest.fail)["payload"]["body"] == shown
    done = evnt(tmp_path, "bad-rows", "replay", "-", stdin=listed, EVNT_DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "given back: 1 to raw\n")


def odd(body: bytes) -> Message:
    return Message(body, uuid7(), NOW_MS, "bad-row", "application/json")


@pytest.mark.parametrize("failure", ['{"dataReports":null}', '{"dataReports":[1]}', "[" * 980 + "]" * 980])
def test_one_odd_row_does_not_hide_the_others(failure: str) -> None:
    body = f'{{"schema":"iglu:a/b/jsonschema/1-0-0","data":{{"failure":{failure},"payload":{failure}}}}}'
    records = [LogRecord(offset, one) for offset, one in enumerate([odd(body.encode()), *messages()])]
    assert len(fitting(records, Wanted(None, None, None))) == 5


async def test_looking_consumes_nothing(filled: SharedSettings) -> None:
    looked = [evnt(filled.data_dir, "bad-rows", "list", "--json", **variables(filled)).stdout for _ in range(2)]
    assert looked[0] == looked[1] != ""
    async with open_subscriber(filled, "bad-rows.load", 10) as subscriber:
        assert len(await subscriber.receive(10, 5)) == 4


async def test_tail_goes_on(filled: SharedSettings) -> None:
    line = [sys.executable, "-m", "cli", "bad-rows", "tail", "--json", "--limit", "1", "--type", "generic_error"]
    environ = environment(**variables(filled))
    process = await asyncio.create_subprocess_exec(*line, env=environ, stdout=PIPE, cwd=filled.data_dir)
    assert process.stdout
    async with open_publisher(filled) as publisher:
        await publisher.publish("bad", [message("generic_error", "late", NOW_MS + 9)])
    assert json.loads(await process.stdout.readline())["app_id"] == "late"
    process.send_signal(signal.SIGINT)
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


async def test_an_empty_log_says_so(settings: SharedSettings) -> None:
    async with open_publisher(settings):
        pass
    done = await asyncio.to_thread(run, settings, "list")
    assert (done.exit_code, done.stdout) == (0, "")
    direct = settings.ingest.mode == "direct"
    place = str(settings.data_dir) if direct else f"the broker at {settings.ingest.rabbitmq.host}:"
    assert done.stderr.startswith(f"no bad rows in {place}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("bad-rows", "list"),
        ("bad-rows", "show", "1"),
        ("bad-rows", "tail"),
        ("dead", "list", "raw"),
        ("dead", "purge", "raw", "--yes"),
    ],
)
def test_where_there_is_no_stream_none_is_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = evnt(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"there is no stream in {tmp_path}/var/stream: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("bad-rows", "show", "9" * 20),
        ("bad-rows", "list", "-n", "9" * 20),
        ("dead", "list", "raw", "-n", "9" * 20),
        ("dead", "replay", "raw", "-n", "9" * 20),
        ("settings", "--indent", "9" * 20),
    ],
)
def test_numbers_beyond_all_measure_are_refused(arguments: tuple[str, ...]) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert "Input should be less than or equal to" in " ".join(done.stderr.split())


class Log:
    """Grows while it is read, and is away now and then."""

    def __init__(self, offsets: list[int], outages: int) -> None:
        self._offsets = offsets
        self._outages = outages

    async def read(self, after: int | None, limit: int, wait_s: float = 0) -> list[LogRecord]:
        if after is not None and self._outages:
            self._outages -= 1
            raise StreamUnavailable("the broker went away")
        self._offsets.append(self._offsets[-1] + 1)
        found = [offset for offset in self._offsets if after is None or offset > after]
        return [LogRecord(offset, odd(b"")) for offset in found[:limit]]

    async def newest(self) -> int | None:
        return self._offsets[-1]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_a_log_is_read_to_where_it_ended_whatever_happens(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log([3, 4, 7, 8, 9], 2)
    found = [record.offset async for page in pages_till_now(log, size, pause_s=0) for record in page]
    assert found == [3, 4, 7, 8, 9]
    outages = 2 if size < 5 else 0
    assert capsys.readouterr().err == "the broker went away; trying again, Ctrl-C to stop\n" * outages
