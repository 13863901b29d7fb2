"""Whether a block of a page shows what was printed: exactly, but for what no two runs have alike."""

from __future__ import annotations

import json
import math
import re
from typing import Any

ANYTHING = "..."
"""What a page writes where it leaves something out."""
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# The short id of a key, which has a letter here so that it is no number.
_SHORT_ID = r"(?<!\w)(?=\w*[a-f])(?=\w*\d)[0-9a-f]{8}(?!\w)"
_TIMES = (
    r"\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT",
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|\+00:00)?",
    r"\d{4}-\d{2}(?:-\d{2})?(?![\w.-])",
)
_COUNTDOWN = r"(?:retry-after|x-ratelimit-reset): \d+"
_PARTS = re.compile(
    f"(?P<uuid>{UUID})|(?P<short>{_SHORT_ID})|(?P<time>{'|'.join(_TIMES)})|(?P<countdown>{_COUNTDOWN})|(?P<dots>{re.escape(ANYTHING)})"
    f"|(?P<number>(?<![\\w.]){_NUMBER}(?![\\w]))|(?P<space>\\s+)"
)


class MismatchError(AssertionError):
    """A page shows something else than what was printed."""


def compare_json(shown: Any, real: Any, learned: dict[str, str], at: str = "$") -> None:
    """Compare two JSON values; numbers with a point may differ a little, and ids are learned.

    Args:
        shown: What the page shows; a text ``...`` stands for any value.
        real: What was printed.
        learned: Gets each id that is shown, and what stands in its place.
        at: Where both are, for the message.

    Raises:
        MismatchError: Where they differ.
    """
    if shown == ANYTHING:
        return
    match shown, real:
        case dict(), dict():
            if list(shown) != list(real):
                raise MismatchError(f"{at} has the keys {list(shown)} on the page and {list(real)} in truth")
            for key, value in shown.items():
                compare_json(value, real[key], learned, f"{at}.{key}")
        case list(), list():
            if len(shown) != len(real):
                raise MismatchError(f"{at} has {len(shown)} items on the page and {len(real)} in truth")
            for number, (one, other) in enumerate(zip(shown, real, strict=True)):
                compare_json(one, other, learned, f"{at}[{number}]")
        case str(), str():
            compare_text(shown, real, learned)
        case (bool(), _) | (_, bool()) | (None, _) | (_, None):
            if shown is not real:
                raise MismatchError(f"{at} is {shown} on the page and {real} in truth")
        case int() | float(), int() | float():
            if not _alike(str(shown), str(real)):
                raise MismatchError(f"{at} is {shown} on the page and {real} in truth")
        case _:
            raise MismatchError(f"{at} is {shown!r} on the page and {real!r} in truth")


def compare_text(shown: str, real: str, learned: dict[str, str]) -> None:
    """Compare two texts as :func:`compare_json` does; white space counts as one blank.

    Raises:
        MismatchError: Where they differ.
    """
    found = re.fullmatch(_pattern(shown.strip()), real.strip(), re.DOTALL)
    if found is None:
        raise MismatchError(f"the page shows\n{shown}\nand printed was\n{real}")
    for part, truth in zip(_noted(shown.strip()), found.groups(), strict=True):
        if part["uuid"] or part["short"]:
            learned[part[0]] = truth
        elif not _alike(part[0], truth):
            raise MismatchError(f"{part[0]} on the page is {truth} in\n{real}")


def printed_json(printed: str) -> Any:
    """Return the JSON that a program has printed: one value, or a list of several."""
    values, at, decoder = [], 0, json.JSONDecoder()
    while at < len(printed):
        value, at = decoder.raw_decode(printed, at)
        values.append(value)
        at += len(printed[at:]) - len(printed[at:].lstrip())
    return values[0] if len(values) == 1 else values


def _noted(shown: str) -> list[re.Match[str]]:
    return [part for part in _PARTS.finditer(shown) if part["uuid"] or part["short"] or part["number"]]


def _pattern(shown: str) -> str:
    pattern, at = "", 0
    for part in _PARTS.finditer(shown):
        pattern += re.escape(shown[at : part.start()])
        at = part.end()
        if part["uuid"]:
            pattern += f"({UUID})"
        elif part["short"]:
            pattern += "([0-9a-f]{8})"
        elif part["number"]:
            pattern += f"({_NUMBER})"
        elif part["time"]:
            pattern += f"(?:{'|'.join(_TIMES)})"
        elif part["countdown"]:
            pattern += re.escape(part[0].split(":")[0]) + r": \d+"
        else:
            pattern += ".*?" if part["dots"] else r"\s+"
    return pattern + re.escape(shown[at:])


def _alike(shown: str, real: str) -> bool:
    """Whole numbers are what they are; others may differ a little, as floats do between processors."""
    if "." not in shown:
        return shown == real
    return math.isclose(float(shown), float(real), rel_tol=0.02, abs_tol=0.011)
