"""What enrichments ask the worker, and how long an answer may be remembered."""

from collections.abc import Hashable
from typing import Any, Final, NamedTuple


class Remembering(NamedTuple):
    """Up to `size` answers for `seconds`, an error for a tenth of that where `error_seconds` does not say otherwise.

    name: separates one memory from another.
    """

    name: str
    size: int
    seconds: int
    error_seconds: int | None = None


#: Of a service whose answers are good for a day: its hiccup must not be an outage of hours.
ERROR_SECONDS: Final = 60


class Limits(NamedTuple):
    """How hard a service may be asked: requests a second (0: no limit), and at the same time."""

    per_second: float = 0
    at_once: int = 16


class HttpQuestion(NamedTuple):
    """A request whose answer is JSON. `key` is what the answer depends on."""

    key: Hashable
    url: str
    remember: Remembering
    method: str = "GET"
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeout_ms: int = 5_000
    limits: Limits = Limits()


class SqlQuestion(NamedTuple):
    """A query and its typed arguments. The answer is a list of rows, each a dict by column label."""

    key: Hashable
    database: "SqlDatabase"
    statement: str
    arguments: tuple[Any, ...]
    remember: Remembering
    timeout_ms: int = 5_000


class SqlDatabase(NamedTuple):
    """Where to connect to. `kind` is postgresql or mysql."""

    kind: str
    host: str
    port: int
    ssl: bool
    username: str
    password: str
    database: str
