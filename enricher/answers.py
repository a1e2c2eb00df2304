"""Who answers what the pipeline asks: the resolver for schemas, one asker each for other kinds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from enricher.enrichments.contract import TURN, Answer, Query
from enricher.iglu.contract import Resolver
from enricher.metrics import EnricherMetrics
from enricher.patience import Patience

#: Answers the questions of one kind; an outage of what it asks is an Answer too.
Asker = Callable[[Any], Awaitable[Answer]]


class Answers:
    """Holds on while registries are out of reach: their outage must not turn events into bad rows."""

    def __init__(
        self, resolver: Resolver, askers: Mapping[str, Asker], patience: Patience, metrics: EnricherMetrics
    ) -> None:
        self._resolver = resolver
        self._askers = askers
        self._patience = patience
        self._metrics = metrics

    async def answer(self, query: Query) -> Any:
        """Raises GivenUp."""
        if query.kind == TURN:
            return await asyncio.sleep(0)
        self._metrics.questions.labels(query.kind).inc()
        if query.kind == "schema":
            known = self._resolver.cached(query.question)
            if known is not None:
                return known
            return await self._patience.insist("iglu", lambda: self._resolver.resolve(query.question))
        return await self._askers[query.kind](query.question)
