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
    tls: bool = False
    """Speak TLS to the broker; its certificate is verified."""
    tls_ca_file: Path | None = None
    """Certificates of the authorities that may have signed the broker's (PEM); unset: those of the system."""
    heartbeat_seconds: int = 30
    """After about twice this silence the line counts as dead and is made anew."""
    connect_timeout_ms: int = 10_000
    """Longest wait for one attempt to connect."""
    startup_timeout_seconds: int = 60
    """How long a starting process waits for a broker that can't be reached before it exits."""
    retry_delay_ms: int = 30_000
    """Longest pause between two attempts to reconnect; the first ones are much shorter."""
    consumer_timeout_ms: int = 86_400_000
    """How long a consumer may hold a message without acking it (the broker's own default is half an hour)."""


class StreamLimits(Section):
    """What a transport may hold; on RabbitMQ these become arguments of the queues when they are declared."""

    queue_max_bytes: int = 10_000_000_000
    """Bytes of messages in one queue above which it takes no more: the collector then spools, later answers 503."""
    message_max_bytes: int = 16_777_216
    """Largest message body in bytes; RabbitMQ 4 refuses larger ones by default."""
    delivery_limit: int = 50
    """Redeliveries after which a message counts as poison and goes to the queue's dead queue."""
    publish_timeout_ms: int = 10_000
    """Longest wait for the transport to confirm a publish."""
    log_max_bytes: int = 1_000_000_000
    """Size in bytes above which the oldest part of the `bad-rows` log goes; 0 keeps no log (embedded only)."""
    log_max_age_hours: int = 168
    """Age above which records of the `bad-rows` log go."""
    raw_archive: bool = False
    """Also keep everything of the raw stream in the log `raw.archive`, to enrich the past again."""
    raw_archive_max_bytes: int = 20_000_000_000
    """Size in bytes above which the oldest part of `raw.archive` goes."""
    raw_archive_max_age_hours: int = 720
    """Age above which records of `raw.archive` go."""


class IngestSettings(Section):
    mode: Literal["direct", "rabbitmq"] = "direct"
    """Transport between the processes: `direct` is the embedded stream, one SQLite file, no server."""
    limits: StreamLimits = StreamLimits()
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
