"""Registries and a clock that tests steer."""

import asyncio
from collections.abc import Sequence
from typing import Any

from shared.iglu.registry import NOT_FOUND, Document, Failure, Rank
from shared.schema import SchemaKey

KEY = SchemaKey("com.acme", "cart", "jsonschema", "1-0-0")


class Clock:
    def __init__(self) -> None:
        self.now = 1_746_007_500.123

    def __call__(self) -> float:
        return self.now


class FakeRegistry:
    """Answers from a dict; `asked` lists the versions it was asked for."""

    def __init__(
        self,
        name: str,
        answers: dict[str, Document | Failure] | Failure = NOT_FOUND,
        *,
        rank: Rank = Rank.HTTP,
        priority: int = 0,
        prefixes: Sequence[str] = (),
    ) -> None:
        self.name, self.rank, self.priority, self.vendor_prefixes = name, rank, priority, tuple(prefixes)
        self.answers = answers
        self.asked: list[str] = []
        self.closed = False
        self.pause = asyncio.Event()
        self.pause.set()

    async def fetch(self, key: SchemaKey) -> Document | Failure:
        self.asked.append(key.version)
        await self.pause.wait()
        return self.answers if isinstance(self.answers, Failure) else self.answers.get(key.version, NOT_FOUND)

    async def versions(self, vendor: str, name: str, model: int) -> list[SchemaKey]:
        known = self.answers if isinstance(self.answers, dict) else {}
        return [KEY._replace(version=version) for version in known if version.startswith(f"{model}-")]

    async def close(self) -> None:
        self.closed = True


def having(name: str, **options: Any) -> FakeRegistry:
    return FakeRegistry(name, {KEY.version: {"from": name}}, **options)
