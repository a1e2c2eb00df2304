"""What a log entry looks like, as a process writes it."""

import json
import subprocess
import sys

SCRIPT = """
import logging, warnings
from shared.settings import LoggingSettings
from shared.telemetry import configure, logger

log = logger("loader")
configure(LoggingSettings(level="info", json_format={json_format}), "loader")
log.info("insert.retried", rows=3)
log.debug("never.seen")
logging.getLogger("aiohttp").info("never seen")
logging.getLogger("aiohttp").warning("odd %s", "frame")
try:
    raise ValueError("x")
except ValueError:
    log.exception("insert.failed")
"""


def written(*, json_format: bool) -> list[str]:
    script = SCRIPT.format(json_format=json_format)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_one_json_object_a_line() -> None:
    first, foreign, failed = map(json.loads, written(json_format=True))
    assert first.pop("timestamp").endswith("Z")
    assert first == {"process": "loader", "event": "insert.retried", "rows": 3, "level": "info"}
    assert (foreign["event"], foreign["level"]) == ("odd frame", "warning")
    assert "ValueError: x" in failed["exception"]


def test_text() -> None:
    lines = written(json_format=False)
    assert "insert.retried" in lines[0]
    assert "rows=3" in lines[0]
    assert "never" not in "".join(lines)
