"""``voxgender identify``: recordings and voiceprints to results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from voxgender.cli import EXIT_SOME_FAILED
from voxgender.cli.csv_lines import csv_lines
from voxgender.cli.files import for_each, model_option, shown, source_of
from voxgender.cli.lake import identify_parquet, is_parquet
from voxgender.core.decision import Decision
from voxgender.core.result import Result
from voxgender.core.voiceprint import Voiceprints
from voxgender.files.heads import load_scorer
from voxgender.files.models import extractor_folder
from voxgender.files.recording import read_voiceprint

if TYPE_CHECKING:
    from voxgender.files.extraction import Extractor

COLUMNS = ("file", "gender", "probability_male", "probability_female", "llr", "speech_s")


@click.command("identify")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format", "form", type=click.Choice(["table", "jsonl", "csv"]), help="[default: table; none for Parquet]"
)
@click.option("--male-prior", default=0.5, show_default=True, help="Probability of a male voice beforehand.")
@click.option("--min-probability", default=0.5, show_default=True, help="Tell a gender below it as unknown.")
@click.option("--column", help="Of Parquet: the column with the voiceprints.  [default: voiceprint]")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Of Parquet: file to write.")
@model_option
@click.option("--server", metavar="URL", help="Have a voxgender service do it, like http://127.0.0.1:8000.")
@click.option("--key-file", type=click.Path(path_type=Path), help="Of --server: file with the API key.")
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[str, ...],
    form: str | None,
    male_prior: float,
    min_probability: float,
    column: str | None,
    output: Path | None,
    model: str,
    server: str | None,
    key_file: Path | None,
) -> None:
    """Tell the perceived gender of the voice in each FILE: a recording, or a voiceprint in binary or Base64.

    A FILE may also be Parquet, or a folder of it, with a voiceprint in each row. The results are its rows with other
    columns in the voiceprint's place.

    llr is the natural logarithm of the likelihood ratio of male against female. A file - is standard input.
    """
    decision = Decision(male_prior, min_probability)
    if server is not None:
        if ctx.get_parameter_source("model") is not click.core.ParameterSource.DEFAULT or column or output:
            raise click.UsageError("--model, --column and --output are for work without --server")
        from voxgender.cli.remote import identify_remotely

        if identify_remotely(server, key_file, files, decision, OUTPUTS[form or "table"]()):
            ctx.exit(EXIT_SOME_FAILED)
        return
    if key_file is not None:
        raise click.UsageError("--key-file is for --server")
    are_parquet = [is_parquet(name) for name in files]
    if all(are_parquet):
        if form == "table" or (output is None) == (form is None):
            raise click.UsageError("of Parquet, choose one of --output FILE, --format jsonl and --format csv")
        from voxgender.batch import identifier

        options = {} if column is None else {"column": column}
        if identify_parquet(files, identifier(decision=decision, model=model, **options), output, form or ""):
            ctx.exit(EXIT_SOME_FAILED)
        return
    if any(are_parquet):
        raise click.UsageError("recordings and Parquet have results of two kinds; hand them over apart")
    if column is not None or output is not None:
        raise click.UsageError("--column and --output are for Parquet, and no FILE is")
    if _identify_files(files, form or "table", decision, model):
        ctx.exit(EXIT_SOME_FAILED)


def _identify_files(files: Sequence[str], form: str, decision: Decision, model: str) -> int:
    """Write the result of each recording or voiceprint, and return how many could not be read."""
    scorer = load_scorer(model)

    @cache
    def extractor() -> Extractor:
        from voxgender.files.extraction import Extractor

        return Extractor(extractor_folder(model))

    def work(name: str) -> Result:
        voiceprint = read_voiceprint(source_of(name), extractor)
        speech_s = np.array([voiceprint.speech_s], np.float32)
        return scorer.score(Voiceprints(voiceprint.model, speech_s, voiceprint.vector[np.newaxis]), decision)[0]

    output = OUTPUTS[form]()
    failed = for_each(files, "listening", work, output.add)
    output.end()
    return failed


class Output(Protocol):
    """Writes results to standard output."""

    def add(self, name: str, result: Result) -> None:
        """Take the result of a file."""

    def end(self) -> None:
        """All results have been taken."""


class _TableOutput:
    def __init__(self) -> None:
        self._table = Table("file", "gender", "probability", "llr", "speech", box=None, pad_edge=False)
        for column in self._table.columns[2:]:
            column.justify = "right"

    def add(self, name: str, result: Result) -> None:
        if result.llr is None or result.male_probability is None:
            numbers = ("-", "-")
        else:
            numbers = (f"{max(result.male_probability, 1 - result.male_probability):.1%}", f"{result.llr:+.2f}")
        self._table.add_row(shown(name), result.gender, *numbers, f"{result.speech_s:.1f} s")

    def end(self) -> None:
        if self._table.row_count:
            # Into a file or a pipe, names are not cut to a terminal's width.
            width = None if sys.stdout is not None and sys.stdout.isatty() else 10_000
            console = Console(width=width, highlight=False, markup=False, emoji=False)
            console.print(self._table)


class _JsonLines:
    def add(self, name: str, result: Result) -> None:
        click.echo(json.dumps({"file": name, **result.as_dict()}))

    def end(self) -> None:
        """Each line has been written already."""


class _CsvLines:
    def __init__(self) -> None:
        self._line(COLUMNS)

    def add(self, name: str, result: Result) -> None:
        told = result.as_dict()
        scores = {score["gender"]: score for score in told["scores"]}
        numbers: list[object] = ["", "", ""]
        if scores:
            male, female = scores["male"], scores["female"]
            numbers = [male["probability"], female["probability"], male["score_llr"]]
        self._line([shown(name), result.gender, *numbers, told["speech_length"]])

    def end(self) -> None:
        """Each line has been written already."""

    @staticmethod
    def _line(cells: Sequence[object]) -> None:
        click.echo(csv_lines([cells]), nl=False)


OUTPUTS: Final[Mapping[str, Callable[[], Output]]] = {"table": _TableOutput, "jsonl": _JsonLines, "csv": _CsvLines}
