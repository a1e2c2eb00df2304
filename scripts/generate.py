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
    """Files whose text is not what the code says now."""
    return [name for name, make in GENERATED.items() if not _is(ROOT / name, make())]


def main() -> int:
    names = stale()
    if "--check" in sys.argv[1:]:
        sys.stderr.writelines(f"{name} is stale: run make generate\n" for name in names)
        return 1 if names else 0
    for name in names:
        (ROOT / name).write_text(GENERATED[name](), "utf-8")
        sys.stdout.write(f"{name}\n")
    return 0


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
