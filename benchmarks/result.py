"""What a benchmark measured, printed for people and read back by the runner: `python -m benchmarks`.

A stage prints whatever explains its numbers, and `print(result.line())` once for each number that counts.
"""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

#: Start of the lines that the runner collects.
MARK = "result: "

#: A page view as the JavaScript tracker posts it, alone in its request: the 1-event body that units are counted in.
BODY = json.dumps(
    {
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": [
            {
                "e": "pv",
                "eid": "6a2f0c3e-6f6f-4f0b-9a53-6d1a3e0b2f10",
                "tv": "js-4.6.8",
                "tna": "sp",
                "aid": "shop",
                "p": "web",
                "cookie": "1",
                "lang": "en-GB",
                "res": "1920x1080",
                "vp": "1280x720",
                "ds": "1280x3400",
                "cd": "24",
                "tz": "Europe/Berlin",
                "cs": "UTF-8",
                "dtm": "1735000000000",
                "stm": "1735000000100",
                "vid": "3",
                "sid": "4e5f2d3b-9a4b-4b61-8b0a-2f3f7c9f0a11",
                "duid": "8f5f2c5e-1d2c-4a8b-9c3d-0a1b2c3d4e5f",
                "url": "https://shop.example.com/products/shoes?utm_source=news&utm_medium=mail&id=42",
                "refr": "https://search.example.org/?q=shoes",
                "page": "Shoes, all of them",
                "cx": "eyJzY2hlbWEiOiJpZ2x1OmNvbS5zbm93cGxvd2FuYWx5dGljcy5zbm93cGxvdy9jb250ZXh0cy9qc29uc2NoZW1hLzEt"
                "MC0wIiwiZGF0YSI6W3sic2NoZW1hIjoiaWdsdTpjb20uc25vd3Bsb3dhbmFseXRpY3Muc25vd3Bsb3cvd2ViX3BhZ2UvanNv"
                "bnNjaGVtYS8xLTAtMCIsImRhdGEiOnsiaWQiOiI2YTJmMGMzZS02ZjZmLTRmMGItOWE1My02ZDFhM2UwYjJmMTAifX1dfQ",
            }
        ],
    }
)


@dataclass(frozen=True)
class Result:
    """One number of a stage, in events a second and core.

    limit: the bare limit of the same run, in the same unit, and what it is; None where there is none to compare with.
    target: least share of the limit that the stage shall reach, or least events a second when there is no limit.
    """

    stage: str
    case: str
    per_second: float
    limit: float | None = None
    limit_name: str = ""
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        """Share of the limit that is reached."""
        return self.per_second / self.limit if self.limit else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is met."""
        if self.target is None:
            return None
        return (self.ratio if self.ratio is not None else self.per_second) >= self.target

    def line(self) -> str:
        return MARK + json.dumps(asdict(self))


def parse(line: str) -> Result | None:
    """The result in a line of a benchmark's output, if it is one."""
    return Result(**json.loads(line.removeprefix(MARK))) if line.startswith(MARK) else None


def unit_s(clock: Callable[[], float] = time.perf_counter, rounds: int = 9, calls: int = 2_000) -> float:
    """Seconds of one standard-library `json.loads` of BODY, median of the rounds: lets machines compare."""
    taken = []
    for _ in range(rounds):
        start = clock()
        for _ in range(calls):
            json.loads(BODY)
        taken.append((clock() - start) / calls)
    return sorted(taken)[rounds // 2]


def machine() -> str:
    """Processor, cores, Python: what a number is worth nothing without."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(names) or 'unknown'} cores, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []
