"""Running pipelines for the end to end tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.pipeline import ROOT, Pipeline
from tests.vectors import folder


@pytest.fixture(scope="module")
def traffic_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """On the embedded stream, with the invented schemas that the recorded scenarios use."""
    place = tmp_path_factory.mktemp("traffic")
    yield from running(place, {"EVNT_ENRICHER__IGLU": str(_iglu(place))})


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


def _iglu(place: Path) -> Path:
    """The resolver's configuration: the schemas that evnt ships, and the made-up ones."""
    folders = {"shipped": ROOT / "schemas", "made up": folder("EVNT_TRAFFIC", "../shared/traffic") / "schemas"}
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
