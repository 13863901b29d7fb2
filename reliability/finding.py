"""What a trial found, as a row of the table in ``docs/reliability.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reliability import ROOT

PAGE: Final = ROOT / "docs" / "reliability.md"
BEGIN: Final = "<!-- findings: each row is written by its command, with --write -->"
END: Final = "<!-- end of findings -->"


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Attributes:
        tried: What was tried; the row of the same name is replaced.
        times: How often, with its unit.
        happened: What happened, with figures.
        command: What repeats it.
    """

    tried: str
    times: str
    happened: str
    command: str

    @property
    def row(self) -> str:
        r"""The row in Markdown, with the end of its line.

        Example:
            >>> Finding("a kill", "3 times", "nothing was lost", "make chaos").row
            '| a kill | 3 times | nothing was lost | `make chaos` |\n'
        """
        cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in (self.tried, self.times, self.happened)]
        return f"| {' | '.join(cells)} | `{self.command}` |\n"


def with_finding(page: str, finding: Finding) -> str:
    """Return the page with a finding in its table, in the place of the one of the same name or after all others.

    Args:
        page: As it was.
        finding: What to put in.

    Raises:
        ValueError: Where the page has no table of findings.
    """
    before, _, rest = page.partition(BEGIN)
    table, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r}")
    head = f"| {finding.tried} |"
    rows = table.strip("\n").splitlines(keepends=True)
    if rows and not rows[-1].endswith("\n"):
        rows[-1] += "\n"
    old = [index for index, row in enumerate(rows) if row.startswith(head)]
    if old:
        rows[old[0]] = finding.row
    else:
        rows.append(finding.row)
    return f"{before}{BEGIN}\n\n{''.join(rows)}\n{END}{after}"


def tell(finding: Finding, write: bool) -> None:
    """Print a finding, and put it into the page where that is asked for.

    Args:
        finding: What was found.
        write: Whether it goes into ``docs/reliability.md``.
    """
    print(finding.row, end="", flush=True)
    if write:
        PAGE.write_text(with_finding(PAGE.read_text(encoding="utf-8"), finding), encoding="utf-8")
