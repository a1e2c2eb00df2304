"""What an operator's function did so far, for metrics."""

import time
from dataclasses import dataclass, field

from enricher.enrichments.contract import Patch


@dataclass(slots=True)
class Tally:
    """Counts of one function. As a context manager it counts a call and its time.

    agreed, differed: events on which a shadow said the same as what is applied, or something else.
    """

    calls: int = 0
    failures: int = 0
    dropped: int = 0
    over_budget: int = 0
    agreed: int = 0
    differed: int = 0
    seconds: float = 0.0
    _started: float = field(default=0.0, repr=False)

    def __enter__(self) -> "Tally":
        self.calls += 1
        self._started = time.perf_counter()
        return self

    def record(self, patch: Patch) -> None:
        """Count how the call ended."""
        self.failures += bool(patch.failures)
        self.dropped += patch.drop

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started
