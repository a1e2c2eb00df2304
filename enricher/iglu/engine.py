"""One schema, compiled: a fast engine is asked first, jsonschema where it is not certain to say the same."""

from collections.abc import Callable
from typing import Any, Final

from enricher.iglu.contract import Report, Schema
from enricher.iglu.reports import TOO_DEEP
from shared.schema import SchemaKey


class CompiledSchema(Schema):
    """Implements contract.Schema.

    is_valid: the fast engine; None where jsonschema alone can judge, at a hundred times the cost. certain: its reports
    where jsonschema's would be the same, else None. record: jsonschema's verdict. max_depth: levels of an instance,
    leaves included, beyond which it is invalid. valid_is_shallow: what is valid can't have more.
    """

    def __init__(
        self,
        key: SchemaKey,
        superseded_by: str | None,
        is_valid: Callable[[Any], bool] | None,
        certain: Callable[[Any], tuple[Report, ...] | None],
        record: Callable[[Any], tuple[Report, ...]],
        max_depth: int,
        *,
        valid_is_shallow: bool,
    ) -> None:
        super().__init__(key, superseded_by)
        self.fast: Final = is_valid is not None
        self._is_valid: Final = is_valid or _never
        self._certain: Final = certain
        self._record: Final = record
        self._max_depth: Final = max_depth
        self._valid_is_shallow: Final = valid_is_shallow

    def reports(self, instance: Any, levels: int | None = None) -> tuple[Report, ...]:
        try:
            if self._is_valid(instance) and (self._valid_is_shallow or self._is_shallow(instance, levels)):
                return ()
            if deeper_than(instance, self._max_depth):
                return (TOO_DEEP,)
            found = self._certain(instance)
        except (ValueError, OverflowError, RecursionError):  # not JSON (NaN, keys that are no text): jsonschema judges
            return self.judge(instance)
        return found or self._record(instance)

    def _is_shallow(self, instance: Any, levels: int | None) -> bool:
        return (levels is not None and levels <= self._max_depth) or not deeper_than(instance, self._max_depth)

    def judge(self, instance: Any) -> tuple[Report, ...]:
        """The verdict of jsonschema, without the fast engine."""
        return (TOO_DEEP,) if deeper_than(instance, self._max_depth) else self._record(instance)


def _never(_: Any) -> bool:
    return False


def deeper_than(instance: Any, levels: int) -> bool:
    """Whether an instance has more levels than that; the root is one, and leaves count."""
    level = [instance] if isinstance(instance, (dict, list)) else []
    for _ in range(levels - 1):
        below: list[Any] = []
        for value in level:
            for child in value.values() if type(value) is dict else value:
                kind = type(child)
                if kind is dict or kind is list:
                    below.append(child)
        if not below:
            return False
        level = below
    return any(level)
