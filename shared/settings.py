"""Configuration: `config/pipeline.yml`, overridden by `EVNT_` variables with `__` for nesting.

The only reader of the environment. Each process declares its own sections as `Section` models and loads the ones
it needs; an option is declared once, with default, unit and meaning, and everything else (validation, reference
page, `evnt settings`) derives from that.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr


class SettingsError(Exception):
    """The configuration can't be used; `problems` says per key what was expected. The process must not start."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Section(BaseModel):
    """A group of options: frozen, unknown keys refused, the text under each option is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RabbitmqSettings(Section):
    host: str = "127.0.0.1"
    """Host name of the broker."""
    port: int = 5672
    """AMQP port of the broker."""
    username: str = "guest"
    """User that publishes and consumes."""
    password: SecretStr = SecretStr("guest")
    """Password of the user."""
    virtualhost: str = "/"
    """Virtual host that holds the exchanges and queues."""


class IngestSettings(Section):
    mode: Literal["direct", "rabbitmq"] = "direct"
    """Transport between the processes: `direct` is the embedded stream, one SQLite file, no server."""
    rabbitmq: RabbitmqSettings = RabbitmqSettings()


class LoggingSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log entry that is written."""
    json_format: bool = False
    """One JSON object a line instead of text."""


class SharedSettings(Section):
    """What all three processes read."""

    data_dir: Path = Path("var")
    """Folder of everything evnt writes: embedded stream, embedded ClickHouse, collector spool."""
    ingest: IngestSettings = IngestSettings()
    logging: LoggingSettings = LoggingSettings()


def environment() -> Mapping[str, str]:
    """The process environment, for the few readers that need a variable before there are settings."""
    return os.environ
