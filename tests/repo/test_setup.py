"""`scripts/quickest`: which Python `make` sets evnt up with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.tree import ROOT


def quickest(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    plain = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environ = {**plain, "PATH": path, **variables}
    return subprocess.run([ROOT / "scripts" / "quickest"], env=environ, capture_output=True, text=True, check=False)


def stand_in(folder: Path, name: str, answer: str) -> Path:
    """Something that answers the question what a little work costs it, with a number or with an error."""
    file = folder / name
    file.write_text(f"#!/bin/sh\ncat >/dev/null\n{answer}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("newer", "older", "chosen"),
    [
        ("echo 10000", "echo 10000", "newer"),
        ("echo 10000", "echo 8500", "newer"),
        ("echo 10000", "echo 5000", "older"),
        ("exit 1", "echo 5000", "older"),
        ("echo 10000", "exit 1", "newer"),
    ],
)
def test_the_newest_one_unless_another_is_clearly_quicker(tmp_path: Path, newer: str, older: str, chosen: str) -> None:
    stand_in(tmp_path, "newer", newer)
    stand_in(tmp_path, "older", older)
    found = quickest(tmp_path, PYTHON="newer older")
    assert found.stdout == f"{tmp_path / chosen}\n", found.stderr


def test_what_is_further_back_on_the_path_counts_too(tmp_path: Path) -> None:
    front, back = tmp_path / "front", tmp_path / "back"
    front.mkdir()
    back.mkdir()
    stand_in(front, "pythonic", "echo 9000")
    quick = stand_in(back, "pythonic", "echo 4000")
    found = quickest(tmp_path, PYTHON="pythonic", PATH=f"{front}:{back}:{os.environ['PATH']}")
    assert found.stdout == f"{quick}\n", found.stderr


def test_a_real_one_answers(tmp_path: Path) -> None:
    found = quickest(tmp_path, PYTHON=sys.executable)
    assert found.stdout == f"{sys.executable}\n", found.stderr


def test_none_that_will_do_is_told_by_the_exit_code(tmp_path: Path) -> None:
    stand_in(tmp_path, "pythonic", "exit 1")
    found = quickest(tmp_path, PYTHON="pythonic python-that-is-not-there")
    assert (found.returncode, found.stdout) == (1, "")
