"""THIRD_PARTY_NOTICES.md, from requirements.lock and what the installed packages say of themselves."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "requirements.lock"

HEAD = """# Third-party notices

evnt runs on the packages below, in the versions of `requirements.lock`. None of their code is part of this repository:
`make setup` installs them from your package index, each with its licence text in its `*.dist-info` folder.

Written by `make generate`.

| package | licence | by |
|---|---|---|
"""


def notices() -> str:
    """One line a package that is installed on this platform, with its licence."""
    return HEAD + "".join(_line(package) for package in _locked())


def _locked() -> list[Distribution]:
    names = re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text("utf-8"), re.MULTILINE)
    return [found for name in sorted(set(names), key=str.lower) if (found := _installed(name))]


def _installed(name: str) -> Distribution | None:
    """None for what only another platform or Python needs."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _line(package: Distribution) -> str:
    said: dict[str, Any] = package.metadata.json
    author = _first(*(said.get(name) for name in ("author", "author_email", "maintainer", "maintainer_email")))
    by = re.sub(r"\s*<[^>]*>|\S+@\S+", "", author).strip().strip('",') or "its contributors"
    return f"| {said['name']} | {_licence(package, said)} | {by} |\n"


def _licence(package: Distribution, said: dict[str, Any]) -> str:
    """What the package states; else the title of its licence file."""
    lines = [line for line in said.get("classifier", ()) if line.startswith("License ::")]
    classified = [line.rpartition(" :: ")[2] for line in lines]
    stated = _first(said.get("license_expression"), *classified, said.get("license"))
    texts = (
        file.read_text("utf-8") for file in package.files or () if re.match(r"(?i)(licen[cs]e|copying)", file.name)
    )
    return (stated or next(texts, "not stated")).strip().split("\n")[0]


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text and text != "UNKNOWN"), "")
