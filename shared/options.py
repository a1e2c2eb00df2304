"""Which options a settings model has: their paths, variables, defaults and documentation.

Everything that speaks about options derives from here: what a refusal suggests, and the reference page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr

#: Prefix of every environment variable that sets an option.
PREFIX = "EVNT_"


@dataclass(frozen=True, slots=True)
class Option:
    """One value that can be set. A segment in angle brackets stands for a name that the user chooses."""

    path: tuple[str, ...]
    annotation: Any
    default: Any
    doc: str

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return variable(self.path)


def options(model: type[BaseModel], above: tuple[str, ...] = (), defaults: BaseModel | None = None) -> Iterator[Option]:
    """Every option of a model, in order of declaration, depth first. `defaults`: a section with its parent's values."""
    for name, field in model.model_fields.items():
        own = field.get_default(call_default_factory=True, validated_data={})
        default = getattr(defaults, name) if defaults else own
        segment, nested = _nested(field.annotation)
        if nested is not None:
            section = default if isinstance(default, BaseModel) else None
            yield from options(nested, (*above, name, *segment), section)
        else:
            yield Option((*above, name), field.annotation, default, field.description or "")


def variable(path: tuple[str, ...]) -> str:
    """The environment variable that sets an option."""
    return PREFIX + "__".join(path).upper()


def is_secret(model: type[BaseModel], path: tuple[str, ...]) -> bool:
    """Whether an option's value must not be repeated; so too what no option is, since it may be a misspelt one."""
    parent = model_at(model, path[:-1])
    field = parent.model_fields.get(path[-1]) if parent else None
    return field is None or SecretStr in (field.annotation, *get_args(field.annotation))


def option_at(model: type[BaseModel], path: tuple[str, ...]) -> tuple[str, ...]:
    """The path up to the option that it leads to, or into: an item of a list is set with the whole list."""
    ends = (path[:end] for end in range(1, len(path)))
    return next((end for end in ends if model_at(model, end) is None), path)


def model_at(model: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    """The section that a path leads to, through names that users chose too; None where there is none."""
    if not path:
        return model
    field = model.model_fields.get(path[0])
    segment, nested = _nested(field.annotation) if field else ((), None)
    return model_at(nested, path[1 + len(segment) :]) if nested else None


def _nested(annotation: Any) -> tuple[tuple[str, ...], type[BaseModel] | None]:
    """The model inside an annotation, and the segment that a mapping of models puts before it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (), annotation
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        nested = _nested(arguments[1])[1]
        return (("<name>",), nested) if nested else ((), None)
    if type(None) in arguments:
        return next((found for found in map(_nested, arguments) if found[1]), ((), None))
    return (), None
