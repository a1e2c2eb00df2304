"""What the life and the health of a collector process are judged by."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class State:
    """trouble: why nothing can be made durable now; None while it can. flows: whether the stream itself takes messages.

    starting: nobody listens yet. terminating: it ends, and load balancers are to notice.
    """

    trouble: Callable[[], str | None]
    flows: Callable[[], bool]
    starting: bool = False
    terminating: bool = False

    @property
    def unready(self) -> str | None:
        """Why no requests should be sent here; None when they should."""
        if self.starting:
            return "starting"
        return "terminating" if self.terminating else self.trouble()


class Fate:
    """Ends the process when one of its tasks dies: a bug, or a transport that an operator must put right."""

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._died = asyncio.Event()

    def watch(self, task: asyncio.Task[None]) -> None:
        """A task is at its end."""
        if not task.cancelled() and task.exception() is not None:
            self._error = self._error or task.exception()
            self._died.set()

    async def stopped(self, stopping: asyncio.Event) -> None:
        """Return when the process is to end, whyever."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (stopping, self._died)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    def judge(self) -> None:
        """Raise what a task died of, if one did."""
        if self._error is not None:
            raise self._error
