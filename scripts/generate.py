"""`make generate`: write the files that derive from code. With `--check`, name those that are stale and exit 1."""

import sys
from pathlib import Path

from cli.reference import configuration, fields
from scripts.notices import notices

ROOT = Path(__file__).parent.parent

#: File → what writes its text.
GENERATED = {
    "docs/configuration.md": configuration,
    "docs/fields.md": fields,
    "THIRD_PARTY_NOTICES.md": notices,
}


def stale() -> list[str]:
    """Files that do not say what the code says now.

    A newer Python needs fewer packages, so that its notices are a part of those written on the oldest one.
    """
    return [name for name, make in GENERATED.items() if not _holds(ROOT / name, make(), in_part=make is notices)]


def main() -> int:
    if "--check" in sys.argv[1:]:
        names = stale()
        sys.stderr.writelines(f"{name} is stale: run make generate\n" for name in names)
        return 1 if names else 0
    for name, make in GENERATED.items():
        (ROOT / name).write_text(make(), "utf-8")
        sys.stdout.write(f"{name}\n")
    return 0


def _holds(file: Path, text: str, *, in_part: bool) -> bool:
    written = file.read_text("utf-8") if file.is_file() else ""
    return set(text.splitlines()) <= set(written.splitlines()) if in_part else written == text


if __name__ == "__main__":
    sys.exit(main())
