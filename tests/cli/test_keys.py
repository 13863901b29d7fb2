"""``voxgender keys`` makes, lists and removes what opens the service."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from serving import PATH, running_server, voiceprint_text
from voxgender.app.key import PREFIX, new_key
from voxgender.app.sqlite_store import SqliteStore
from voxgender.cli import EXIT_SOME_FAILED, EXIT_USAGE, commands
from voxgender.core.errors import SettingsError

ONE = {"voiceprints": [voiceprint_text(1)]}


def keys(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        commands, ["keys", *arguments], env={"VOXGENDER_STORE_URL": f"sqlite:///{folder}/tasks.db"}
    )


def add_ended(folder: Path) -> None:
    """Keep a key that has ended; the command would refuse to make it."""
    ended_s = dt.datetime(2020, 2, 29, tzinfo=dt.UTC).timestamp()

    async def run() -> None:
        store = SqliteStore(folder / "tasks.db", 10**9)
        await store.open()
        await store.add_key(new_key("old", 0.0, expires_s=ended_s)[0])
        await store.close()

    asyncio.run(run())


def send(client: httpx.Client, key: str) -> int:
    return client.post(PATH, json=ONE, headers={"x-api-key": key}).status_code


def test_a_key_is_printed_once_and_opens_until_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = keys(tmp_path, "add", "call centre", "--voiceprints", "5", "--period", "day").output.strip()
    assert text.startswith(f"{PREFIX}_")
    with running_server(tmp_path, keys="on") as client:
        assert send(client, text) == 202
        listed = keys(tmp_path, "list").output
        assert text not in listed
        (line,) = listed.splitlines()[1:]
        key_id = line.split()[0]
        assert "call centre" in line
        assert "1 of 5 voiceprints" in line
        assert keys(tmp_path, "remove", key_id).exit_code == 0
        monkeypatch.setattr("voxgender.app.key_ring.FRESH_S", 0.0)
        assert send(client, text) == 403
    assert keys(tmp_path, "list").output.splitlines()[1:] == []


def test_the_list_tells_which_keys_have_ended(tmp_path: Path) -> None:
    add_ended(tmp_path)
    keys(tmp_path, "add", "new", "--expires", "2999-01-01", "--rate-limit", "5 per hour")
    old, new = keys(tmp_path, "list").output.splitlines()[1:]
    assert "2020-02-29 (over)" in old
    assert "2999-01-01" in new
    assert "over" not in new
    assert "5 per hour" in new


@pytest.mark.parametrize(
    "wrong",
    [
        ["--rate-limit", "often"],
        ["--voiceprints", "-1"],
        ["--period", "week"],
        ["--expires", "soon"],
        ["--audio-s", "nan"],
        ["--expires", "2020-02-29"],
        ["--period", "year"],
    ],
)
def test_a_wrong_value_makes_no_key(tmp_path: Path, wrong: list[str]) -> None:
    told = keys(tmp_path, "add", "x", *wrong)
    assert told.exit_code == EXIT_USAGE
    assert wrong[wrong[0] != "--period"] in told.output
    assert not (tmp_path / "tasks.db").exists()


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "\x1b[31mred"])
def test_a_name_that_would_break_the_list_is_refused(tmp_path: Path, name: str) -> None:
    assert keys(tmp_path, "add", name).exit_code == EXIT_USAGE


@pytest.mark.parametrize("arguments", [["list"], ["remove", "nope"]])
def test_no_store_is_made_where_there_is_none(tmp_path: Path, arguments: list[str]) -> None:
    told = keys(tmp_path, *arguments)
    assert isinstance(told.exception, SettingsError)
    assert "there is no store yet" in str(told.exception)
    assert not list(tmp_path.iterdir())


def test_the_store_may_be_named_by_a_flag(tmp_path: Path) -> None:
    assert keys(tmp_path, "--store-url", f"sqlite:///{tmp_path}/other.db", "add", "x").exit_code == 0
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "tasks.db").exists()


def test_the_doctor_tells_whether_keys_are_demanded_and_that_there_is_one(tmp_path: Path) -> None:
    def doctor(host: str) -> str:
        environment = {"VOXGENDER_STORE_URL": f"sqlite:///{tmp_path}/tasks.db", "VOXGENDER_HOST": host}
        (line,) = (
            line
            for line in CliRunner().invoke(commands, ["doctor"], env=environment).output.splitlines()
            if line.partition(":")[0].split()[-1] == "keys"
        )
        return line

    assert doctor("127.0.0.1").startswith("ok      keys: none is demanded")
    assert "make one with voxgender keys add" in doctor("192.0.2.1")
    add_ended(tmp_path)
    keys(tmp_path, "add", "new")
    assert doctor("192.0.2.1") == "ok      keys: demanded; 1 open, 1 have ended"


def test_to_remove_a_key_that_is_none_is_told(tmp_path: Path) -> None:
    keys(tmp_path, "add", "x")
    told = keys(tmp_path, "remove", "nope")
    assert told.exit_code == EXIT_SOME_FAILED
    assert "there is no key 'nope'" in told.output
