"""`evnt db`, as an operator runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import app
from tests.clickhouse import PASSWORD, Server
from tests.ports import free_port
from tests.vectors import ROOT


@pytest.fixture
def variables(clickhouse: Server, database: str) -> dict[str, str]:
    return {
        "EVNT_CLICKHOUSE__CONNECTION__PORT": str(clickhouse.port),
        "EVNT_CLICKHOUSE__CONNECTION__PASSWORD": PASSWORD,
        "EVNT_CLICKHOUSE__CONFIGURATION__DATABASE": database,
    }


Run = Callable[..., Any]


@pytest.fixture
def evnt_db(variables: dict[str, str]) -> Run:
    def run(*arguments: str, **options: str) -> Any:
        return CliRunner().invoke(app, ["db", *arguments], env={**variables, **options}, catch_exceptions=False)

    return run


def test_tables_are_made_once_and_compared_with_the_settings(evnt_db: Run) -> None:
    missing = evnt_db("diff")
    assert missing.exit_code == 1
    assert "create table events (added by the loader itself)" in missing.stdout
    assert "create table events\n" in evnt_db("init").stdout
    assert evnt_db("init").stdout == "nothing to do\n"
    same = evnt_db("diff")
    assert (same.exit_code, same.stdout) == (0, "the tables are as the settings say\n")


def test_what_deletes_data_is_left_to_migrate(evnt_db: Run, clickhouse: Server, database: str) -> None:
    evnt_db("init")
    shorter = {
        "EVNT_CLICKHOUSE__CONFIGURATION__TABLES__EVENTS__LOCAL__TTL": "toDate(collector_tstamp) + INTERVAL 1 YEAR"
    }
    assert evnt_db("init", **shorter).stdout == "nothing to do\n"
    asked = evnt_db("diff", "--sql", **shorter)
    assert "needs `evnt db migrate`" in asked.stdout
    assert "MODIFY TTL toDate(collector_tstamp) + INTERVAL 1 YEAR;" in asked.stdout
    assert evnt_db("migrate", "--yes", **shorter).exit_code == 0
    assert "toIntervalYear(1)" in clickhouse.query(f"SHOW CREATE TABLE {database}.events")
    assert evnt_db("diff", **shorter).exit_code == 0


def test_models_are_tables_that_fill_themselves(evnt_db: Run, clickhouse: Server, database: str) -> None:
    evnt_db("init")
    assert "page_views: filled now and every 2 hour" in evnt_db("models", "--every", "2 HOUR").stdout
    assert "EVERY 2 HOUR" in clickhouse.query(f"SHOW CREATE TABLE {database}.page_views")
    assert evnt_db("models", "refresh").exit_code == 0
    assert f"FROM `{database}`.`events_unique`" in evnt_db("models", "--sql").stdout
    assert evnt_db("models", "--every", "now and then").exit_code == 2
    assert evnt_db("models", "drop").exit_code == 0
    assert "page_views" not in clickhouse.query(f"SHOW TABLES FROM {database}")


def test_a_server_that_is_away_or_refuses_is_said_in_a_line(variables: dict[str, str]) -> None:
    def run(**options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", "db", "diff"]
        environment = {**os.environ, **variables, **options}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    away = run(EVNT_CLICKHOUSE__CONNECTION__PORT=str(free_port()))
    assert (away.returncode, away.stderr.count("\n")) == (69, 1)
    refused = run(EVNT_CLICKHOUSE__CONNECTION__PASSWORD="wrong")
    assert refused.returncode == 78
    assert "Authentication failed" in refused.stderr
