"""The field's vectors for the core of the enricher."""

from typing import Any

import pytest

from tests.enricher import vector_events, vector_failures, vector_parts, vector_urls, vector_values
from tests.vectors import vectors

CHECKS = vector_values.CHECKS | vector_urls.CHECKS | vector_parts.CHECKS | vector_failures.CHECKS | vector_events.CHECKS


@pytest.mark.vectors
@pytest.mark.parametrize("row", vectors("enrich-core"))
def test_vector(row: dict[str, Any]) -> None:
    assert row["kind"] in CHECKS, "nothing checks this kind"
    vector_values.judge(row, CHECKS[row["kind"]])
