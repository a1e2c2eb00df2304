"""What the pipeline asks of Iglu: a schema by its URI, and whether an instance conforms.

An instance that does not conform, and a schema that no registry has, are values. Registries that can't be
reached are an infrastructure error: the worker holds the message and asks again.
"""

from abc import ABC, abstractmethod
from typing import Any, Final, NamedTuple, Protocol

from shared.schema import SchemaKey


class Report(NamedTuple):
    """One violation, in the words and paths of Snowplow's validator (reference: docs/bad-rows.md)."""

    message: str
    path: str
    keyword: str | None
    targets: tuple[str, ...]


class Schema(ABC):
    """A resolved schema, compiled. A class and no protocol: compiled callers find its method without looking for it.

    key: the schema that validates, the superseding one where there is one. superseded_by: version that replaced the
    requested one (`1-0-1`), else None.
    """

    def __init__(self, key: SchemaKey, superseded_by: str | None) -> None:
        self.key: Final = key
        self.superseded_by: Final = superseded_by

    @abstractmethod
    def reports(self, instance: Any, levels: int | None = None) -> tuple[Report, ...]:
        """Empty where the instance conforms. The verdict is jsonschema's. Hot path: a microsecond where it does.

        levels: the instance is known to have no more than these, which saves counting them.
        """


class SchemaIssue(NamedTuple):
    path: str
    message: str


class InvalidSchema(NamedTuple):
    """A registry has the schema, but it is not a valid one. superseded_by: as in Schema."""

    issues: tuple[SchemaIssue, ...]
    superseded_by: str | None = None


class NotResolved(NamedTuple):
    """No registry has the schema. `lookup_history` is JSON as a bad row's ResolutionError carries it."""

    lookup_history: list[dict[str, Any]]


#: What a lookup of an Iglu URI can end in.
Resolution = Schema | InvalidSchema | NotResolved


class RegistriesUnavailable(Exception):
    """A schema was not found, but a registry that may have it could not be asked: hold the message, try again."""


class Resolver(Protocol):
    """Looks schemas up by `iglu:vendor/name/format/M-R-A`."""

    def cached(self, uri: str) -> Resolution | None:
        """What is known now without asking anybody, None where somebody must be asked. Hot path: one dict look-up."""

    async def resolve(self, uri: str) -> Resolution:
        """Ask the registries. Raises RegistriesUnavailable."""

    async def close(self) -> None:
        """Let go of connections."""
