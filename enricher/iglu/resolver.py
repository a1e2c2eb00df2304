"""Compiled schemas by URI: the hot path is one look-up of a string."""

import json
from collections.abc import Callable
from typing import NamedTuple

from enricher.iglu.compiled import MAX_JSON_DEPTH, compile_schema
from enricher.iglu.contract import NotResolved, RegistriesUnavailable, Resolution
from shared.iglu.registry import Document
from shared.iglu.resolver import Found, NotFound, SchemaResolver
from shared.schema import SchemaKey


class _Known(NamedTuple):
    """document: what was compiled, to see whether a refresh brought another one."""

    resolution: Resolution
    fresh_until: float
    document: Document | None


class IgluResolver:
    """Implements contract.Resolver over the registries of `schemas`; closes them.

    size: compiled schemas kept, and as many absent ones apart from them; 0 keeps none, then only what `resolve`
    returns counts. clock: Unix seconds, the one of `schemas`.
    """

    def __init__(
        self,
        schemas: SchemaResolver,
        clock: Callable[[], float],
        size: int = 500,
        max_depth: int = MAX_JSON_DEPTH,
    ) -> None:
        self._schemas = schemas
        self._clock = clock
        self._size = size
        self._max_depth = max_depth
        self._known: dict[str, _Known] = {}
        self._absent: dict[str, _Known] = {}

    def cached(self, uri: str) -> Resolution | None:
        known = self._known.get(uri) or self._absent.get(uri)
        return known.resolution if known is not None and self._clock() < known.fresh_until else None

    async def resolve(self, uri: str) -> Resolution:
        """Raises InvalidIgluUri as well: only what is an Iglu URI can be looked up."""
        key = SchemaKey.parse(uri)
        result = await self._schemas.lookup(key)
        if isinstance(result, NotFound) and result.outage:
            raise RegistriesUnavailable(unavailable_text(uri, result))
        known = self._digest(uri, result)
        self._remember(uri, known)
        return known.resolution

    async def close(self) -> None:
        await self._schemas.close()

    def _digest(self, uri: str, result: Found | NotFound) -> _Known:
        if isinstance(result, NotFound):
            return _Known(NotResolved(result.history), result.fresh_until, None)
        before = self._known.get(uri)
        if before is not None and before.document == result.document:
            return before._replace(fresh_until=result.fresh_until)
        compiled = compile_schema(result.key, result.document, result.superseded_by, self._max_depth)
        return _Known(compiled, result.fresh_until, result.document)

    def _remember(self, uri: str, known: _Known) -> None:
        """The one that was resolved first goes where there are too many."""
        for place in (self._known, self._absent):
            place.pop(uri, None)
        place = self._absent if isinstance(known.resolution, NotResolved) else self._known
        place[uri] = known
        while len(place) > self._size:
            del place[next(iter(place))]


def unavailable_text(uri: str, result: NotFound) -> str:
    history = json.dumps(result.history, separators=(",", ":"))
    return (
        f"Could not reach Iglu Server for schema '{uri}'. Check resolver configuration and ensure registries are "
        f"available. Resolution errors: {history}"
    )
