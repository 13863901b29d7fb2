"""A container's quota bounds the cores, whichever version of cgroups tells it."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from voxgender.files.cores import usable_cores


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_without_a_quota_all_cores_of_the_affinity_are_usable(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 8
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) == 8


@pytest.mark.parametrize(
    ("told", "cores"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("9000000 100000", 8)]
)
def test_a_quota_of_cgroup_2_bounds_them(tmp_path: Path, told: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{told}\n")
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota_us", "cores"), [("300000", 3), ("-1", 8)])
def test_a_quota_of_cgroup_1_bounds_them(tmp_path: Path, quota_us: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota_us)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize("told", ["", "x y", "1", "5 0"])
def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path, told: str) -> None:
    (tmp_path / "cpu.max").write_text(told)
    assert usable_cores(tmp_path) == 8


def test_where_there_is_no_affinity_the_machines_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    with mock.patch.object(os, "cpu_count", return_value=5):
        assert usable_cores(tmp_path) == 5
