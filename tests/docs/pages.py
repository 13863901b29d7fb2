"""The pages of the documentation and the code blocks in them, found by the parser that the site is built with."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

OUTPUT = "output"
NOT_RUN = "not-run"
EXIT = "exit"
LICENCE = "licence"
ENCODER = "encoder"
MARKS = frozenset({OUTPUT, NOT_RUN, EXIT, LICENCE, ENCODER})


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page.

    Attributes:
        page: The page, relative to the repository.
        line: Number of its first line, that of the fence.
        language: The first word behind the fence; empty where there is none.
        marks: The words after it, as ``output`` or ``not-run="a reason"``.
        text: What stands in it.
        indented: Whether it has no fence.
    """

    page: str
    line: int
    language: str
    marks: dict[str, str]
    text: str
    indented: bool = False

    @property
    def where(self) -> str:
        """Its place, as editors and terminals open it."""
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> list[Block]:
    r"""Return the code blocks of a page.

    Example:
        >>> (block,) = blocks_of('```sh not-run="it is large"\nmake all\n```\n', "a.md")
        >>> block.where, block.language, block.marks
        ('a.md:1', 'sh', {'not-run': 'it is large'})
    """
    blocks = []
    for token in MarkdownIt().parse(text):
        if token.type not in ("fence", "code_block"):
            continue
        assert token.map is not None
        words = shlex.split(token.info) or [""]
        marks = dict(_mark(word) for word in words[1:])
        blocks.append(Block(page, token.map[0] + 1, words[0], marks, token.content, token.type == "code_block"))
    return blocks


def page_blocks(path: Path) -> list[Block]:
    """Return the code blocks of a page of this repository."""
    return blocks_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))


def _mark(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value
