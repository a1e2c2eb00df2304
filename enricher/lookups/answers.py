"""Answers the questions of enrichments: remembered, one flight per question, never an exception."""

import asyncio
import time
from collections.abc import Callable, Hashable

from enricher.enrichments.contract import Answer, Query
from enricher.enrichments.parts.questions import HttpQuestion, Remembering, SqlQuestion
from enricher.lookups.http import HttpService
from enricher.lookups.memory import Memory
from enricher.lookups.sql import SqlService


class Answers:
    """One per worker. `cached` never waits; `answer` asks, and events that ask the same at once share the flight."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._http = HttpService()
        self._sql = SqlService()
        self._memories: dict[Remembering, Memory] = {}
        self._flights: dict[tuple[Remembering, Hashable], asyncio.Task[Answer]] = {}

    def cached(self, query: Query) -> Answer | None:
        question: HttpQuestion | SqlQuestion = query.question
        return self._memory(question.remember).fresh(question.key, self._clock())

    async def answer(self, query: Query) -> Answer:
        known = self.cached(query)
        if known is not None:
            return known
        question: HttpQuestion | SqlQuestion = query.question
        name = (question.remember, question.key)
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = asyncio.create_task(self._ask(question))
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        return await asyncio.shield(flight)

    async def _ask(self, question: HttpQuestion | SqlQuestion) -> Answer:
        service = self._sql.ask(question) if isinstance(question, SqlQuestion) else self._http.ask(question)
        answer = await service
        return self._memory(question.remember).keep(question.key, answer, self._clock())

    def _memory(self, remember: Remembering) -> Memory:
        memory = self._memories.get(remember)
        if memory is None:
            memory = self._memories[remember] = Memory(remember.size, remember.seconds)
        return memory

    async def close(self) -> None:
        for flight in list(self._flights.values()):
            flight.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
        await self._http.close()
        await self._sql.close()
