"""Heads on disk: the ``head`` part of a model folder, arrays in safetensors and a card that tells how it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy

from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.errors import InputError, ModelError
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead, Scorer
from voxgender.files.models import CARD_FORMAT, CARD_NAME, Card, find_model, load_card

ARRAYS_NAME: Final = "head.safetensors"
PART: Final = "head"


def load_scorer(name_or_path: str | Path) -> Scorer:
    """Return the scorer of one model's voiceprints.

    Args:
        name_or_path: Id of a shipped model, or the path of a model folder.

    Raises:
        ModelError: Where there is no such model, or its head is missing, changed or of another kind.

    Example:
        >>> load_scorer("ge2e-2").heads["ge2e-2"].head
        Head(model='ge2e-2', dimension=286)
    """
    card, head = load_head(find_model(name_or_path) / PART)
    return Scorer({card.model: head})


def load_head(folder: Path) -> tuple[Card, CalibratedHead]:
    """Return a head and its card.

    Raises:
        ModelError: Where the folder is incomplete, changed, or holds no head.
    """
    card = load_card(folder, PART)
    try:
        arrays = safetensors.numpy.load(card.path(ARRAYS_NAME).read_bytes())
        weight, bias = arrays["weight"].astype(np.float32), float(arrays["bias"][0])
        calibration = Calibration(**card.settings["calibration"])
        child = _child_head(card, arrays)
    except (safetensors.SafetensorError, KeyError, TypeError, IndexError, ValueError) as error:
        raise ModelError(
            f"{folder} holds no head that this version can read ({error}); install the model again"
        ) from None
    heads = [Head(card.model, weight, bias), *([] if child is None else [child.head])]
    shape = (card.settings.get("dimension"),)
    if not all(head.weight.shape == shape and np.isfinite([*head.weight, head.bias]).all() for head in heads):
        raise ModelError(f"the head in {folder} has values that are not finite, or a wrong shape; install it again")
    return card, CalibratedHead(heads[0], calibration, child)


def _child_head(card: Card, arrays: Mapping[str, np.ndarray[Any, Any]]) -> ChildHead | None:
    if "child" not in card.settings:
        return None
    weight, bias = arrays["child_weight"].astype(np.float32), float(arrays["child_bias"][0])
    return ChildHead(Head(card.model, weight, bias), card.settings["child"]["prior"])


def save_head(folder: Path, head: CalibratedHead, *, version: str, title: str, made: Mapping[str, Any]) -> None:
    """Write a head as a folder that :func:`load_head` reads; the same head gives the same bytes.

    Args:
        folder: Where to; it is made if it is missing.
        head: What to write.
        version: Version of the head.
        title: What it is, in words.
        made: How it was made: data, licences, settings of the training, figures. Goes into the card as it is.

    Raises:
        InputError: Where it cannot be written.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "weight": head.head.weight,
        "bias": np.array([head.head.bias], np.float64),
    }
    settings: dict[str, Any] = {"dimension": len(head.head.weight), "calibration": asdict(head.calibration)}
    if head.child is not None:
        arrays |= {"child_weight": head.child.head.weight, "child_bias": np.array([head.child.head.bias], np.float64)}
        settings["child"] = {"prior": head.child.prior}
    data = safetensors.numpy.save(arrays)
    card = {
        "format": CARD_FORMAT,
        "part": PART,
        "model": head.head.model,
        "version": version,
        "title": title,
        "settings": settings,
        "made": dict(made),
        "files": {ARRAYS_NAME: hashlib.sha256(data).hexdigest()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        contents = {ARRAYS_NAME: data, CARD_NAME: (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode()}
        # All is written before anything is replaced: a full disk leaves the head as it was.
        for name, content in contents.items():
            (folder / f"{name}.part").write_bytes(content)
        for name in contents:
            (folder / f"{name}.part").replace(folder / name)
    except OSError as error:
        raise InputError(f"the head cannot be written to {folder}: {error.strerror}") from None
