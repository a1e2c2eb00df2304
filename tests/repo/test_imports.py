"""Who may import whom. ARCHITECTURE.md says why; this file is the rule."""

import json
import subprocess
import sys
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

from tests.repo.tree import PRODUCT, ROOT, Import, Module, modules, within

#: Package → our packages that it may import.
DIRECTION = {
    "shared": {"shared"},
    "collector": {"collector", "shared"},
    "enricher": {"enricher", "shared"},
    "loader": {"loader", "shared"},
    "cli": set(PRODUCT),
}

#: Files → what they must not know, though the direction allows it.
BLIND = {
    "collector/**": ("shared.event", "shared.tsv"),
    "loader/**": ("shared.payload", "shared.payload_reader"),
    "enricher/pipeline.py": ("asyncio", "aiohttp", "socket", "shared.stream"),
    "enricher/mapping.py": ("asyncio", "aiohttp", "socket", "shared.stream"),
    "enricher/adapters/**": ("asyncio", "aiohttp", "socket", "subprocess", "pathlib", "shared.stream", "shared.tsv"),
    "enricher/enrichments/**": ("asyncio", "aiohttp", "socket", "subprocess", "shared.stream"),
    "**/contract.py": ("asyncio", "aiohttp", "socket", "shared.settings", "shared.process", "shared.telemetry"),
}

#: Library or module → the only files that may import it.
CONFINED: dict[str, tuple[str, ...]] = {
    "aiormq": ("shared/stream/rabbitmq*.py",),
    "pamqp": ("shared/stream/rabbitmq*.py",),
    "sqlite3": ("shared/stream/embedded*.py",),
    "aiochclient": ("loader/warehouse/clickhouse.py",),
    "chdb": ("loader/warehouse/embedded*.py",),
    "logging": ("shared/telemetry.py",),
    "structlog": ("shared/telemetry.py",),
    "os.environ": ("shared/settings.py",),
    "os.getenv": ("shared/settings.py",),
    "aiohttp.web": ("collector/*.py", "shared/process.py", "loader/warehouse/embedded*.py"),
    "aiohttp_cors": ("collector/*.py",),
    "typer": ("cli/*.py",),
    "rich": ("cli/*.py",),
    "uvloop": ("shared/process.py", "loader/warehouse/embedded*.py", "cli/*.py"),
    "maxminddb": ("enricher/enrichments/**",),
    "ua_parser": ("enricher/enrichments/**",),
    "jsonschema_rs": ("enricher/iglu/*.py",),
}

#: Folders whose modules do not know each other → the names in them that are no such module.
PEERS = {
    "enricher/adapters": {"contract", "parts", "formats"},
    "enricher/enrichments": {"contract", "parts", "loading"},
}

#: Files that may import inside a function → why.
LAZY = {
    "cli/__main__.py": "Ctrl-C ends it quietly until everything is loaded",
    "shared/stream/__init__.py": "one transport is chosen, the other one's library need not load",
}

#: Names that say nothing about what is inside.
VAGUE = {"utils", "util", "helpers", "helper", "common", "constants", "types", "base", "misc"}

ALL = [pytest.param(module, id=str(module.file)) for module in modules()]


def complaints(module: Module) -> list[str]:
    """What this module imports and must not."""
    ours = {name for name in module.names() if name.partition(".")[0] in {*PRODUCT, "tests", "benchmarks", "scripts"}}
    wrong = [name for name in ours if name.partition(".")[0] not in DIRECTION[module.package]]
    file = str(module.file)
    for pattern, blind in BLIND.items():
        wrong += [name for name in module.names() if fnmatch(file, pattern) and within(name, blind)]
    for library, places in CONFINED.items():
        used = [name for name in module.names() if within(name, (library,))]
        wrong += used if not any(fnmatch(file, place) for place in places) else []
    lazy = [found.name for found in module.imports if found.where and file not in LAZY]
    return sorted({*wrong, *(f"{name} (inside a function)" for name in lazy), *_siblings(module)})


def _siblings(module: Module) -> list[str]:
    """Adapters and enrichments know neither each other nor the other kind."""
    folder = str(module.file.parent)
    if folder not in PEERS or module.file.stem in PEERS[folder] | {"__init__"}:
        return []
    packages = tuple(peers.replace("/", ".") for peers in PEERS)
    allowed = (module.name, *(f"{folder.replace('/', '.')}.{name}" for name in PEERS[folder]))
    return [name for name in module.names() if within(name, packages) and not within(name, allowed)]


@pytest.mark.parametrize("module", ALL)
def test_a_module_imports_only_what_it_may(module: Module) -> None:
    assert complaints(module) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("shared/x.py", "collector.app"),
        ("collector/x.py", "enricher.pipeline.run"),
        ("collector/x.py", "shared.event.FIELDS"),
        ("loader/x.py", "shared.payload.CollectorPayload"),
        ("loader/x.py", "tests.vectors"),
        ("loader/x.py", "aiormq"),
        ("cli/x.py", "sqlite3"),
        ("enricher/x.py", "aiohttp.web"),
        ("enricher/adapters/x.py", "enricher.adapters.y.adapt"),
        ("enricher/adapters/x.py", "enricher.enrichments.y.enrich"),
        ("enricher/enrichments/x.py", "asyncio"),
        ("enricher/enrichments/x.py", "enricher.enrichments.y.enrich"),
    ],
)
def test_the_rules_bite(file: str, name: str) -> None:
    module = Module(file.removesuffix(".py").replace("/", "."), Path(file), (Import(name, None, typing_only=False),))
    assert complaints(module) == [name]


@pytest.mark.parametrize("library", CONFINED)
def test_every_confinement_bites(library: str) -> None:
    assert library in complaints(Module("loader.x", Path("loader/x.py"), (Import(library, None, typing_only=False),)))


@pytest.mark.parametrize(
    "pattern", sorted({*BLIND, *LAZY, *(place for places in CONFINED.values() for place in places)})
)
def test_every_rule_names_files_that_exist(pattern: str) -> None:
    assert any(fnmatch(str(module.file), pattern) for module in modules())


def test_an_import_inside_a_function_is_seen() -> None:
    module = Module("loader.x", Path("loader/x.py"), (Import("json", "load", typing_only=False),))
    assert complaints(module) == ["json (inside a function)"]


@pytest.mark.parametrize("module", ALL)
def test_the_environment_is_read_in_one_file(module: Module) -> None:
    text = (ROOT / module.file).read_text("utf-8")
    assert str(module.file) == "shared/settings.py" or ("os.environ" not in text and "getenv" not in text)


@pytest.mark.parametrize("module", ALL)
def test_no_module_keeps_an_exception(module: Module) -> None:
    """Whenever one is raised again it takes on a further traceback, and so holds all that was under way each time."""
    loaded = vars(import_module(module.name))
    assert [name for name, value in loaded.items() if isinstance(value, BaseException)] == []


@pytest.mark.parametrize("module", ALL)
def test_a_file_name_says_what_is_inside(module: Module) -> None:
    assert not {module.file.stem, module.file.parent.name} & VAGUE


def test_shared_holds_only_what_two_sides_use() -> None:
    reached = {side: _reached(side) for side in ("collector", "enricher", "loader", "cli")}
    lonely = {
        module.name: [side for side, names in reached.items() if module.name in names]
        for module in modules(("shared",))
        if module.file.name != "__init__.py"
    }
    assert {name: sides for name, sides in lonely.items() if len(sides) < 2} == {}


def _reached(side: str) -> set[str]:
    """Modules of shared/ that a folder imports, directly or through other modules of shared/."""
    shared = {module.name: module for module in modules(("shared",))}
    waiting = [name for module in modules((side,)) for name in module.names()]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        hits = [candidate for candidate in shared if within(name, (candidate,)) and candidate not in found]
        found.update(hits)
        waiting += [inner for hit in hits for inner in shared[hit].names()]
    return found


def test_every_module_imports_alone() -> None:
    """In a fresh interpreter with warnings as errors: no cycle, no order, nothing that happens at import."""
    stages: list[list[str]] = [[], [], []]
    for module in modules():
        if module.file.stem != "__main__":
            stages[_stage(module)].append(module.name)
    foreign = {found.name for module in modules() for found in module.imports if not found.typing_only}
    libraries = {name for name in foreign if not within(name, {*PRODUCT, "chdb"})}
    job = {"preload": sorted(libraries), "stages": stages}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests/repo/import_alone.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert json.loads(done.stdout) == {}


def _stage(module: Module) -> int:
    """First what is shared, then settings and packages, which much builds on, then the rest."""
    if module.package == "shared":
        return 0
    return 1 if module.file.name in ("settings.py", "__init__.py") else 2
