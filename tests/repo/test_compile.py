"""Compiled modules: the list's rules, and that what was compiled from other sources is noticed before anything starts.

That it compiles, and that the tests pass then too, is seen in CI: it takes minutes.
"""

import ast
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from scripts.compile import forget
from shared.compiled import MODULES, STAMP, compiled, digest, outdated, refusal
from shared.process import EXIT_MISCONFIGURED
from tests.repo.tree import PRODUCT, ROOT, modules, tracked, within

#: Of this Python, and of one that will not be.
OURS, FOREIGN = EXTENSION_SUFFIXES[0], ".cpython-27-none.so"

#: What C has as a double: seconds and moments, whose fractions matter more than digits beyond the sixteenth.
FLOATS = {
    "collector/bodies.py": {"timeout_s"},
    "collector/commit.py": {"response_seconds", "taken_s"},
    "shared/stream/rabbitmq_subscriber.py": {"watch_s", "wait_s"},
    "shared/stream/rabbitmq_publisher.py": {"deadline", "left_s", "timeout_s"},
    "enricher/iglu/resolver.py": {"fresh_until"},
    "enricher/worker.py": {"wait_s"},
}


def test_the_list_names_each_source_once_in_order() -> None:
    assert [module for module in MODULES if not (ROOT / module).is_file()] == []
    assert list(MODULES) == sorted(set(MODULES))


@pytest.mark.parametrize("module", MODULES)
def test_nothing_that_is_compiled_knows_pydantic(module: str) -> None:
    (found,) = (one for one in modules() if str(one.file) == module)
    assert [name for name in found.names() if within(name, ("pydantic", "pydantic_settings"))] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_times_become_doubles(module: str) -> None:
    """A parameter or attribute that is a float to mypyc is a double in C: a great whole number would lose digits."""
    assert _floats(ROOT / module) == FLOATS.get(module, set())


@pytest.mark.parametrize("module", MODULES)
def test_constants_are_final(module: str) -> None:
    """Any other is looked up at each use: 18 ns against 2."""
    assigned = [node for node in ast.parse((ROOT / module).read_text("utf-8")).body if isinstance(node, ast.Assign)]
    assert [name for name in (ast.unparse(node.targets[0]) for node in assigned) if _is_constant(name)] == []


def _is_constant(name: str) -> bool:
    return len(name) > 1 and name.isupper()


def _floats(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    attributes = {ast.unparse(node.target): node.annotation for node in nodes if isinstance(node, ast.AnnAssign)}
    parameters = {node.arg: node.annotation for node in nodes if isinstance(node, ast.arg) and node.annotation}
    return {name for name, said in (attributes | parameters).items() if ast.unparse(said) == "float"}


# ---- outdated ------------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sources of the list, not compiled."""
    for module in MODULES:
        source = tmp_path / module
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"NAME = {module!r}\n")
    return tmp_path


def build(root: Path, suffix: str = OURS, *, stamp: bool = True) -> None:
    """What `make compile` leaves, as far as anybody looks at it."""
    (root / f"evnt__mypyc{suffix}").touch()
    for module in MODULES:
        (root / module).with_suffix(suffix).touch()
    if stamp:
        digests = ", ".join(f'"{module}": "{digest(root / module)}"' for module in MODULES)
        (root / STAMP).write_text(f"{{{digests}}}")


def test_sources_alone_are_neither_compiled_nor_outdated(root: Path) -> None:
    assert (compiled(root), outdated(root), refusal(root)) == ([], [], None)


def test_what_was_compiled_is_fresh_until_a_source_changes(root: Path) -> None:
    build(root)
    assert (compiled(root), outdated(root), refusal(root)) == (list(MODULES), [], None)
    (root / MODULES[3]).write_text("NAME = 'another'\n")
    assert (compiled(root), outdated(root)) == (list(MODULES), [MODULES[3]])
    (root / MODULES[5]).unlink()
    assert outdated(root) == [MODULES[3], MODULES[5]]


def test_what_another_python_would_take_is_no_matter(root: Path) -> None:
    build(root, FOREIGN)
    (root / MODULES[3]).write_text("NAME = 'another'\n")
    assert (compiled(root), outdated(root)) == ([], [])


@pytest.mark.parametrize("stamp", [None, "", '{"shared/'])
def test_without_a_stamp_that_can_be_read_everything_is_outdated(root: Path, stamp: str | None) -> None:
    build(root, stamp=False)
    if stamp is not None:
        (root / STAMP).write_text(stamp)
    assert outdated(root) == list(MODULES)


def test_a_module_that_is_missing_among_compiled_ones_is_outdated(root: Path) -> None:
    build(root)
    (root / MODULES[0]).with_suffix(OURS).unlink()
    assert (compiled(root), outdated(root)) == (list(MODULES[1:]), [MODULES[0]])


def test_a_stamp_alone_is_no_matter(root: Path) -> None:
    (root / STAMP).write_text('{"shared/event.py": "0"}')
    assert (compiled(root), outdated(root)) == ([], [])


def test_a_module_that_left_the_list_is_still_watched(root: Path) -> None:
    (root / "shared/former.py").write_text("")
    (root / "shared/former.py").with_suffix(OURS).touch()
    (root / STAMP).write_text('{"shared/former.py": "0"}')
    assert "shared/former.py" in outdated(root)
    forget(root)
    assert outdated(root) == []


def test_interpreting_removes_what_was_compiled_and_nothing_else(root: Path) -> None:
    before = sorted(root.rglob("*"))
    other = root / "shared" / f"other{OURS}"
    other.touch()
    build(root)
    build(root, FOREIGN)
    forget(root)
    assert sorted({*root.rglob("*")} - {other}) == before
    assert other.exists()


# ---- the guard, in real processes ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's code, in which one module was compiled from something else; nothing here imports that."""
    place = tmp_path_factory.mktemp("copy")
    parts = {*PRODUCT, "config", "scripts", "tests", "pyproject.toml"}
    for name in (file.relative_to(ROOT) for file in tracked()):
        if name.parts[0] in parts:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    (place / "enricher/worker.py").with_suffix(OURS).touch()
    return place


def run(copy: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(copy), **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "collector"),
        ("-m", "loader"),
        ("-m", "cli", "version"),
        ("-m", "pytest", "tests"),
    ],
)
def test_nothing_starts_on_what_was_compiled_from_something_else(copy: Path, arguments: tuple[str, ...]) -> None:
    done = run(copy, *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == EXIT_MISCONFIGURED, said
    assert "enricher/worker.py" in said
    assert "`make compile`" in said
    assert "`make interpret`" in said
    assert "Traceback" not in said


def test_without_a_compiler_it_says_so_and_the_sources_are_taken(copy: Path, tmp_path: Path) -> None:
    place = shutil.copytree(copy, tmp_path / "copy")
    done = run(place, "-m", "scripts.compile", CC="/nonexistent")
    assert done.returncode == 1
    assert "evnt: not compiled: no C compiler" in done.stderr
    assert "Traceback" not in done.stderr
    assert [*place.rglob("*.so"), *place.glob(STAMP)] == []
    assert run(place, "-c", "from shared.compiled import refusal; print(refusal())").stdout == "None\n"
