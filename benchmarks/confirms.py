"""How long a stream takes to confirm with nothing of the collector around it: the stream's part of a latency."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import uvloop

from benchmarks.measured import MEASURED
from collector.settings import Settings
from shared.identity import now_ms, uuid7
from shared.settings import load
from shared.stream import open_publisher
from shared.stream.contract import Message, Publisher


@dataclass(frozen=True)
class Publishing:
    """What is published: so many messages a second of that many bytes, for that long, by the process's settings."""

    variables: Mapping[str, str]
    per_second: float
    size: int
    seconds: float


@dataclass(frozen=True)
class Confirms:
    """Latencies in seconds, counted from when a message was due."""

    p50: float
    p99: float


def run(publishing: Publishing) -> Confirms:
    """Publish from a process of its own, on the core where the collector works otherwise."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_work, (publishing,))


def _work(publishing: Publishing) -> Confirms:
    os.sched_setaffinity(0, {MEASURED})
    return uvloop.run(_publish_all(publishing))


async def _publish_all(publishing: Publishing) -> Confirms:
    settings = load(Settings, environ=publishing.variables)
    body, latencies = b"x" * publishing.size, list[float]()
    async with open_publisher(settings) as publisher, asyncio.TaskGroup() as tasks:
        begin = time.perf_counter()
        for number in range(int(publishing.seconds * publishing.per_second)):
            due = begin + number / publishing.per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(_publish(publisher, body, due, latencies))
    latencies.sort()
    return Confirms(latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)])


async def _publish(publisher: Publisher, body: bytes, due: float, latencies: list[float]) -> None:
    message = Message(body, uuid7(), now_ms(), "collector-payload", "application/x-thrift", {})
    await publisher.publish("raw", [message])
    latencies.append(time.perf_counter() - due)
