"""What enrichments have in common that ask a service: how long an answer is good for, and what a failure means."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, field_validator

from enricher.enrichments.contract import Failure, Patch
from enricher.enrichments.parts.parameters import Parameters


class Cache(Parameters):
    size: int = Field(ge=0)
    """Answers that are remembered."""
    ttl: int = Field(ge=0, le=86_400)
    """Seconds that an answer is remembered; an error for a tenth of that."""


class Lookup(Parameters):
    cache: Cache
    """How long answers are good for."""
    ignore_on_error: bool = Field(False, alias="ignoreOnError")
    """Go on without the entities where the service fails; else the event becomes a failed one."""

    @field_validator("ignore_on_error", mode="before")
    @classmethod
    def _null(cls, value: Any) -> Any:
        return False if value is None else value


def failed(problems: Iterable[str], *, ignore: bool) -> Patch | None:
    return None if ignore else Patch(failures=tuple(map(Failure, problems)))
