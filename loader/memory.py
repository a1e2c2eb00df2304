"""What was loaded in the last minutes: a hint that the table may hold an event already."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from loader.chunk import Chunk
from loader.dedupe import Question
from loader.settings import DedupeSettings


@dataclass(slots=True)
class Generation:
    """Events loaded since `opened_ms`: id → fingerprint, and the collector times between which they lie."""

    opened_ms: int
    events: dict[bytes, bytes] = field(default_factory=dict)
    oldest: str = ""
    newest: str = ""

    def add(self, chunk: Chunk) -> None:
        collected = [time.decode() for time in (min(chunk.collected), max(chunk.collected))]
        self.events.update(zip(chunk.event_ids, chunk.fingerprints, strict=True))
        self.oldest = min(self.oldest or collected[0], collected[0])
        self.newest = max(self.newest, collected[1])


class Lookback:
    """Remembers loaded events for the configured minutes, in two generations, so for up to twice as long.

    Cost: about 250 bytes an event, 0.3 µs to remember one and 0.1 µs to look for one.
    """

    def __init__(self, settings: DedupeSettings) -> None:
        self._span_ms = settings.client_lookback * 60_000
        self._most = settings.client_lookback_events // 2
        self._generations: list[Generation] = []

    def remember(self, chunks: Iterable[Chunk], now_ms: int) -> None:
        """These are in the table now."""
        if not self._span_ms or not self._most:
            return
        for chunk in chunks:
            if len(chunk):
                self._current(now_ms).add(chunk)

    def ask(self, chunk: Chunk, question: Question) -> None:
        """Ask for every event of a chunk whose id was loaded, whatever its fingerprint."""
        for generation in self._generations:
            if not generation.events.keys().isdisjoint(chunk.event_ids):
                again = generation.events.keys() & set(chunk.event_ids)
                question.add(again, [generation.oldest, generation.newest])

    def _current(self, now_ms: int) -> Generation:
        newest = self._generations[-1] if self._generations else None
        if newest is None or newest.opened_ms + self._span_ms <= now_ms or len(newest.events) >= self._most:
            newest = Generation(now_ms)
            self._generations = [*self._generations[-1:], newest]
        return newest
