"""The report: one folder that needs nothing else, the same in all three forms."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from scored_clips import condition
from voxgender.core.errors import InputError
from voxgender.lab.curves import curves
from voxgender.lab.evaluation import Condition, Evaluation
from voxgender.lab.metrics import TITLES
from voxgender.lab.plots import det_plot, renamed, tippett_plot, with_own_colours
from voxgender.lab.report import read_report, write_report

ABOUT = {"model": "ge2e-2", "data": "split <dev> | mine"}
CLEAN = condition()
NOISY = condition("noise <10 dB> & $babble$", seed=2, separation=1.0)
VOID = {"meta", "br", "path", "use", "link", "img"}


class Page(HTMLParser):
    """Collects what a page consists of; complains where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        return [value or "" for _, name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "new"
    evaluations = [Evaluation.of(each, resamples=40) for each in (CLEAN, NOISY)]
    write_report(folder, ABOUT, evaluations)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_needs_no_script_no_other_file_and_no_other_host(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    links = page.values("href", "xlink:href", "src", "srcset", "data", "action")
    assert links
    assert all(link.startswith("#") for link in links)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)


def test_the_page_can_be_read_without_seeing_it_and_on_a_phone_and_in_the_dark(page: Page, folder: Path) -> None:
    ids = page.values("id")
    assert ids
    assert len(ids) == len(set(ids))
    images = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-labelledby")]
    assert len(images) == page.tags["svg"] == page.tags["figure"] == page.tags["figcaption"] == 9
    assert set(images) <= set(ids)
    assert page.tags["table"] == page.tags["caption"]
    assert page.tags["th"] == page.values("scope").count("row") + page.values("scope").count("col")
    assert ("html", "lang", "en") in page.attributes
    assert "width=device-width, initial-scale=1" in page.values("content")
    assert "prefers-color-scheme: dark" in (folder / "report.html").read_text(encoding="utf-8")


def test_names_from_the_manifest_stay_text(page: Page, folder: Path) -> None:
    assert "b" not in page.tags
    assert "<b>mic</b>" in page.text
    assert "noise <10 dB> & $babble$" in page.text
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert r"fr\|x" in markdown
    assert r"noise \<10 dB\> \& \$babble\$" in markdown
    assert "<b>" not in markdown


def test_each_table_of_the_markdown_has_as_many_cells_in_each_line(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) > 20
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1
        assert set(table.splitlines()[1]) <= set("|-:")
        assert len(table.splitlines()) > 2


def test_the_figures_beside_the_markdown_are_there_and_are_svg(folder: Path) -> None:
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(path.name for path in folder.glob("*.svg"))
    assert len(named) == 9
    for name in named:
        assert ET.parse(folder / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_json_holds_what_was_measured_and_the_page_and_the_markdown_show_it(page: Page, folder: Path) -> None:
    told = read_report(folder / "report.json")
    assert told["about"] == ABOUT
    assert [each["name"] for each in told["conditions"]] == [CLEAN.name, NOISY.name]
    first = told["conditions"][0]
    assert (first["clips"], first["no_speech"], first["contradicted"]) == (len(CLEAN.clips), 2, 4)
    for view, of_view in zip(first["views"], Evaluation.of(CLEAN, resamples=40).views, strict=True):
        for row, measured in zip(view["rows"], of_view.rows, strict=True):
            assert (row["group"], row["name"], row["clips"]) == (measured.group, measured.name, measured.figures.clips)
            for name in TITLES:
                value = getattr(measured.figures, name)
                assert row["figures"][name] == value if value is None else row["figures"][name]["value"] == value
        assert len(view["thresholds"]) == 7
        assert view["curves"]["tippett"]["male"][0] == 1
    cllr = first["views"][0]["rows"][0]["figures"]["cllr"]
    printed = f"{cllr['value']:.3f}"
    between = f"{cllr['low']:.3f} to {cllr['high']:.3f}"
    for text in (page.text, (folder / "report.md").read_text(encoding="utf-8")):
        assert printed in text
        assert between in text


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(tmp_path / name, ABOUT, [Evaluation.of(CLEAN, resamples=10)])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize(
    "few",
    [
        CLEAN.only(CLEAN.is_child),
        CLEAN.only(CLEAN.is_male),
        replace(CLEAN.only(np.arange(len(CLEAN.clips)) < 1), pitch_hz=None),
    ],
)
def test_children_alone_men_alone_and_a_single_clip_make_a_report_too(tmp_path: Path, few: Condition) -> None:
    write_report(tmp_path, ABOUT, [Evaluation.of(few, resamples=10)])
    Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not list(tmp_path.glob("*.svg"))


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "file", ABOUT, [Evaluation.of(CLEAN, resamples=0)])


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2, "conditions": [1]}', '{"format": 1}'])
def test_what_is_no_report_is_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(InputError, match=r"report\.json (cannot be read as a|is no) report"):
        read_report(tmp_path / "report.json")


def test_a_plot_leaves_no_trace_in_matplotlib_s_settings_and_takes_names_as_they_are() -> None:
    before = dict(mpl.rcParams)
    random = np.random.default_rng(1)
    series = [("50 $ to 60 $ <b>", curves(random.normal(2, 1, 50), random.normal(-2, 1, 50)))]
    svg = det_plot(series)
    assert dict(mpl.rcParams) == before
    assert "50 $ to 60 $ &lt;b&gt;" in svg
    assert "currentColor" in svg
    alone = ET.fromstring(with_own_colours(renamed(svg, "x")).encode())
    assert all(element.get("id", "x-").startswith("x-") for element in alone.iter())
    assert tippett_plot(series) == tippett_plot(series)


def test_the_json_is_strict(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
