"""The registry port: one place that may have a schema.

Not having a schema, refusing to give it and being out of order are answers, not exceptions: the resolver remembers
them and they end up in bad rows. Which of them means "ask again later" is `outage`.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol

from shared.schema import SchemaKey

#: A schema document as a registry keeps it. Registries may hold anything; who uses it checks.
Document = dict[str, Any]

#: Longest message of a failure that the schemas of bad rows accept.
_LONGEST_MESSAGE = 256


class Failure(NamedTuple):
    """Why a registry gave no schema. outage: it may well have it, but could not be asked."""

    error: Literal["NotFound", "ClientFailure", "RepoFailure"]
    message: str | None = None
    outage: bool = False

    def json(self) -> dict[str, str]:
        """As an item of a lookup history's `errors`."""
        if self.message is None:
            return {"error": self.error}
        return {"error": self.error, "message": self.message[:_LONGEST_MESSAGE]}


NOT_FOUND = Failure("NotFound")


class Rank(IntEnum):
    """Cheap registries are asked before expensive ones, whatever their priority."""

    MEMORY = 1
    FOLDER = 2
    HTTP = 100


class Registry(Protocol):
    """Where schemas lie. Reads only."""

    @property
    def name(self) -> str: ...

    @property
    def priority(self) -> int: ...

    @property
    def vendor_prefixes(self) -> Sequence[str]: ...

    @property
    def rank(self) -> Rank: ...

    async def fetch(self, key: SchemaKey) -> Document | Failure:
        """The document under that name, whatever its own `self` says."""

    async def versions(self, vendor: str, name: str, model: int) -> list[SchemaKey]:
        """The known jsonschemas of that name and model, oldest first; [] where the registry can't list."""

    async def close(self) -> None:
        """Let go of connections."""


def version_order(key: SchemaKey) -> tuple[int, ...]:
    """Sorts versions by number: 1-0-10 after 1-0-9."""
    return tuple(int(part) for part in key.version.split("-"))
