"""The published schemas that tests compare with, where the machine has them."""

import json
from pathlib import Path

import pytest

from shared.iglu.folder import schema_keys, schemas_folder
from shared.iglu.registry import Document
from shared.schema import SchemaKey
from shared.settings import environment
from tests.vectors import folder

CENTRAL = schemas_folder(folder("EVNT_TEST_IGLU_CENTRAL", "../shared/iglu-central"))

needs_central = pytest.mark.skipif(
    not CENTRAL.is_dir(), reason=f"Iglu Central is not on this machine: nothing to compare with in {CENTRAL}"
)


def json_schemas(root: Path) -> list[SchemaKey]:
    return [key for key in schema_keys(root) if key.format == "jsonschema"]


def document(root: Path, key: SchemaKey) -> Document:
    loaded: Document = json.loads((root / key.path).read_bytes())
    return loaded


def rounds(few: int) -> int:
    """Instances a schema: few by default, EVNT_TEST_SCHEMA_ROUNDS where somebody has the time."""
    return int(environment().get("EVNT_TEST_SCHEMA_ROUNDS", few))


def seed() -> int:
    """EVNT_TEST_SCHEMA_SEED repeats a run; the seed stands in every failure's message."""
    return int(environment().get("EVNT_TEST_SCHEMA_SEED", 20_240_229))
