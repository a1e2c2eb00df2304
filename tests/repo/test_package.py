"""The package as somebody gets it who installs a wheel: complete, and working far from any checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, tracked

PACKAGES = ("cli", "collector", "config", "enricher", "loader", "schemas", "shared")

#: Built once, by one worker of pytest-xdist.
pytestmark = pytest.mark.xdist_group("package")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    place = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def run(installed: Path, folder: Path, *arguments: str) -> str:
    """What Python says with these arguments that sees the installed package and no checkout."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EVNT_")}
    variables = {**plain, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, text=True).stdout


def test_it_holds_every_file_of_its_packages(installed: Path) -> None:
    ours = {str(file.relative_to(ROOT)) for file in tracked() if file.relative_to(ROOT).parts[0] in PACKAGES}
    packed = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    assert ours - packed == set()
    assert {name for name in packed - ours if ".dist-info/" not in name} == set()


def test_the_installed_package_finds_its_schemas_and_enrichments(installed: Path, tmp_path: Path) -> None:
    where = "from shared.settings import SHIPPED; from shared.iglu.config import BUNDLED; print(SHIPPED, BUNDLED)"
    assert run(installed, tmp_path, "-c", where).split() == [str(installed), str(installed / "schemas")]
    assert "referer_parser" in run(installed, tmp_path, "-m", "cli", "enrichments", "check")
    assert list(tmp_path.iterdir()) == []
