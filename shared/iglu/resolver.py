"""Looks a schema up in several registries and remembers the outcome, failures included.

A success is served for the TTL and survives a failing refresh. A failure is remembered per registry, so that one
that does not have the schema is left alone while one that is out of order is asked again, ever more rarely.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from shared.iglu.history import Attempts, claims, is_outage, lookup_history
from shared.iglu.registry import Document, Failure, Registry, version_order
from shared.schema import InvalidIgluUri, SchemaKey


class Found(NamedTuple):
    """key: the schema that counts, the superseding one where there is one. fresh_until: Unix seconds."""

    key: SchemaKey
    document: Document
    superseded_by: str | None
    fresh_until: float


class NotFound(NamedTuple):
    """history: JSON of a ResolutionError's `lookupHistory`. outage: it may exist, somebody could not be asked."""

    history: list[dict[str, Any]]
    outage: bool
    fresh_until: float


@dataclass
class _Entry:
    """What is known of one schema name: the document, or who did not give it."""

    found: Found | None
    attempts: dict[str, Attempts]


class SchemaResolver:
    """One per process. `clock`: Unix seconds. `ttl_s` None: for ever. `size` 0 or a TTL of 0: remember nothing.

    As many failures are kept as successes, apart from them: made-up names in events push no schema out of memory.
    """

    def __init__(
        self, registries: Sequence[Registry], clock: Callable[[], float], size: int = 500, ttl_s: float | None = None
    ) -> None:
        self.registries = tuple(registries)
        self._clock = clock
        self._ttl_s = ttl_s
        self._size = 0 if ttl_s is not None and ttl_s <= 0 else max(size, 0)
        self._found: OrderedDict[SchemaKey, _Entry] = OrderedDict()
        self._missing: OrderedDict[SchemaKey, _Entry] = OrderedDict()
        self._under_way: dict[SchemaKey, asyncio.Task[Found | NotFound]] = {}

    async def lookup(self, key: SchemaKey) -> Found | NotFound:
        """From memory where that is fresh, else from the registries; one lookup at a time per key."""
        entry = self._found.get(key) or self._missing.get(key)
        if entry is not None:
            self._place(entry).move_to_end(key)
            known = self._known(key, entry)
            if self._clock() < known.fresh_until:
                return known
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(self._ask(key, entry))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def known_versions(self, vendor: str, name: str, model: int) -> list[Document]:
        """All documents of a model that the registries can list, oldest first."""
        listed = await asyncio.gather(*(registry.versions(vendor, name, model) for registry in self.registries))
        keys = sorted({key for keys in listed for key in keys}, key=version_order)
        results = [await self.lookup(key) for key in keys]
        return [result.document for result in results if isinstance(result, Found)]

    async def close(self) -> None:
        lookups = list(self._under_way.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
        await asyncio.gather(*(registry.close() for registry in self.registries))

    async def _ask(self, key: SchemaKey, old: _Entry | None) -> Found | NotFound:
        attempts = {} if old is None or old.found else old.attempts
        entry = _Entry(None, attempts)
        for registry in self._in_order(key.vendor):
            if self._is_due(registry, attempts):
                answer = await self._fetch(registry, key)
                if not isinstance(answer, Failure):
                    entry = _Entry(answer, {})
                    break
                attempts.setdefault(registry.name, Attempts()).add(answer, self._clock())
        if entry.found is None and old is not None and old.found is not None:
            entry = _Entry(old.found._replace(fresh_until=self._expiry()), {})
        self._remember(key, entry)
        return self._known(key, entry)

    def _in_order(self, vendor: str) -> list[Registry]:
        return sorted(self.registries, key=lambda known: (not claims(known, vendor), known.rank, known.priority))

    def _is_due(self, registry: Registry, attempts: dict[str, Attempts]) -> bool:
        """Also forgets what a registry said once its TTL has passed."""
        before = attempts.get(registry.name)
        if before is None:
            return True
        due = self._clock() >= before.due(registry.rank, self._ttl_s)
        if due and before.not_found:
            before.errors.clear()
        return due

    async def _fetch(self, registry: Registry, key: SchemaKey) -> Found | Failure:
        """A schema with `$supersededBy` is replaced by that version from the same registry; one hop only."""
        document = await registry.fetch(key)
        if isinstance(document, Failure):
            return document
        version = document.get("$supersededBy")
        if version is None:
            return Found(key, document, None, self._expiry())
        newer = superseding(key, version)
        if isinstance(newer, Failure):
            return newer
        replacement = await registry.fetch(newer)
        if isinstance(replacement, Failure):
            return replacement
        return Found(newer, replacement, newer.version, self._expiry())

    def _expiry(self) -> float:
        return inf if self._ttl_s is None else self._clock() + self._ttl_s

    def _place(self, entry: _Entry) -> OrderedDict[SchemaKey, _Entry]:
        return self._missing if entry.found is None else self._found

    def _remember(self, key: SchemaKey, entry: _Entry) -> None:
        """The least recently used goes where there are too many."""
        for place in (self._found, self._missing):
            place.pop(key, None)
        place = self._place(entry)
        place[key] = entry
        while len(place) > self._size:
            place.popitem(last=False)

    def _known(self, key: SchemaKey, entry: _Entry) -> Found | NotFound:
        if entry.found is not None:
            return entry.found
        ranks = {registry.name: registry.rank for registry in self.registries}
        due = [attempts.due(ranks[name], self._ttl_s) for name, attempts in entry.attempts.items()]
        outage = is_outage(key.vendor, list(self.registries), entry.attempts)
        return NotFound(lookup_history(entry.attempts), outage, min(due, default=inf))


def superseding(key: SchemaKey, version: object) -> SchemaKey | Failure:
    """The schema that replaces another by the `$supersededBy` in it."""
    try:
        newer = SchemaKey.parse(key._replace(version=str(version)).uri)
    except InvalidIgluUri:
        return Failure("ClientFailure", f"Error while trying to decode superseding version: {version}")
    if version_order(newer) <= version_order(key):
        name = key.uri.removeprefix("iglu:")
        return Failure(
            "ClientFailure", f"Superseding version {version} isn't greater than the version of schema {name}"
        )
    return newer
