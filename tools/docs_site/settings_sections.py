"""The reference of the settings, from ``app/settings.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from docs_site.markdown import table
from voxgender.app.settings import ENV_PREFIX, Settings


def markdown() -> str:
    """Return a section for each setting."""
    return "\n".join(_section(name, field) for name, field in Settings.model_fields.items())


def _section(name: str, field: FieldInfo) -> str:
    default = "none" if field.default is None else f"`{field.default}`"
    rows = [["flag", f"`--{name.replace('_', '-')}`"], ["default", default], ["values", values(field)]]
    return f"## {ENV_PREFIX}{name.upper()}\n\n{field.description}\n\n{table(['', ''], rows)}"


def values(field: FieldInfo) -> str:
    """Return the values that a setting takes, in words.

    Example:
        >>> values(Settings.model_fields["port"])
        'a whole number, at least 0, at most 65535'
    """
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in kinds)
    return ", ".join([_KINDS[kinds[0]], *bounds(field.metadata)])


_KINDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "`on` or `off`",
    Path: "a path",
}


def bounds(metadata: list[Any]) -> list[str]:
    """Return the bounds of a number, in words."""
    told = []
    for bound in metadata:
        match bound:
            case Ge(ge=least):
                told.append(f"at least {least}")
            case Gt(gt=below):
                told.append(f"above {below}")
            case Le(le=most):
                told.append(f"at most {most}")
            case Lt(lt=above):
                told.append(f"below {above}")
    return told
