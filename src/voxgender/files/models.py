"""Model folders: where they lie, what their cards say, and whether their files are unchanged.

A model is a folder named after its id. Each of its parts (``extractor``, ``head``) is a folder with a ``card.json``,
which says what the part is and names every file of it with its SHA-256. Reading a part runs no code and unpickles
nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voxgender.core.errors import InputError, ModelError

SHIPPED: Final = Path(__file__).resolve().parent.parent / "models"
"""The folder of the models that come with the package."""

DEFAULT_MODEL: Final = "ge2e-2"
"""The model that is used where none is named."""

CARD_NAME: Final = "card.json"
CARD_FORMAT: Final = 1
_MAX_CARD_BYTES: Final = 1 << 20
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Card:
    """What a part of a model says of itself; its files were there and unchanged when it was loaded.

    Attributes:
        folder: Where the part lies.
        part: What it is: ``extractor`` or ``head``.
        model: Id of the model that it belongs to; voiceprints carry it.
        version: Version of the part.
        title: What it is, in words.
        settings: Everything that changes its numbers.
        content: The whole card.
    """

    folder: Path
    part: str
    model: str
    version: str
    title: str
    settings: Mapping[str, Any]
    content: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<{self.part} {self.model} {self.version}: {self.title}>"

    @property
    def vector_parts(self) -> tuple[int, ...]:
        """Of an extractor: the values of each encoder whose vectors are joined, in order; empty where there is one."""
        encoders = [value for value in self.settings.values() if isinstance(value, dict) and "vector" in value]
        return tuple(int(encoder["vector"]["dimensions"]) for encoder in encoders)

    def expect(self, found: object, expected: object) -> None:
        """Check that settings which the card tells are those of this version's code.

        Raises:
            ModelError: Where they are others.
        """
        if found != expected:
            raise ModelError(
                f"{self.folder} was made with other settings than this version of voxgender uses; "
                "install the two together"
            )

    def path(self, name: str) -> Path:
        """Where a file of the part lies.

        Raises:
            ModelError: The card names no such file, so that nobody has checked it.
        """
        if name not in self.content["files"]:
            raise ModelError(f"the card in {self.folder} names no file {name!r}; install the model again")
        return self.folder / name


def load_card(folder: Path, part: str) -> Card:
    """Read the card of a part and check every file that it names.

    Args:
        folder: The folder of the part.
        part: What it has to be: ``extractor`` or ``head``.

    Raises:
        ModelError: There is no card, it is not of the kind that this version reads or of another part, or a file that
            it names is missing or changed.
    """
    content = _read_card(folder / CARD_NAME)
    if content["part"] != part:
        raise ModelError(f"{folder} holds a part {content['part']!r} of a model where {part!r} is needed")
    for name, digest in content["files"].items():
        _check_file(folder / name, digest)
    return Card(
        folder=folder,
        part=content["part"],
        model=content["model"],
        version=content["version"],
        title=content["title"],
        settings=content["settings"],
        content=content,
    )


def shipped_models() -> list[str]:
    """Ids of the models that come with the package, in alphabetical order.

    >>> shipped_models()
    ['ge2e-2']
    """
    return sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir() and folder.name[0] not in "._")


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model.

    Args:
        name_or_path: Id of a model that comes with the package, or the path of a model folder.

    Raises:
        ModelError: There is neither.
    """
    if isinstance(name_or_path, str) and name_or_path in shipped_models():
        return SHIPPED / name_or_path
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder
    raise ModelError(
        f"no model {str(name_or_path)!r}: it is no folder, and the models that come with voxgender are "
        f"{', '.join(shipped_models())}"
    )


def extractor_folder(name_or_path: str | Path) -> Path:
    """The folder of the extractor whose voiceprints a model scores.

    A model that was trained on voiceprints of a shipped extractor holds a head alone; then it is the shipped one.

    Args:
        name_or_path: Id of a model that comes with the package, or the path of a model folder.

    Raises:
        ModelError: There is no such model, or no such extractor.

    >>> extractor_folder("ge2e-2").name
    'extractor'
    """
    folder = find_model(name_or_path)
    if (folder / "extractor").is_dir():
        return folder / "extractor"
    model = load_card(folder / "head", "head").model
    if model in shipped_models():
        return SHIPPED / model / "extractor"
    raise ModelError(
        f"{folder} has a head for the model {model!r}, whose extractor is not here; put it in {folder / 'extractor'}"
    )


def take_extractor(name_or_path: str | Path, folder: Path) -> None:
    """Copy a model's extractor into another model folder, where a head for it was written, unless it is a shipped one.

    Raises:
        InputError: Where it cannot be written.
        ModelError: There is no such model, or no such extractor.
    """
    source, target = extractor_folder(name_or_path), folder / "extractor"
    if source.parent.parent == SHIPPED or target.exists():
        return
    try:
        shutil.copytree(source, target)
    except OSError as error:
        raise InputError(f"the extractor cannot be written to {target}: {error}") from None


def _read_card(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CARD_BYTES + 1)
    except OSError as error:
        raise ModelError(f"cannot read {path} ({error.strerror}); install the model again") from None
    if len(text) > _MAX_CARD_BYTES:
        raise ModelError(f"{path} is larger than {_MAX_CARD_BYTES} bytes, so it is no card of a model")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not JSON; install the model again") from None
    _check_content(path, content)
    return content  # type: ignore[no-any-return]  # checked just above


def _check_content(path: Path, content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != CARD_FORMAT:
        raise ModelError(f"{path} is not a card of format {CARD_FORMAT}; update voxgender or install the model again")
    for key in ("part", "model", "version", "title"):
        if not isinstance(content.get(key), str) or not content[key]:
            raise ModelError(f"{path} has no text {key!r}; install the model again")
    for key in ("settings", "files"):
        if not isinstance(content.get(key), dict):
            raise ModelError(f"{path} has no object {key!r}; install the model again")
    for name, digest in content["files"].items():
        # A plain name cannot lead out of the folder.
        if not _PLAIN_NAME.fullmatch(name):
            raise ModelError(f"{path} names the file {name!r}, which is no plain file name; install the model again")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ModelError(f"{path} has no SHA-256 for {name!r}; install the model again")


def _check_file(path: Path, digest: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path} ({error.strerror}); install the model again") from None
    if found != digest:
        raise ModelError(f"{path} is not the file that its card names (its SHA-256 differs); install the model again")
