"""Configuration: `config/pipeline.yml`, overridden by `EVNT_` variables with `__` for nesting.

The only reader of the environment. Each process declares its own sections as `Section` models and loads the ones
it needs; an option is declared once, with default, unit and meaning, and everything else (validation, reference
page, `evnt settings`) derives from that.

Relative paths are relative to the working directory of the process.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource

from shared.document import read_yaml
from shared.options import PREFIX, options
from shared.settings_problems import problem, unknown_section

#: Read when `EVNT_CONFIG` names no other file; the defaults of the models apply when it is absent.
DEFAULT_FILE = Path("config/pipeline.yml")

#: Holds the folders `config` and `schemas` that come with evnt: the checkout, or where the package is installed.
SHIPPED = Path(__file__).parents[1]

#: Top-level name → who declares it. A process ignores the names of others and refuses those of nobody.
SECTIONS: dict[str, str] = {
    "data_dir": "shared",
    "ingest": "shared",
    "logging": "shared",
    "common": "collector",
    "collector": "collector",
    "security": "collector",
    "proxy": "collector",
    "performance": "collector",
    "prometheus": "collector",
    "sentry": "collector",
    "elastic_apm": "collector",
    "opentelemetry": "collector",
    "enricher": "enricher",
    "loader": "loader",
    "clickhouse": "loader",
}

#: Variables that steer something else than an option: the configuration file, and the tests.
RESERVED = ("CONFIG", "VECTORS", "TRAFFIC")
RESERVED_PREFIX = "TEST_"

_LARGEST = 2**63 - 1

_NOT_IN_NAMES = re.compile(r"[\s\0/:@?#%\\\[\]]")


class SettingsError(Exception):
    """The configuration can't be used; `problems` says per key what was expected. The process must not start."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _host(value: str) -> str:
    """An address stays, without the brackets of a URL. Of names, those that nobody can look up are refused here: where
    they are used, they are bugs to the libraries."""
    with suppress(ValueError):
        return str(ip_address(value.removeprefix("[").removesuffix("]")))
    with suppress(UnicodeError):
        value.encode("idna")
        if not _NOT_IN_NAMES.search(value):
            return value
    raise ValueError("expected a host's name or address alone: no scheme, no port")


Host = Annotated[str, AfterValidator(_host)]


class Section(BaseModel):
    """A group of options: frozen, unknown keys refused, the text under each option is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _named(cls, value: object, info: ValidationInfo) -> object:
        """An empty path would be the working folder, which nobody means who leaves a variable empty."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if value == "" and Path in (annotation, *get_args(annotation)):
            raise ValueError("expected a path")
        return value

    @field_validator("*")
    @classmethod
    def _countable(cls, value: object) -> object:
        """Neither AMQP nor SQLite knows larger numbers, and no timer waits for infinity."""
        if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"expected a number of at most {_LARGEST}")
        return value


class RabbitmqSettings(Section):
    host: Host = Field(default="127.0.0.1", min_length=1)
    """Host name of the broker."""
    port: int = Field(default=5672, ge=1, le=65535)
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
    heartbeat_seconds: int = Field(default=10, ge=1, le=65535)
    """After about three times this silence a connection counts as dead and is made anew."""
    connect_timeout_ms: int = Field(default=10_000, ge=1)
    """Longest wait for one attempt to connect."""
    startup_timeout_seconds: int = Field(default=5, ge=1)
    """How long a starting process waits for the broker before it goes on without and keeps trying; a collector with a
    spool at most 3."""
    retry_delay_ms: int = Field(default=5_000, ge=1)
    """Longest pause between two attempts to connect; the first ones are much shorter."""
    consumer_timeout_ms: int = Field(default=86_400_000, ge=1)
    """How long a consumer may hold a message without acking it (the broker's own default is half an hour)."""


class StreamLimits(Section):
    """What a transport may hold; on RabbitMQ these become arguments of the queues when they are declared."""

    queue_max_bytes: int = Field(default=10_000_000_000, ge=1)
    """Bytes of messages in one queue above which it takes no more: the collector then spools, later answers 503."""
    message_max_bytes: int = Field(default=16_777_216, ge=1)
    """Largest message body in bytes; RabbitMQ 4 refuses larger ones by default."""
    delivery_limit: int = Field(default=50, ge=0)
    """Redeliveries after which a message counts as poison and goes to the queue's dead queue."""
    publish_timeout_ms: int = Field(default=10_000, ge=1)
    """Longest wait for the transport to confirm a publish."""
    log_max_bytes: int = Field(default=1_000_000_000, ge=0)
    """Size in bytes above which the oldest part of the `bad-rows` log goes; 0 keeps none."""
    log_max_age_hours: int = Field(default=168, ge=1)
    """Age above which records of the `bad-rows` log go."""
    raw_archive: bool = False
    """Also keep everything of the raw stream in the log `raw.archive`, to enrich the past again."""
    raw_archive_max_bytes: int = Field(default=20_000_000_000, ge=1)
    """Size in bytes above which the oldest part of `raw.archive` goes."""
    raw_archive_max_age_hours: int = Field(default=720, ge=1)
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


class AdminSettings(Section):
    """Where a process answers `/health`, `/ready` and `/metrics`; each process sets its own default port."""

    host: Host = "127.0.0.1"
    """Address of the admin port."""
    port: int = Field(ge=0, le=65535)
    """Admin port; the second process of a kind under honcho takes the next one, and so on."""


class SharedSettings(Section):
    """What all three processes read."""

    data_dir: Path = Path("var")
    """Folder of everything evnt writes: embedded stream, embedded ClickHouse, collector spool."""
    ingest: IngestSettings = IngestSettings()
    logging: LoggingSettings = LoggingSettings()


Model = TypeVar("Model", bound=Section)


def environment() -> Mapping[str, str]:
    """The process environment, for the few readers that need a variable before there are settings."""
    return os.environ


def process_number() -> int:
    """Which process of its kind this is, from 1, as honcho says it (`enricher.3`); 1 elsewhere."""
    number = os.environ.get("HONCHO_PROCESS_NAME", "").rpartition(".")[2]
    return int(number) if number.isdecimal() else 1


def load(model: type[Model], *, file: Path | None = None, environ: Mapping[str, str] | None = None) -> Model:
    """The settings of one process: defaults < YAML file < environment.

    Raises SettingsError with every problem at once.
    """
    variables = _evnt_variables(os.environ if environ is None else environ)
    place, document = _read(file, variables)
    problems = [unknown_section(name, SECTIONS, str(place)) for name in document if not _belongs(name)]
    problems += [unknown_section(top, SECTIONS, PREFIX + name) for name, top in _tops(variables) if not _belongs(top)]
    from_file = {name: value for name, value in document.items() if name in model.model_fields and value is not None}
    from_environment = _parse(model, variables)
    try:
        loaded = model.model_validate(_merged(_merged(_defaults(model), from_file), from_environment))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        problems += [problem(model, detail, place, from_environment) for detail in found]
    if problems:
        raise SettingsError(problems)
    return loaded


def _evnt_variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {name[len(PREFIX) :]: value for name, value in environ.items() if name.startswith(PREFIX)}


def _tops(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    names = (name for name in variables if name not in RESERVED and not name.startswith(RESERVED_PREFIX))
    return [(name, name.partition("__")[0].lower()) for name in names]


def _belongs(name: str) -> bool:
    return name in SECTIONS


def _read(file: Path | None, variables: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    named = file or (Path(variables["CONFIG"]) if "CONFIG" in variables else None)
    place = named or DEFAULT_FILE
    if named is None and not place.exists():
        return place, {}
    by = " (EVNT_CONFIG names it)" if file is None and named else ""
    try:
        document = read_yaml(place.read_text("utf-8"))
    except OSError as error:
        raise SettingsError([f"{place}: can't be read: {error.strerror}{by}"]) from error
    except ValueError as error:
        raise SettingsError([f"{place}: is not YAML: {error}"]) from error
    if not isinstance(document, dict | None):
        raise SettingsError([f"{place}: expected sections such as `ingest:` at the top, found {document!r}"])
    return place, {str(name): value for name, value in (document or {}).items()}


class _Variables(EnvSettingsSource):
    """Lists and mappings in a variable are written as YAML, of which JSON is a part."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        try:
            return read_yaml(value)
        except ValueError:
            return value  # the model refuses it, with path and expectation


def _parse(model: type[Section], variables: Mapping[str, str]) -> dict[str, Any]:
    source = _Variables(cast("type[BaseSettings]", model), env_nested_delimiter="__")
    absent = {option.variable[len(PREFIX) :] for option in options(model) if type(None) in get_args(option.annotation)}
    source.env_vars = {
        name.lower(): None if value == "null" and name.upper() in absent else value for name, value in variables.items()
    }
    return source()


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """The defaults as a document, so that setting one option of a section leaves the section's others alone."""
    sections = ((name, field.default) for name, field in model.model_fields.items())
    return {name: default.model_dump() for name, default in sections if isinstance(default, BaseModel)}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged
