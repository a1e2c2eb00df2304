"""THIRD_PARTY_NOTICES.md, from requirements.lock and what the installed packages say of themselves."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"

HEAD = """# Third-party notices

evnt runs on the packages below. None of their code is part of this repository; `make setup` installs them from your package
index, each with its licence text in its `*.dist-info` folder. Written by `make generate` from `requirements.lock`.

| package | licence | by |
|---|---|---|
"""

#: What a package's own metadata leaves out or says at length → its licence, read in its licence file.
CORRECTED: dict[str, str] = {}


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
    data = package.metadata
    author = _first(data.get("Author"), data.get("Author-email"), data.get("Maintainer"), data.get("Maintainer-email"))
    by = re.sub(r"\s*<[^>]*>|\S+@\S+", "", author).strip().strip('",') or "its contributors"
    return f"| {data['Name']} {package.version} | {_licence(package)} | {by} |\n"


def _licence(package: Distribution) -> str:
    data = package.metadata
    classifiers = [line.rpartition(" :: ")[2] for line in data.get_all("Classifier") or () if line.startswith("License")]
    stated = _first(data.get("License-Expression"), *classifiers, data.get("License"), "see its licence file")
    return CORRECTED.get(data["Name"], stated.splitlines()[0])


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text and text != "UNKNOWN"), "")
