"""Memory for answers about what comes again."""

from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

#: Characters. Nothing that comes again is longer, and ten thousand longer ones would fill the machine.
LONGEST: Final = 2_000


def remembered(size: int, length: Callable[[Any], int] = len) -> Callable[[Callable[[K], T]], Callable[[K], T]]:
    """Decorator: keeps the answers for about the last `size` texts that were asked about, never those for long ones.

    length: characters of what is asked about, where that is no text.
    """
    return lambda answer: _Memory(answer, size, length).__getitem__


class _Memory(dict[K, T], Generic[K, T]):
    """Two generations: when the younger one is full it becomes the older one, and that one's texts are let go of.

    So an answer that is known costs one look-up of a dict, without a call into Python.
    """

    def __init__(self, answer: Callable[[K], T], size: int, length: Callable[[K], int]) -> None:
        super().__init__()
        self._answer = answer
        self._half = max(1, size // 2)
        self._length = length
        self._older: dict[K, T] = {}

    def __missing__(self, asked: K) -> T:
        if self._length(asked) > LONGEST:
            return self._answer(asked)
        answer = self._older[asked] if asked in self._older else self._answer(asked)
        if len(self) >= self._half:
            self._older = dict(self)
            self.clear()
        self[asked] = answer
        return answer
