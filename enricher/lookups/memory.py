"""Remembers answers by Snowplow's rule: an old good answer beats a new error."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from enricher.enrichments.contract import Answer


class _Entry(NamedTuple):
    answer: Answer
    at: float
    seconds: int


class Memory:
    """The `size` answers that were used last. Ages are whole seconds, and an answer as old as its time still counts."""

    def __init__(self, size: int, seconds: int, error_seconds: int | None = None) -> None:
        self._size = size
        self._seconds = seconds
        self._error_seconds = seconds // 10 if error_seconds is None else error_seconds
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def fresh(self, key: Hashable, now: float) -> Answer | None:
        """What is remembered and still good, else None: ask."""
        entry = self._entries.get(key)
        if entry is None or int(now - entry.at) > entry.seconds:
            return None
        self._entries.move_to_end(key)
        return entry.answer

    def keep(self, key: Hashable, answer: Answer, now: float) -> Answer:
        """Remember what was answered; returns what counts: an error gives way to the last good answer."""
        old = self._entries.get(key)
        seconds = self._seconds
        if answer.error is not None:
            seconds = self._error_seconds
            if old is not None and old.answer.error is None:
                answer = old.answer
        self._entries[key] = _Entry(answer, now, seconds)
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return answer
