"""Running pipelines for the end to end tests."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.broker import Address, variables
from tests.conftest import clear
from tests.e2e.pipeline import ROOT, Pipeline
from tests.vectors import made_up_schemas, traffic


@pytest.fixture(scope="module")
def traffic_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """On the embedded stream, with the invented schemas that the recorded scenarios use."""
    place = tmp_path_factory.mktemp("traffic")
    yield from running(place, {"EVNT_ENRICHER__IGLU": str(_iglu(place)), "EVNT_COLLECTOR__PATHS": json.dumps(_paths())})


def running(place: Path, environment: dict[str, str]) -> Iterator[Pipeline]:
    """A pipeline that is stopped whatever happens, and must stop cleanly."""
    pipeline = Pipeline(place, environment)
    try:
        pipeline.start()
        yield pipeline
    finally:
        codes = pipeline.stop()
        shutil.rmtree(place / "var", ignore_errors=True)
    assert codes == dict.fromkeys(codes, 0), pipeline.logs()


#: What the collector takes by itself.
_STANDARD_PATHS = ("/com.snowplowanalytics.snowplow/", "/com.snowplowanalytics.iglu/")


def _paths() -> dict[str, str]:
    """Paths that a scenario configured in its tracker instead of the standard one; the collector must know them."""
    recorded = [parameter.values[0] for parameter in traffic() if parameter.values[0]]
    targets = {row["request"]["target"].partition("?")[0] for row in recorded if row["expect"]["n_events"]}
    paths = {re.sub("^https?://[^/]*", "", target) for target in targets}
    own = {path for path in paths if re.fullmatch("/[^/]+/[^/]+", path) and not path.startswith(_STANDARD_PATHS)}
    return dict.fromkeys(sorted(own), "/com.snowplowanalytics.snowplow/tp2")


def _iglu(place: Path) -> Path:
    """The resolver's configuration: the schemas that evnt ships, and the made-up ones."""
    made_up = {f"made up {number}": path for number, path in enumerate(made_up_schemas())}
    folders = {"shipped": ROOT / "schemas"} | made_up
    repositories = [
        {"name": name, "priority": 0, "vendorPrefixes": [], "connection": {"embedded": {"path": str(path)}}}
        for name, path in folders.items()
    ]
    document = {
        "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
        "data": {"cacheSize": 500, "repositories": repositories},
    }
    file = place / "iglu.yml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="module")
def embedded_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """On the embedded stream, everything at its default."""
    yield from running(tmp_path_factory.mktemp("embedded"), {})


@pytest.fixture(scope="module", params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def pipeline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """On each transport, everything else at its default."""
    environment: dict[str, str] = {}
    if request.param == "rabbitmq":
        environment = dict(_on_rabbitmq(request.getfixturevalue("broker"), request.getfixturevalue("worker_name")))
    yield from running(tmp_path_factory.mktemp(request.param), environment)


def _on_rabbitmq(broker: Address, worker: str) -> Mapping[str, str]:
    """A virtual host that no other test uses, emptied; the other worker may run a pipeline at the same time."""
    settings = broker.settings(f"pipeline-{worker}")
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, clear(settings)).result()
    return variables(settings)
