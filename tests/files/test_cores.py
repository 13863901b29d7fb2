"""A container's quota bounds the cores, whichever version of cgroups tells it."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from voxgender.files import cores
from voxgender.files.cores import usable_cores


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_without_a_quota_all_cores_of_the_affinity_are_usable(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 8
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) == 8


@pytest.mark.parametrize(
    ("told", "count"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("9000000 100000", 8)]
)
def test_a_quota_of_cgroup_2_bounds_them(tmp_path: Path, told: str, count: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{told}\n")
    assert usable_cores(tmp_path) == count


@pytest.mark.parametrize(("quota_us", "count"), [("300000", 3), ("-1", 8)])
def test_a_quota_of_cgroup_1_bounds_them(tmp_path: Path, quota_us: str, count: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota_us)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == count


def test_a_quota_further_down_bounds_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.write_text("1:name=x:/other\n0::/system.slice/voxgender.service\n")
    monkeypatch.setattr(cores, "_OWN", own)
    (tmp_path / "system.slice/voxgender.service").mkdir(parents=True)
    (tmp_path / "system.slice/cpu.max").write_text("500000 100000\n")
    assert usable_cores(tmp_path) == 5
    (tmp_path / "system.slice/voxgender.service/cpu.max").write_text("300000 100000\n")
    assert usable_cores(tmp_path) == 3


@pytest.mark.parametrize("told", ["", "x y", "1", "5 0"])
def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path, told: str) -> None:
    (tmp_path / "cpu.max").write_text(told)
    assert usable_cores(tmp_path) == 8


def test_where_there_is_no_affinity_the_machines_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    with mock.patch.object(os, "cpu_count", return_value=5):
        assert usable_cores(tmp_path) == 5
