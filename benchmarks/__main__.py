"""`make bench`: every stage's benchmark, one after the other, and one table of what they reached."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.result import Result, machine, parse, unit_s

HERE = Path(__file__).parent

#: Modules of this package that are no benchmark.
NOT_A_STAGE = {"__init__", "__main__", "result"}

TITLES = ("stage", "case", "events/s", "µs", "json.loads", "limit/s", "ratio", "target", "limit is")


def main() -> int:
    """Exit 1 when a benchmark broke; missing a target is told, and no failure: machines differ."""
    names = sys.argv[1:] or [file.stem for file in sorted(HERE.glob("*.py")) if _is_stage(file)]
    results: list[Result] = []
    broken = [name for name in names if not _run(name, results)]
    unit = unit_s()
    sys.stdout.write(f"\n{machine()}; one json.loads of the 1-event body: {unit * 1e6:.2f} µs\n\n")
    sys.stdout.writelines(f"{line}\n" for line in table(results, unit))
    if broken:
        sys.stderr.write(f"failed: {', '.join(broken)}\n")
    return 1 if broken else 0


def table(results: list[Result], unit: float) -> Iterator[str]:
    """Columns as wide as they need be."""
    rows = [TITLES, *(_cells(result, unit) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if column in (0, 1, 8) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()


def _cells(result: Result, unit: float) -> tuple[str, ...]:
    seconds = 1 / result.per_second
    verdict = {None: "", True: " ✓", False: " ✗"}[result.reached]
    return (
        result.stage,
        result.case,
        f"{result.per_second:,.0f}",
        f"{seconds * 1e6:.1f}",
        f"{seconds / unit:.1f}",
        f"{result.limit:,.0f}" if result.limit else "",
        f"{result.ratio:.2f}" if result.ratio is not None else "",
        f"{result.target:,g}{verdict}" if result.target is not None else "",
        result.limit_name,
    )


def _run(name: str, results: list[Result]) -> bool:
    """Pass a benchmark's output on as it comes; keep its results. A process of its own: no stage warms another."""
    sys.stdout.write(f"\n== {name}\n")
    sys.stdout.flush()
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
        for line in process.stdout or ():
            result = parse(line)
            if result:
                results.append(result)
            else:
                sys.stdout.write(line)
                sys.stdout.flush()
    return process.returncode == 0


def _is_stage(file: Path) -> bool:
    return file.stem not in NOT_A_STAGE and 'if __name__ == "__main__"' in file.read_text("utf-8")


if __name__ == "__main__":
    sys.exit(main())
