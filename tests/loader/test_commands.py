"""`evnt load` and `evnt queue`, run as an operator runs them, on the embedded ClickHouse."""

import asyncio
import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import SharedSettings
from shared.stream import open_publisher
from tests.cli.command import environment, evnt
from tests.clickhouse import PASSWORD, Server
from tests.loader.lines import event_id, line
from tests.ports import free_port


def run(
    server: Server, database: str, folder: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    options = {
        "EVNT_CLICKHOUSE__CONNECTION__PORT": str(server.port),
        "EVNT_CLICKHOUSE__CONNECTION__PASSWORD": PASSWORD,
        "EVNT_CLICKHOUSE__CONFIGURATION__DATABASE": database,
    }
    return evnt(folder, *arguments, **{**options, **variables})


def test_files_are_loaded_once(clickhouse: Server, database: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tsv").write_bytes(b"\n".join(line(number) for number in range(5)) + b"\n")
    (tmp_path / "in" / "b.tsv.gz").write_bytes(gzip.compress(line(5) + b"\nbroken\n"))
    for _ in range(2):
        done = run(clickhouse, database, tmp_path, "load", "in")
        assert done.returncode == 1, done.stderr
        assert "6 events in events" in done.stderr
        assert "1 line rejected" in done.stderr.replace("\n", "")
    assert clickhouse.query(f"SELECT count() FROM {database}.events") == "6\n"
    (reject,) = [json.loads(each) for each in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert (reject["file"], reject["line"]) == ("in/b.tsv.gz", 2)
    assert reject["bad_row"]["data"]["failure"] == {"type": "NotTSV"}


def test_what_was_loaded_is_not_read_again(clickhouse: Server, database: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(line(1))
    assert "loaded before" not in run(clickhouse, database, tmp_path, "load", "a.tsv").stderr
    assert "a.tsv: loaded before" in run(clickhouse, database, tmp_path, "load", "a.tsv").stderr


def test_check_stores_again_what_was_deleted_from_a_file_that_was_loaded(
    clickhouse: Server, database: str, tmp_path: Path
) -> None:
    (tmp_path / "a.tsv").write_bytes(b"\n".join(line(number) for number in range(3)))
    run(clickhouse, database, tmp_path, "load", "a.tsv")
    clickhouse.query(f"DELETE FROM {database}.events WHERE event_id = '{event_id(1)}'")
    for _ in range(2):
        assert run(clickhouse, database, tmp_path, "load", "--check", "a.tsv").returncode == 0
        assert clickhouse.query(f"SELECT count() FROM {database}.events") == "3\n"


def test_a_server_that_is_away_is_waited_for_until_the_user_stops(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(line(1))
    variables = environment(EVNT_CLICKHOUSE__CONNECTION__PORT=str(free_port()))
    command = [sys.executable, "-m", "cli", "load", "a.tsv"]
    with subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True) as loading:
        assert loading.stderr
        assert "ClickHouse can't be reached" in loading.stderr.readline()
        loading.send_signal(signal.SIGINT)
        said = loading.stderr.read()
        assert said == "stopped while ClickHouse could not be reached; start again to go on\n"
        assert loading.wait(30) == 1


def test_a_wrong_password_is_said_with_its_setting(clickhouse: Server, database: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(line(1))
    for command in (["load", "a.tsv"], ["db", "diff"]):
        done = run(clickhouse, database, tmp_path, *command, EVNT_CLICKHOUSE__CONNECTION__PASSWORD="wrong")
        assert done.returncode == 78
        assert done.stderr.startswith("ClickHouse: Code: 516.")
        assert done.stderr.endswith(": see clickhouse.connection.username and .password\n")


def test_failed_events_have_a_table_of_their_own(clickhouse: Server, database: str, tmp_path: Path) -> None:
    (tmp_path / "failed.tsv").write_bytes(line(1))
    done = run(clickhouse, database, tmp_path, "load", "--failed", "failed.tsv")
    assert done.returncode == 0, done.stderr
    assert clickhouse.query(f"SELECT event_id FROM {database}.events_failed") == event_id(1) + "\n"


def test_a_file_that_one_table_has_is_not_passed_over_for_the_other(
    clickhouse: Server, database: str, tmp_path: Path
) -> None:
    (tmp_path / "a.tsv").write_bytes(line(1))
    for options, table in (((), "events"), (("--failed",), "events_failed")):
        assert run(clickhouse, database, tmp_path, "load", *options, "a.tsv").returncode == 0
        assert clickhouse.query(f"SELECT event_id FROM {database}.{table}") == event_id(1) + "\n"


def test_a_file_that_is_not_there_is_named(clickhouse: Server, database: str, tmp_path: Path) -> None:
    done = run(clickhouse, database, tmp_path, "load", "absent.tsv")
    assert done.returncode == 2
    assert "absent.tsv" in done.stderr


@pytest.mark.parametrize(
    ("option", "file"), [("--state", "in.tsv"), ("--state", "list.json"), ("--rejects", "absent/rejects.jsonl")]
)
def test_files_beside_that_can_not_be_used_are_named_before_anything_is_loaded(
    tmp_path: Path, option: str, file: str
) -> None:
    (tmp_path / "in.tsv").write_bytes(line(1))
    (tmp_path / "list.json").write_text("[1]")
    done = evnt(tmp_path, "load", "in.tsv", option, file)
    assert done.returncode == 2
    assert option in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("behind", [b"", bytes(range(256))], ids=["ends", "garbage"])
def test_a_broken_archive_is_named_and_keeps_what_was_read(
    clickhouse: Server, database: str, tmp_path: Path, behind: bytes
) -> None:
    whole = gzip.compress(b"\n".join(line(number) for number in range(2_000)))
    (tmp_path / "cut.tsv.gz").write_bytes(whole[: len(whole) // 2] + behind)
    done = run(clickhouse, database, tmp_path, "load", "cut.tsv.gz", EVNT_LOADER__BATCH__ROWS="100")
    assert done.returncode == 1
    assert "cut.tsv.gz: can't be read on" in done.stderr.replace("\n", " ")
    assert int(clickhouse.query(f"SELECT count() FROM {database}.events")) >= 100


async def _make_stream(folder: Path) -> None:
    async with open_publisher(SharedSettings(data_dir=folder / "var")):
        pass


@pytest.mark.parametrize("missing", ["tables", "server", "stream", None])
def test_healthcheck_says_what_is_missing(
    clickhouse: Server, database: str, tmp_path: Path, missing: str | None
) -> None:
    if missing != "tables":
        (tmp_path / "none.tsv").touch()
        run(clickhouse, database, tmp_path, "load", "none.tsv")
    if missing != "stream":
        asyncio.run(_make_stream(tmp_path))
    port = str(free_port() if missing == "server" else clickhouse.port)
    done = run(clickhouse, database, tmp_path, "queue", "healthcheck", EVNT_CLICKHOUSE__CONNECTION__PORT=port)
    said = dict(row.split(": ", 1) for row in done.stdout.splitlines())
    assert said["stream"].startswith("there is no stream in" if missing == "stream" else "ok")
    assert said["clickhouse"].startswith(
        {"tables": "`evnt db init` is due: create", "server": "ClickHouse can't"}.get(missing or "", "ok")
    )
    assert done.returncode == (1 if missing else 0)
