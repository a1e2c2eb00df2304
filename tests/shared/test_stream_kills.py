"""What the stream port promises when a process that uses it is killed, on every transport."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.settings import SharedSettings, environment
from shared.stream import open_publisher, open_subscriber
from tests.broker import variables
from tests.shared.messages import PATIENCE_S, ids, some, take

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def a_process(settings: SharedSettings, job: str, count: int) -> Iterator["subprocess.Popen[str]"]:
    """Another process on the same stream; killed at the end, if not before."""
    chosen = variables(settings.ingest.rabbitmq) if settings.ingest.mode == "rabbitmq" else {}
    paths = {"PATH": environment()["PATH"], "PYTHONPATH": str(ROOT), "EVNT_DATA_DIR": str(settings.data_dir)}
    command = [sys.executable, "-m", "tests.shared.stream_process", job, str(count)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=settings.data_dir, env={**paths, **chosen}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def said(process: "subprocess.Popen[str]") -> str:
    """The next line that the process says."""
    if process.stdout is None:
        raise RuntimeError("the process has no output")
    async with asyncio.timeout(PATIENCE_S):
        return (await asyncio.to_thread(process.stdout.readline)).strip()


async def test_what_a_publisher_was_told_is_owned_outlives_it(settings: SharedSettings) -> None:
    with a_process(settings, "publish", 1000) as process:
        last = [await said(process) for _ in range(7)][-1]
        process.kill()
    async with open_subscriber(settings, "raw", 1000) as subscriber:
        got = ids(await take(subscriber, int(last) + 1))
        assert got[: int(last) + 1] == [f"id-{n}" for n in range(int(last) + 1)]


async def test_what_a_killed_consumer_held_comes_again(settings: SharedSettings) -> None:
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", some(20))
        with a_process(settings, "hold", 20) as process:
            assert await said(process) == "holding"
            async with open_subscriber(settings, "raw", 100) as other:
                assert await other.receive(100, 1.5) == []  # the living one keeps what it holds
                process.kill()
                again = await take(other, 20)
        assert sorted(ids(again)) == sorted(f"id-{n}" for n in range(20))
        assert {(d.redelivered, d.attempts) for d in again} == {(True, 2)}


async def test_a_stage_killed_again_and_again_loses_nothing(settings: SharedSettings) -> None:
    chance = random.Random(20_240_607)
    total = 400
    async with open_publisher(settings) as publisher, open_subscriber(settings, "enriched", 1000) as end:
        arrived: set[str] = set()
        for first in range(0, total, 100):
            with a_process(settings, "relay", 20) as process:
                assert await said(process) == "ready"
                for number in range(first, first + 100, 10):
                    await publisher.publish("raw", some(10, number))
                await asyncio.sleep(chance.random() * 0.1)
                process.kill()
        with a_process(settings, "relay", 20):
            async with asyncio.timeout(PATIENCE_S):
                while len(arrived) < total:
                    deliveries = await end.receive(100, 1)
                    arrived.update(ids(deliveries))
                    await end.ack(deliveries)
    assert arrived == {f"id-{n}" for n in range(total)}
