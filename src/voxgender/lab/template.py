"""Templates of the report and the model card, and how figures are printed in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import jinja2

from voxgender.lab.metrics import SHARES, TITLES

FOLDER: Final = Path(__file__).resolve().parent / "templates"


def template(name: str) -> jinja2.Template:
    """Return a template of this package; values are escaped in HTML, and in Markdown by the filter ``plain``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": plain, "figure": _figure, "around": _around, "share": _share}
    environment.globals["titles"] = TITLES
    return environment.get_template(name)


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, also in a table.

    Example:
        >>> print(plain("a|b *c*"))
        a\|b \*c\*
    """
    return "".join(f"\\{mark}" if mark in r"\`*_[]<>|#~$&" else mark for mark in " ".join(text.split()))


def _figure(value: Mapping[str, float] | None, name: str) -> str:
    """A figure in print."""
    return "-" if value is None else _printed(value["value"], name)


def _around(value: Mapping[str, float] | None, name: str) -> str:
    """The interval of a figure in print; empty where there is none."""
    if value is None or "low" not in value:
        return ""
    return f"{_printed(value['low'], name)} to {_printed(value['high'], name)}"


def _printed(number: float, name: str) -> str:
    return _share(number) if name in SHARES else f"{number:.3f}"


def _share(number: float | None) -> str:
    """A share in per cent."""
    return "-" if number is None else f"{number:.1%}"
