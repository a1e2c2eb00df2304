"""`evnt load` and `evnt queue`, run as an operator runs them, on the embedded ClickHouse."""

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import evnt
from tests.clickhouse import PASSWORD, Server
from tests.loader.lines import event_id, line
from tests.ports import free_port

if TYPE_CHECKING:
    import subprocess


def run(
    server: Server, database: str, folder: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
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
        assert "1 lines rejected" in done.stderr.replace("\n", "")
    assert clickhouse.query(f"SELECT count() FROM {database}.events") == "6\n"
    (reject,) = [json.loads(each) for each in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert (reject["file"], reject["line"]) == ("in/b.tsv.gz", 2)
    assert reject["bad_row"]["data"]["failure"] == {"type": "NotTSV"}


def test_failed_events_have_a_table_of_their_own(clickhouse: Server, database: str, tmp_path: Path) -> None:
    (tmp_path / "failed.tsv").write_bytes(line(1))
    done = run(clickhouse, database, tmp_path, "load", "--failed", "failed.tsv")
    assert done.returncode == 0, done.stderr
    assert clickhouse.query(f"SELECT event_id FROM {database}.events_failed") == event_id(1) + "\n"


def test_a_file_that_is_not_there_is_named(clickhouse: Server, database: str, tmp_path: Path) -> None:
    done = run(clickhouse, database, tmp_path, "load", "absent.tsv")
    assert done.returncode == 2
    assert "absent.tsv" in done.stderr


def test_a_broken_archive_is_named_and_keeps_what_was_read(clickhouse: Server, database: str, tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join(line(number) for number in range(2_000)))
    (tmp_path / "cut.tsv.gz").write_bytes(whole[: len(whole) // 2])
    done = run(clickhouse, database, tmp_path, "load", "cut.tsv.gz", EVNT_LOADER__BATCH__ROWS="100")
    assert done.returncode == 1
    assert "cut.tsv.gz: can't be read on" in done.stderr.replace("\n", " ")
    assert int(clickhouse.query(f"SELECT count() FROM {database}.events")) >= 100


@pytest.mark.parametrize("missing", ["tables", "server", None])
def test_healthcheck_says_what_is_missing(
    clickhouse: Server, database: str, tmp_path: Path, missing: str | None
) -> None:
    if missing != "tables":
        (tmp_path / "none.tsv").touch()
        run(clickhouse, database, tmp_path, "load", "none.tsv")
    port = str(free_port() if missing == "server" else clickhouse.port)
    done = run(clickhouse, database, tmp_path, "queue", "healthcheck", EVNT_CLICKHOUSE__CONNECTION__PORT=port)
    said = dict(row.split(": ", 1) for row in done.stdout.splitlines())
    assert said["stream"] == "ok"
    assert said["clickhouse"].startswith({"tables": "missing", "server": "ClickHouse can't", None: "ok"}[missing])
    assert done.returncode == (1 if missing else 0)
