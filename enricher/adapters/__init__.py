"""ADAPTERS: which module reads what arrives at `/<vendor>/<version>`, one line each."""

from enricher.adapters import iglu, redirect, tp1, tp2
from enricher.adapters.contract import Adapter

SNOWPLOW = "com.snowplowanalytics.snowplow"

ADAPTERS: dict[tuple[str, str], Adapter] = {
    (SNOWPLOW, "tp1"): tp1.adapt,
    (SNOWPLOW, "tp2"): tp2.adapt,
    ("r", "tp2"): redirect.adapt,
    ("com.snowplowanalytics.iglu", "v1"): iglu.adapt,
}

#: Those of Snowplow's trackers: what is wrong there is a tracker protocol violation, elsewhere an adapter failure.
TRACKER_PROTOCOL = frozenset({(SNOWPLOW, "tp2"), ("r", "tp2")})
