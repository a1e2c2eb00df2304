"""Vectors and recorded requests: one test each, its id as the test id, differences listed in one file."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import environment

ROOT = Path(__file__).parent.parent

#: Where vectors usually lie.
STANDARD = "../shared/vectors"

#: Where recorded requests usually lie.
TRAFFIC = "../shared/traffic"

#: ids, patterns of ids or `kind:…` that we choose to differ from → the reason.
DIFFERENCES = Path(__file__).parent / "differences.yml"


def folder(variable: str, default: str) -> Path:
    """The folder that an environment variable names, relative to the project's root."""
    return ROOT / environment().get(variable, default)


def vectors(name: str) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: one a line of `<name>.jsonl`, or one skipped with the reason."""
    return _parameters(folder("EVNT_VECTORS", STANDARD) / f"{name}.jsonl")


def every_vector(name: str) -> Iterator[Any]:
    """The vectors of the usual place and of the one that is asked for, where those are not the same."""
    for place in {(ROOT / STANDARD).resolve(), folder("EVNT_VECTORS", STANDARD).resolve()}:
        yield from _rows(place / f"{name}.jsonl")


def traffic() -> list[Any]:
    """Parameters of all recorded requests, in order, file by file."""
    place = folder("EVNT_TRAFFIC", TRAFFIC)
    files = sorted(place.glob("*.jsonl"))
    return [row for file in files for row in _parameters(file)] or [_absent(place / "*.jsonl")]


def made_up_schemas() -> list[Path]:
    """Folders of the made-up schemas that recorded requests use: beside them, and where those usually lie."""
    places = {folder("EVNT_TRAFFIC", TRAFFIC).resolve(), (ROOT / TRAFFIC).resolve()}
    return [place / "schemas" for place in sorted(places) if (place / "schemas").is_dir()]


def difference(identifier: str) -> str | None:
    """The reason why we choose to differ from this vector."""
    for pattern, reason in _differences().items():
        if fnmatchcase(identifier, pattern):
            return reason
    return None


@cache
def _differences() -> dict[str, str]:
    return yaml.safe_load(DIFFERENCES.read_text()) or {}


def _parameters(file: Path) -> list[Any]:
    if not file.exists():
        return [_absent(file)]
    return [pytest.param(row, id=row["id"], marks=_marks(row)) for row in _rows(file)]


def _rows(file: Path) -> list[Any]:
    lines = file.read_text("utf-8").split("\n") if file.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def _marks(row: Any) -> list[pytest.MarkDecorator]:
    reason = difference(row["id"]) or difference(f"kind:{row.get('kind')}")
    return [pytest.mark.skip(reason=f"we choose to differ: {reason}")] if reason else []


def _absent(file: Path) -> Any:
    return pytest.param(None, id="absent", marks=pytest.mark.skip(reason=f"{file} is not on this machine"))
