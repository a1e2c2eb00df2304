"""What the health of a collector process is judged by."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class State:
    """trouble: why nothing can be made durable now; None while it can. terminating: SIGTERM has come."""

    trouble: Callable[[], str | None]
    terminating: bool = False

    @property
    def unready(self) -> str | None:
        """Why no requests should be sent here; None when they should."""
        return "terminating" if self.terminating else self.trouble()
