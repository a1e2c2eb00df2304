"""Holding on while something is out of reach: growing pauses, and an end when the process has to stop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from enricher.iglu.contract import RegistriesUnavailable
from shared.stream.contract import StreamUnavailable

T = TypeVar("T")

#: Nothing is wrong with the message: the same call may succeed later.
UNAVAILABLE = (RegistriesUnavailable, StreamUnavailable)


class GivenUp(Exception):
    """The process stops and what it waited for did not come: leave the message to somebody else."""


class Patience:
    """`stopping` ends all waiting after `grace_s` seconds. on_retry: told what is out of reach, and why."""

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        stopping: asyncio.Event,
        grace_s: float,
        on_retry: Callable[[str, Exception], None],
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._stopping = stopping
        self._grace_s = grace_s
        self._on_retry = on_retry

    async def insist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat the call until it succeeds. Raises GivenUp."""
        delay_s = self._first_s
        while True:
            try:
                return await call()
            except UNAVAILABLE as error:
                self._on_retry(what, error)
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, self._longest_s)

    async def _pause(self, delay_s: float) -> None:
        """While stopping, pauses are short and their sum is bounded."""
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            return
        if self._grace_s <= 0:
            raise GivenUp
        step_s = min(self._first_s, self._grace_s)
        self._grace_s -= step_s
        await asyncio.sleep(step_s)


class Seldom:
    """Says whether it is time to speak of something again: many messages may wait for the same. `clock`: seconds."""

    def __init__(self, every_s: float, clock: Callable[[], float]) -> None:
        self._every_s = every_s
        self._clock = clock
        self._due: dict[str, float] = {}

    def is_due(self, what: str) -> bool:
        now = self._clock()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + self._every_s
        return True
