"""The real process: starts, works, says what is wrong with its configuration, and stops cleanly."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from enricher.settings import EnricherSettings
from shared.identity import now_ms, uuid7
from shared.settings import SettingsError, SharedSettings, environment, load
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message
from tests.enricher.harness import GOOD, post
from tests.vectors import ROOT

EXIT_MISCONFIGURED = 78


def variables(data_dir: Path, **options: str) -> Mapping[str, str]:
    ours = {"EVNT_DATA_DIR": str(data_dir), "EVNT_ENRICHER__ADMIN__PORT": "0"}
    return {**environment(), **ours, **{f"EVNT_ENRICHER__{name.upper()}": value for name, value in options.items()}}


@contextmanager
def enricher(variables_: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "enricher"]
    with subprocess.Popen(command, cwd=ROOT, env=variables_, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_works_and_stops_cleanly(tmp_path: Path) -> None:
    settings = SharedSettings(data_dir=tmp_path)
    with enricher(variables(tmp_path)) as process:
        async with open_publisher(settings) as publisher, open_subscriber(settings, "enriched", 10) as enriched:
            sent = Message(post(GOOD), uuid7(), now_ms(), "collector-payload", "application/x-thrift", {"payloads": 1})
            await publisher.publish("raw", [sent])
            (delivery,) = await enriched.receive(1, 30)
            await enriched.ack([delivery])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == os.EX_OK
    assert delivery.message.headers["events"] == 1


def test_a_resolver_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with enricher(variables(tmp_path, iglu="nowhere.yml")) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == EXIT_MISCONFIGURED
    assert "iglu: nowhere.yml" in errors


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("enriched__age_ms", "-1", "enricher.enriched.age_ms"),
        ("enriched__events", "1", "enricher.enriched.events: unknown option"),
        ("validation__atomic_fields_limits", "{txn_id: 3}", "expected columns that have a limit"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(tmp_path: Path, option: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(EnricherSettings, environ=variables(tmp_path, **{option: value}))
