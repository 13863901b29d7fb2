"""A licence bounds the work; its file is read strictly."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from voxgender.app.licence import Capacity, Charge, Licence, read_licence
from voxgender.core.errors import LicenceExpiredError, SettingsError

UNTIL = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("period", "label"),
    [("day", "day 2026-12-31"), ("month", "month 2026-12"), ("year", "year 2026"), ("total", "total")],
)
def test_work_counts_in_the_period_of_its_moment_in_utc(period: str, label: str) -> None:
    licence = Licence("ACME", UNTIL, Capacity(period, voiceprints=10, audio_s=60.5))  # type: ignore[arg-type]
    moment = seconds("2027-01-01T00:59:59+01:00")
    assert licence.charge("voiceprints", 3, moment) == Charge("voiceprints", 3, label, 10)
    assert licence.charge("audio_s", 1.5, moment) == Charge("audio_s", 1.5, label, 60.5)


def test_what_the_licence_does_not_bound_is_counted_without_a_bound() -> None:
    assert Licence("ACME", UNTIL).charge("voiceprints", 3, 0) == Charge("voiceprints", 3, "total", None)
    assert Licence("ACME", UNTIL, Capacity("day")).charge("audio_s", 3, 0).capacity is None


def test_it_ends_at_the_very_moment_that_it_names() -> None:
    licence = Licence("ACME", UNTIL)
    licence.charge("voiceprints", 1, UNTIL.timestamp() - 0.001)
    with pytest.raises(LicenceExpiredError, match="2027-01-01"):
        licence.charge("voiceprints", 1, UNTIL.timestamp())


def test_a_file_is_read_as_it_is_documented(tmp_path: Path) -> None:
    path = tmp_path / "licence.json"
    capacity = {"period": "month", "voiceprints": 1000, "audio_s": 36000}
    path.write_text(json.dumps({"licensee": "ACME", "valid_until": "2027-01-01T00:00:00Z", "capacity": capacity}))
    assert read_licence(path) == Licence("ACME", UNTIL, Capacity("month", 1000, 36000))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("", "no licence"),
        ("[]", "no licence"),
        ('{"licensee": "ACME"}', "valid_until"),
        ('{"licensee": "ACME", "valid_until": "2027-01-01T00:00:00"}', "time zone"),
        ('{"licensee": "ACME", "valid_until": "2027-01-01T00:00:00Z", "capcity": {}}', "capcity"),
        ('{"licensee": "A", "valid_until": "2027-01-01T00:00:00Z", "capacity": {"period": "week"}}', "week"),
        (
            '{"licensee": "A", "valid_until": "2027-01-01T00:00:00Z", "capacity": {"period": "day", "audio_s": -1}}',
            ">= 0",
        ),
        ("\xff", "no licence"),
        ("[" * 100_000, "no licence"),
    ],
)
def test_a_file_that_is_no_licence_stops_the_start_with_one_sentence(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "licence.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(SettingsError, match=reason) as error:
        read_licence(path)
    assert str(error.value).startswith(f"VOXGENDER_LICENCE_FILE (--licence-file) is {path}")
    assert "\n" not in str(error.value)
