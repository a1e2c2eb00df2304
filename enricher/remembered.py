"""Memory for answers about texts that come again."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Characters. No text that comes again is longer, and ten thousand longer ones would fill the machine.
LONGEST = 2_000


def remembered(size: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Decorator: keeps the answers for about the last `size` texts that were asked about, never those for long ones."""
    return lambda answer: _Memory(answer, size).__getitem__


class _Memory(dict[str, T], Generic[T]):
    """Two generations: when the younger one is full it becomes the older one, and that one's texts are let go of.

    So an answer that is known costs one look-up of a dict, without a call into Python.
    """

    def __init__(self, answer: Callable[[str], T], size: int) -> None:
        super().__init__()
        self._answer = answer
        self._half = max(1, size // 2)
        self._older: dict[str, T] = {}

    def __missing__(self, text: str) -> T:
        if len(text) > LONGEST:
            return self._answer(text)
        answer = self._older[text] if text in self._older else self._answer(text)
        if len(self) >= self._half:
            self._older = dict(self)
            self.clear()
        self[text] = answer
        return answer
