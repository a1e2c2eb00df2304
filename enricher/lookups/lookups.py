"""Answers the questions of enrichments: remembered, one flight per question, never an exception."""

import asyncio
import time
from collections.abc import Callable, Hashable

from enricher.enrichments.contract import Answer
from enricher.enrichments.parts.questions import HttpQuestion, Remembering, SqlQuestion
from enricher.lookups.http import HttpService
from enricher.lookups.memory import Memory
from enricher.lookups.sql import SqlService

Question = HttpQuestion | SqlQuestion


class Lookups:
    """One per worker. `cached` never waits; `ask` does, and events that ask the same at once share the flight."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._http = HttpService()
        self._sql = SqlService()
        self._memories: dict[Remembering, Memory] = {}
        self._flights: dict[tuple[Remembering, Hashable], asyncio.Task[Answer]] = {}

    def cached(self, question: Question) -> Answer | None:
        return self._memory(question.remember).fresh(question.key, self._clock())

    async def ask(self, question: Question) -> Answer:
        known = self.cached(question)
        if known is not None:
            return known
        name = (question.remember, question.key)
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = asyncio.create_task(self._fly(question))
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        return await asyncio.shield(flight)

    async def _fly(self, question: Question) -> Answer:
        service = self._sql.ask(question) if isinstance(question, SqlQuestion) else self._http.ask(question)
        answer = await service
        return self._memory(question.remember).keep(question.key, answer, self._clock())

    def _memory(self, remember: Remembering) -> Memory:
        memory = self._memories.get(remember)
        if memory is None:
            memory = self._memories[remember] = Memory(remember.size, remember.seconds, remember.error_seconds)
        return memory

    async def close(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._http.close()
        await self._sql.close()
