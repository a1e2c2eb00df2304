"""What every test may ask for: a transport, and a RabbitMQ broker of its own."""

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.compiled import refusal
from shared.process import EXIT_MISCONFIGURED
from shared.settings import IngestSettings, RabbitmqSettings, SharedSettings, StreamLimits, environment
from shared.stream.rabbitmq_line import connect
from shared.stream.rabbitmq_topology import queues
from shared.stream.topology import QUEUE_OF
from tests.broker import Address, BrokerAbsent, Node, end_shared_node, named, private_node, shared_node

#: Variables that steer the tests; every other one of ours would steer what they test.
TEST_VARIABLES = ("EVNT_TEST_", "EVNT_VECTORS", "EVNT_TRAFFIC")

_FOLDER = pytest.StashKey[Path]()
_NODE = pytest.StashKey[Node]()


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    config.stash[_FOLDER] = Path(worker["broker_folder"]) if worker else Path(tempfile.mkdtemp(prefix="evnt-broker-"))
    if reason := refusal():
        pytest.exit(reason, EXIT_MISCONFIGURED)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the shared broker lives."""
    node.workerinput["broker_folder"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        if node := config.stash.get(_NODE, None):
            node.close()
        end_shared_node(config.stash[_FOLDER])


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable in somebody's shell changes no test."""
    for name in list(environment()):
        if name.startswith("EVNT_") and not name.startswith(TEST_VARIABLES):
            monkeypatch.delenv(name)


def absent(reason: str) -> None:
    """Skip, loudly; where continuous integration runs, that is a failure."""
    if environment().get("CI") == "true":
        pytest.fail(f"in CI every test must run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Address:
    """The broker that the tests of this run share; nobody stops it."""
    if address := named():
        return address
    try:
        address, node = shared_node(request.config.stash[_FOLDER])
    except BrokerAbsent as error:
        absent(str(error))
        raise
    if node:
        request.config.stash[_NODE] = node
    return address


@pytest.fixture
def rabbitmq(broker: Address, worker_name: str) -> RabbitmqSettings:
    """A virtual host without anything of ours in it."""
    settings = broker.settings(worker_name)
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, clear(settings)).result()
    return settings


async def clear(settings: RabbitmqSettings) -> None:
    """Delete everything that evnt may have declared."""
    everything = IngestSettings(rabbitmq=settings, limits=StreamLimits(raw_archive=True))
    connection = connect(settings, "tests")
    await connection.connect()
    channel = await connection.channel()
    for queue in queues(everything):
        await channel.queue_delete(queue)
    for exchange in QUEUE_OF:
        await channel.exchange_delete(exchange)
    await connection.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A private node that the tests of one module may stop, kill and block; they leave it running."""
    try:
        with private_node(tmp_path_factory.mktemp("node")) as running:
            yield running
    except BrokerAbsent as error:
        absent(str(error))


@pytest.fixture(scope="session")
def worker_name(request: pytest.FixtureRequest) -> str:
    """`gw0`, … under pytest-xdist, else `master`."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "master"))


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> SharedSettings:
    """Each transport, empty."""
    if request.param == "embedded":
        return SharedSettings(data_dir=tmp_path)
    return SharedSettings.model_validate(
        {"data_dir": tmp_path, "ingest": {"mode": "rabbitmq", "rabbitmq": request.getfixturevalue("rabbitmq")}}
    )
