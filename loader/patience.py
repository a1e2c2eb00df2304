"""Waiting an outage out: the same call again, with growing pauses, for as long as it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

from loader.settings import RetrySettings
from loader.warehouse.contract import Unavailable
from shared.stream.contract import StreamUnavailable
from shared.telemetry import logger

T = TypeVar("T")


class GivenUp(Exception):
    """The process is to stop while an outage lasts: what is held goes back to the stream."""


def delay_s(attempt: int, settings: RetrySettings) -> float:
    """Pause after failed attempt number `attempt`, from 0."""
    return float(min(settings.first_delay_ms * 2 ** min(attempt, 30), settings.longest_delay_ms)) / 1000


class Patience:
    """Repeats calls during outages. One instance serves all tasks of a process; `trouble` says what is down now.

    on_retry: called before every further attempt.
    """

    def __init__(self, settings: RetrySettings, stopping: asyncio.Event, on_retry: Callable[[], None]) -> None:
        self._settings = settings
        self._stopping = stopping
        self._on_retry = on_retry
        self._log = logger("loader")
        self._waiting: dict[int, str] = {}
        self._numbers = count()

    @property
    def trouble(self) -> str | None:
        """Why something waits, None where nothing does."""
        return next(iter(self._waiting.values()), None)

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, once it has one. Raises GivenUp when the process is to stop before that."""
        number, over = next(self._numbers), True
        try:
            return await self._repeat(number, call)
        except (GivenUp, asyncio.CancelledError):
            over = False  # who stops meanwhile must not read that all is well
            raise
        finally:
            if self._waiting.pop(number, None) and over and not self._waiting:
                self._log.info("outage.over")

    async def _repeat(self, number: int, call: Callable[[], Awaitable[T]]) -> T:
        for attempt in count():
            try:
                return await call()
            except (Unavailable, StreamUnavailable) as error:
                if self._stopping.is_set():
                    raise GivenUp from error
                self._note(number, str(error))
            await self._pause(delay_s(attempt, self._settings))
            self._on_retry()
        raise AssertionError("unreachable")

    def _note(self, number: int, reason: str) -> None:
        if not self._waiting:
            self._log.warning("outage", reason=reason)
        self._waiting[number] = reason

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
