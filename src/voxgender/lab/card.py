"""The model card: what a model is, what it is for, what it was made from and how well it does, as Markdown.

After Mitchell et al. (2019), "Model cards for model reporting".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from scipy.special import expit

from voxgender.files.models import Card
from voxgender.lab.template import template

FAIRNESS_GROUPS: Final = ("gender", "age", "language", "corpus")
MIN_SPEAKERS: Final = 5
"""Groups of fewer speakers are left out of the card's tables; the report has them."""


def model_card(extractor: Card, head: Card, report: Mapping[str, Any] | None = None) -> str:
    """Return the model card of a model in Markdown; the same input gives the same text.

    Args:
        extractor: Card of the part that makes voiceprints.
        head: Card of the part that scores them.
        report: A ``report.json`` of the model, as :func:`voxgender.lab.report.read_report` gives it; without it the
            card has no figures and says so.
    """
    made = head.content.get("made") or {}
    calibration = head.settings.get("calibration")
    bound = calibration.get("bound") if isinstance(calibration, dict) else None
    return template("card.md").render(
        extractor=extractor.content,
        head=head.content,
        made=json.dumps(made, indent=2, ensure_ascii=False),
        method=made.get("method"),
        bound=None if bound is None else {"llr": bound, "probability": float(expit(bound))},
        corpora=_corpora(made),
        about=None if report is None else report["about"],
        calibrated_on=(made.get("calibration") or {}).get("split"),
        conditions=[] if report is None else [_condition(condition) for condition in report["conditions"]],
        fairness=[] if report is None else _fairness(report["conditions"][0]),
        min_speakers=MIN_SPEAKERS,
    )


def _corpora(made: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each corpus with what it was used for and the licences that the head's card tells."""
    uses: dict[str, list[str]] = {}
    licences: dict[str, set[str]] = {}
    for use in ("training", "children", "calibration"):
        told = made.get(use)
        if not isinstance(told, dict):
            continue
        for name in told.get("corpora", ()):
            uses.setdefault(name, []).append(use)
            licences.setdefault(name, set()).update((told.get("licences") or {}).get(name, ()))
    return [
        {"name": name, "uses": ", ".join(uses[name]), "licences": ", ".join(sorted(licences[name]))}
        for name in sorted(uses)
    ]


def _condition(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": condition["name"],
        "contradicted": condition["contradicted"],
        "views": [
            {
                "labels": view["labels"],
                "rows": [row for row in view["rows"] if row["group"] == "all"],
                "thresholds": view["thresholds"],
            }
            for view in condition["views"]
        ],
    }


def _fairness(condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The groups of people, each with its figures under all labels and under those that pitch does not contradict."""
    every, plausible = condition["views"][0], condition["views"][-1]
    judged = {(row["group"], row["name"]): row for row in plausible["rows"]}
    tables = []
    for group in FAIRNESS_GROUPS:
        rows = [row for row in every["rows"] if row["group"] == group]
        told = [row for row in rows if row["speakers"] >= MIN_SPEAKERS]
        if told:
            pairs = [{"all": row, "plausible": judged.get((group, row["name"]))} for row in told]
            tables.append({"group": group, "rows": pairs, "left_out": len(rows) - len(told)})
    return tables
