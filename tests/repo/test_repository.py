"""What the repository promises about itself: pins, commands, files that must agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.commands import app
from cli.configuration import PipelineSettings
from scripts.generate import stale
from shared.settings import SECTIONS, load
from tests.repo.tree import ROOT, links, tracked

PROCESSES = ("collector", "enricher", "loader")

#: Hosts of package registries, which change from machine to machine and are no business of the project.
REGISTRIES = r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmjs\.com|repo1?\.maven|crates\.io|proxy\.golang|ghcr\.io"

#: Folders of one developer's machine.
MACHINES = r"(?<![\w.])/(?:work|root|Users)/"

#: The packages that belong to the repository itself, which no lock file pins.
OURS = {"evnt"}


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(text("compose.yml"))
    return document


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_is_pinned_with_hashes_and_without_addresses(name: str) -> None:
    lines = [line for line in text(name).splitlines() if not line.lstrip().startswith("#")]
    pins = re.findall(r"^[A-Za-z0-9._\[\],-]+==\S+(?: ;[^\\\n]+)? \\$", "\n".join(lines), re.MULTILINE)
    packages = [line for line in lines if line and not line.startswith(" ")]
    assert len(pins) == len(packages) > 50
    assert all(line.strip().startswith("--hash=sha256:") for line in lines if line.startswith(" "))
    assert not re.search(r"https?://|@ |--index|--find-links", "\n".join(lines))


def test_tests_run_on_the_versions_that_users_get() -> None:
    runtime, development = (_pins(name) for name in ("requirements.lock", "requirements-dev.lock"))
    assert {pin for pin in runtime if pin not in development} == set()


def _pins(name: str) -> set[str]:
    return set(re.findall(r"^[A-Za-z0-9._-]+==[^ \n]+", text(name), re.MULTILINE))


def test_every_direct_dependency_is_pinned() -> None:
    wanted = re.findall(r'^    "([A-Za-z0-9-]+)', text("pyproject.toml").split("[project.optional")[0], re.MULTILINE)
    pinned = {pin.partition("==")[0].lower() for pin in _pins("requirements.lock")}
    assert [name for name in wanted if name not in pinned] == []


def test_no_file_names_a_registry_or_a_folder_of_some_machine() -> None:
    forbidden = re.compile(f"{REGISTRIES}|{MACHINES}".encode())
    found = {str(file.relative_to(ROOT)): hits for file in tracked() if (hits := forbidden.findall(file.read_bytes()))}
    found.pop("tests/repo/test_repository.py", None)
    assert found == {}


def test_no_file_is_a_link_to_somewhere_on_one_machine() -> None:
    assert links() == ()


def test_npm_lock_files_carry_no_addresses() -> None:
    locks = [file for file in tracked() if file.name == "package-lock.json"]
    assert [str(file) for file in locks if '"resolved"' in file.read_text("utf-8")] == []


def test_generated_files_are_fresh() -> None:
    assert stale() == [], "run make generate"


def test_the_table_of_sections_is_complete() -> None:
    assert set(PipelineSettings.model_fields) == set(SECTIONS)


def test_the_shipped_configuration_says_what_the_defaults_are() -> None:
    assert load(PipelineSettings, file=ROOT / "config/pipeline.yml", environ={}) == PipelineSettings()


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    *(str(file.relative_to(ROOT)) for file in ROOT.glob("docs/*.md")),
]


def test_the_readme_leads_to_every_page() -> None:
    assert [page for page in PAGES if f"({page})" not in text("README.md") and page != "README.md"] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)[)#]", text(page))
    targets = re.findall(r"(?:`|^)make ([a-z]+)", text(page), re.MULTILINE)
    known = re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE)
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
    assert [target for target in targets if target not in known] == []


def test_the_commands_of_the_readme_exist() -> None:
    commands = set(re.findall(r"\bevnt ((?:[a-z][a-z-]+ ?)+)", "\n".join(_code(text("README.md")))))
    assert commands
    for command in commands:
        said = CliRunner().invoke(app, [*command.split(), "--help"])
        assert said.exit_code == 0, f"evnt {command}: {said.output}"


def _code(page: str) -> list[str]:
    lines = [
        line.partition("#")[0]
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.split("\n")
    ]
    return lines + re.findall(r"`([^`\n]+)`", page)


def test_the_procfile_starts_what_exists() -> None:
    lines = dict(line.split(": ", 1) for line in text("Procfile").splitlines())
    assert list(lines) == ["clickhouse", *PROCESSES]
    for name, line in lines.items():
        module = line.split(" -m ")[1]
        assert module == ("loader.warehouse.embedded" if name == "clickhouse" else name)
        assert _is_module(module)


def _is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return (place / "__main__.py").is_file() or place.with_suffix(".py").is_file()


@pytest.mark.parametrize("name", PROCESSES)
def test_compose_sets_only_options_that_exist(name: str) -> None:
    environment = _environment(name)
    settings = load(PipelineSettings, environ=environment)
    assert settings.ingest.mode == "rabbitmq"
    assert settings.ingest.rabbitmq.host == "rabbitmq"
    if name == "loader":
        assert settings.clickhouse.connection.host == "clickhouse"


def _environment(name: str) -> dict[str, str]:
    given = compose()["services"][name]["environment"]
    return {variable: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for variable, value in given.items()}


def test_compose_agrees_with_itself_and_with_the_defaults() -> None:
    services = compose()["services"]
    assert set(services) == {"rabbitmq", "clickhouse", *PROCESSES}
    assert all("healthcheck" in service for service in services.values())
    assert services["collector"]["ports"] == [
        f"{PipelineSettings().collector.port}:{_environment('collector')['EVNT_COLLECTOR__PORT']}"
    ]
    loader, warehouse = _environment("loader"), services["clickhouse"]["environment"]
    assert loader["EVNT_CLICKHOUSE__CONNECTION__DATABASE"] == warehouse["CLICKHOUSE_DB"]
    assert loader["EVNT_CLICKHOUSE__CONNECTION__USERNAME"] == warehouse["CLICKHOUSE_USER"]
    for name in PROCESSES:
        assert services[name]["command"] == ["python", "-m", name]
        assert services[name]["healthcheck"]["test"] == ["CMD", "evnt", "ready", name]
        assert (
            _environment(name)["EVNT_INGEST__RABBITMQ__USERNAME"]
            == services["rabbitmq"]["environment"]["RABBITMQ_DEFAULT_USER"]
        )


def test_the_image_holds_every_package_and_only_what_is_let_in() -> None:
    copied = {
        part
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text("Dockerfile"), re.MULTILINE)
        for part in line.split()
    }
    allowed = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    packages = set(re.findall(r'"(\w+)"', re.search(r"wheel\]\npackages = \[(.*)\]", text("pyproject.toml"))[1]))  # type: ignore[index]
    assert packages < copied == allowed


def test_there_is_one_version() -> None:
    assert 'dynamic = ["version"]' in text("pyproject.toml")
    assert Path(ROOT / "shared/version.py").read_text().count("VERSION = ") == 1
