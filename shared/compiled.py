"""Some modules may be compiled to C (`make compile`): the list, and whether what was compiled is still what is written.

Python prefers a compiled module to its source, so a source that changed since must not be overlooked: whatever starts
asks `refusal` first. That costs a few milliseconds, once.
"""

import hashlib
import json
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Path of each compiled source → its SHA-256 when it was compiled; written beside the packages, last.
STAMP = "compiled.json"

#: What every request and event passes through, together in one C library: calls between these cost next to nothing.
#: Not here: modules with pydantic models, which check types at import in ways that compiled code does not have; and
#: enricher/iglu/compiled.py and prepare.py, whose recursion and exact numbers rely on the interpreter.
MODULES = (
    "collector/address.py",
    "collector/answer.py",
    "collector/bodies.py",
    "collector/commit.py",
    "collector/cookies.py",
    "collector/hit.py",
    "collector/intake.py",
    "collector/messages.py",
    "collector/origins.py",
    "collector/queries.py",
    "collector/record.py",
    "collector/shortcut.py",
    "collector/tracking.py",
    "collector/visitor.py",
    "enricher/adapters/contract.py",
    "enricher/adapters/redirect.py",
    "enricher/adapters/tp2.py",
    "enricher/attributes.py",
    "enricher/badrows.py",
    "enricher/base64url.py",
    "enricher/chunks.py",
    "enricher/enrichments/contract.py",
    "enricher/enrichments/parts/useragent.py",
    "enricher/entities.py",
    "enricher/event.py",
    "enricher/iglu/complaint.py",
    "enricher/iglu/contract.py",
    "enricher/iglu/engine.py",
    "enricher/iglu/reports.py",
    "enricher/iglu/resolver.py",
    "enricher/iglu/rows.py",
    "enricher/java_uri.py",
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
    "enricher/underway.py",
    "enricher/url.py",
    "enricher/values.py",
    "enricher/violations.py",
    "enricher/worker.py",
    "shared/event.py",
    "shared/payload.py",
    "shared/payload_reader.py",
    "shared/stream/rabbitmq_outlet.py",
    "shared/stream/rabbitmq_publisher.py",
    "shared/stream/rabbitmq_subscriber.py",
    "shared/stream/rabbitmq_wire.py",
    "shared/tsv.py",
)


def digest(path: Path) -> str:
    """Of what is written there; empty where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def compiled(root: Path = ROOT) -> list[str]:
    """Sources instead of which this Python takes a compiled module; what another version of it left does not count."""
    return [module for module in known(root) if _is_compiled(root / module)]


def outdated(root: Path = ROOT) -> list[str]:
    """Sources that are written otherwise than what this Python takes instead; none where nothing is compiled.

    Compiled modules know each other's memory, so one that is missing among them counts too. Without a stamp, as an
    interrupted build leaves it, all of them do.
    """
    taken = set(compiled(root))
    wanted = taken.union(MODULES) if taken else taken
    stamp = stamped(root)
    fresh = {module for module in taken if stamp.get(module) == digest(root / module)}
    return [module for module in known(root) if module in wanted - fresh]


def refusal(root: Path = ROOT) -> str | None:
    """Why no process may start here, and what to do; None when it may."""
    found = outdated(root)
    if not found:
        return None
    return (
        f"the compiled modules are not what is written any more: {', '.join(found)}. "
        "`make compile` compiles them anew, `make interpret` goes back to the sources"
    )


def known(root: Path = ROOT) -> list[str]:
    """Sources that may have been compiled: those of the list, and those that were on it then."""
    return list(dict.fromkeys((*MODULES, *stamped(root))))


def stamped(root: Path = ROOT) -> dict[str, str]:
    """The digests that were written when the modules were compiled; none that can't be read."""
    try:
        found: dict[str, str] = json.loads((root / STAMP).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _is_compiled(source: Path) -> bool:
    return any(source.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
