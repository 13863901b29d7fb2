"""The process of one target: ``python -m reliability.fuzz.child MODULE FOLDER SEEDS FLAGS...``.

SEEDS is how many inputs it begins with at most; FLAGS are those of libFuzzer. That ends the process that it runs in, at
the end of its time as well as at a fault.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

if TYPE_CHECKING:
    from reliability.fuzz.target import Target


def main(module: str, folder: Path, seeds: int, flags: list[str]) -> None:
    """Fuzz; what was found worth keeping is in ``folder/corpus``, what breaks the promise in ``folder``."""
    with atheris.instrument_imports(include=["voxgender"]):
        target: Target = importlib.import_module(f"reliability.fuzz.{module}").TARGET
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(islice(target.seeds(), seeds)):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    words = folder / "words.dict"
    words.write_text(
        "".join(f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word)}"\n' for word in target.words if word)
    )
    # In the tests, too, a warning is an error.
    warnings.simplefilter("error")
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_len={target.max_bytes}",
            f"-dict={words}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            *flags,
            str(corpus),
        ],
        target.check,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
