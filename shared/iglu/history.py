"""What is remembered of registries that did not give a schema, and when each is worth asking again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.badrow import instant
from shared.iglu.registry import Failure, Rank, Registry

_LONGEST_PAUSE_S: Final = 60.0
_MOST_ERRORS: Final = 32


@dataclass
class Attempts:
    """One registry's answers to one schema name. errors: the distinct ones. last: Unix seconds of the latest."""

    errors: list[Failure] = field(default_factory=list)
    count: int = 0
    last: float = 0.0

    def add(self, failure: Failure, now: float) -> None:
        if failure not in self.errors and len(self.errors) < _MOST_ERRORS:
            self.errors.append(failure)
        self.count += 1
        self.last = now

    @property
    def not_found(self) -> bool:
        return any(failure.error == "NotFound" for failure in self.errors)

    @property
    def out_of_order(self) -> bool:
        """It may have the schema, but has never been able to say so."""
        return not self.not_found and any(failure.outage for failure in self.errors)

    def due(self, rank: Rank, ttl_s: float | None) -> float:
        """When to ask again, Unix seconds: what is not there, or lies in a folder, only after the TTL."""
        if not self.not_found and rank is Rank.HTTP:
            return self.last + back_off_s(self.count)
        return float("inf") if ttl_s is None else self.last + ttl_s

    def json(self, name: str) -> dict[str, Any]:
        return {
            "repository": name,
            "errors": [failure.json() for failure in self.errors],
            "attempts": self.count,
            "lastAttempt": instant(int(self.last * 1000)),
        }


def back_off_s(attempts: int) -> float:
    """Pause after that many failed attempts: half a second at first, then growing fast, a minute at most."""
    if attempts <= 8:
        milliseconds: float = 4**attempts
    elif attempts <= 12:
        milliseconds = 3**attempts
    else:
        milliseconds = 5_000 + 2 ** min(attempts, 32)
    return min(_LONGEST_PAUSE_S, (500 + milliseconds) / 1000)


def lookup_history(attempts: Mapping[str, Attempts]) -> list[dict[str, Any]]:
    """JSON as a bad row's ResolutionError carries it: sorted by the registries' names."""
    return [attempts[name].json(name) for name in sorted(attempts)]


def is_outage(vendor: str, registries: list[Registry], attempts: Mapping[str, Attempts]) -> bool:
    """Whether the schema may exist all the same: then no event may be refused for it.

    So it is where a remote registry is out of order that claims the vendor, or where no remote registry has said
    that it does not have it. A registry that is not meant for the vendor can't hold the pipeline up alone.
    """
    remote = [registry for registry in registries if registry.rank is Rank.HTTP and registry.name in attempts]
    failing = [registry for registry in remote if attempts[registry.name].out_of_order]
    if any(claims(registry, vendor) for registry in failing):
        return True
    return bool(failing) and not any(attempts[registry.name].not_found for registry in remote)


def claims(registry: Registry, vendor: str) -> bool:
    return any(vendor.startswith(prefix) for prefix in registry.vendor_prefixes)
