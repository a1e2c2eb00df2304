"""Some modules may be compiled to C (`make compile`): the list, and whether what was compiled is still what is written.

Python prefers a compiled module to its source, so a source that changed since must not be overlooked.
"""

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Path of each compiled source → its SHA-256 when it was compiled; written beside the packages.
STAMP = "compiled.json"

#: What every event passes through, together in one C library: calls between these cost next to nothing.
#: Not here: modules with pydantic models, which check types at import in ways that compiled code does not have; and
#: enricher/iglu/compiled.py and prepare.py, whose recursion and exact numbers rely on the interpreter.
MODULES = (
    "shared/event.py",
    "shared/tsv.py",
    "shared/payload.py",
    "shared/stream/rabbitmq_wire.py",
    "shared/stream/rabbitmq_subscriber.py",
    "shared/stream/rabbitmq_publisher.py",
    "enricher/adapters/contract.py",
    "enricher/adapters/redirect.py",
    "enricher/adapters/tp2.py",
    "enricher/attributes.py",
    "enricher/badrows.py",
    "enricher/base64url.py",
    "enricher/chunks.py",
    "enricher/enrichments/contract.py",
    "enricher/entities.py",
    "enricher/event.py",
    "enricher/iglu/contract.py",
    "enricher/iglu/engine.py",
    "enricher/iglu/resolver.py",
    "enricher/jsontext.py",
    "enricher/limits.py",
    "enricher/mapping.py",
    "enricher/opening.py",
    "enricher/options.py",
    "enricher/outcome.py",
    "enricher/pipeline.py",
    "enricher/querystring.py",
    "enricher/remembered.py",
    "enricher/request.py",
    "enricher/selfdescribing.py",
    "enricher/url.py",
    "enricher/values.py",
    "enricher/worker.py",
)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def compiled(root: Path = ROOT) -> list[str]:
    """Sources whose compiled form Python takes; none where nothing was compiled."""
    return list(_stamp(root))


def outdated(root: Path = ROOT) -> list[str]:
    """Those of them that are written otherwise by now."""
    return [path for path, before in _stamp(root).items() if digest(root / path) != before]


def _stamp(root: Path) -> dict[str, str]:
    file = root / STAMP
    found: dict[str, str] = json.loads(file.read_bytes()) if file.exists() else {}
    return found
