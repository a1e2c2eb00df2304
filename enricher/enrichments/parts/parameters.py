"""The base of what configuration files of enrichments say."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from shared.schema import SchemaKey


class Parameters(BaseModel):
    """Base of every Config: frozen, unknown keys refused, the text under each option is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _iglu_uri(text: str) -> str:
    """Raises ValueError."""
    return SchemaKey.parse(text).uri


#: The full name of a schema, as entities carry it.
IgluUri = Annotated[str, AfterValidator(_iglu_uri)]
