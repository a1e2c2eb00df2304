"""Memory for answers about texts that come again."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

#: Characters. No text that comes again is longer, and ten thousand longer ones would fill the machine.
LONGEST = 2_000


def remembered(size: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Decorator: keeps the answers for the last `size` texts that were asked about; never those for long texts."""

    def decorate(answer: Callable[[str], T]) -> Callable[[str], T]:
        known = lru_cache(size)(answer)

        def call(text: str) -> T:
            return known(text) if len(text) <= LONGEST else answer(text)

        return call

    return decorate
