"""The base of what configuration files of enrichments say."""

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of every Config: frozen, unknown keys refused, the text under each option is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
