"""Points in time as people write them."""

import re
from datetime import UTC, datetime

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def since(text: str, now_ms: int) -> int:
    """`90s`, `15m`, `2h`, `7d` before now, or an ISO 8601 date or time (UTC unless it says): Unix milliseconds.

    Raises ValueError that says what was expected.
    """
    if match := re.fullmatch(r"(\d+)([smhd])", text.strip()):
        return now_ms - int(match[1]) * UNITS_MS[match[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"expected 90s, 15m, 2h, 7d, or a time such as 2026-01-31T12:00, found {text!r}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
