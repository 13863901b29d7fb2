"""A backup that is made under load holds every task that was accepted before it began, with its recording."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings import recording, voice
from serving import GENDER, PATH, ServerProcess, running_server, voiceprint_text
from voxgender.app.backup import StorePlace, back_up
from voxgender.app.restore import restore
from voxgender.app.scratch import scratch
from voxgender.app.spool import Spool
from voxgender.core.errors import BackupError

SHORT = recording(voice("male", 1.0))


def place(folder: Path) -> StorePlace:
    return StorePlace(folder / "tasks.db", folder / "tasks.db-media")


def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voxgender", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


KILLED_EVERYWHERE = """
import os, shutil, sys
from pathlib import Path
from voxgender.app.backup import StorePlace
from voxgender.app.restore import restore

backup, old, folder = map(Path, sys.argv[1:])
changes = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "open"}
for moment in range(1, 1000):
    place = folder / str(moment)
    shutil.copytree(old, place)
    child = os.fork()
    if not child:
        left = moment
        def hook(event, arguments):
            global left
            if event in changes:
                left -= 1
                if not left:
                    os._exit(9)
        sys.addaudithook(hook)
        restore(backup, StorePlace(place / "tasks.db", place / "tasks.db-media"), replaces=True)
        os._exit(0)
    if not os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        break
"""
"""Restores again and again to a copy of a place, and is killed at each next change of the file system."""

KILLED_BACKUP = """
import os, sys
from pathlib import Path
from voxgender.app import backup

backup._pack = lambda *_: os._exit(9)
folder = Path(sys.argv[1])
backup.back_up(backup.StorePlace(folder / "tasks.db", folder / "tasks.db-media"), folder / "backup.tar")
"""


def python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def licence_file(folder: Path) -> Path:
    path = folder / "licence.json"
    capacity = {"period": "total", "voiceprints": 1_000_000}
    path.write_text(json.dumps({"licensee": "A", "valid_until": "2999-01-01T00:00:00Z", "capacity": capacity}))
    return path


def used(path: Path) -> float:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT used FROM licence_use WHERE resource = 'voiceprints'").fetchall()
    return float(rows[0][0]) if rows else 0.0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of three tasks, one of which waits."""
    folder = tmp_path_factory.mktemp("small")
    with running_server(folder, extractors=0, licence_file=licence_file(folder)) as client:
        for seed in range(2):
            assert client.post(PATH, json={"voiceprints": [voiceprint_text(seed)]}).status_code == 202
        assert client.post(GENDER, files={"file": ("a", SHORT)}).status_code == 202
        back_up(place(folder), folder / "backup.tar")
    return folder / "backup.tar"


def test_what_was_accepted_before_a_backup_under_load_is_there_after_a_restore_elsewhere(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    licence = licence_file(tmp_path)
    server = ServerProcess(first, extractors=1, **{"licence-file": licence})
    accepted: list[str] = []
    stopping = threading.Event()

    def load() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
            seed = 0
            while not stopping.is_set():
                seed += 1
                if seed % 5:
                    answer = client.post(PATH, json={"voiceprints": [voiceprint_text(seed)] * 3})
                else:
                    answer = client.post(GENDER, files={"file": ("a", SHORT)})
                accepted.append(answer.headers["location"])

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        while len(accepted) < 60:
            stopping.wait(0.02)
        before, used_before = list(accepted), used(first / "tasks.db")
        made = cli("backup", tmp_path / "backup.tar", f"--store-url=sqlite:///{first}/tasks.db")
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        server.kill()
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE((tmp_path / "backup.tar").stat().st_mode) == 0o600
    assert not list((first / "tasks.db-media").glob(".voxgender-*"))

    restored = cli("restore", tmp_path / "backup.tar", f"--store-url=sqlite:///{second}/tasks.db")
    assert restored.returncode == 0, restored.stderr
    assert used(second / "tasks.db") >= used_before > 0
    again = ServerProcess(second, extractors=1, **{"licence-file": licence})
    for location in before:
        while True:
            answer = again.client.get(location, headers={"prefer": "wait=20"})
            assert answer.status_code == 200, answer.text
            if (state := answer.json()["task"]["state"]) not in ("pending", "running"):
                break
        assert state == "done", answer.text
    assert again.stop() == 0


def test_a_store_in_use_is_not_restored_over_not_even_by_force(small: Path, tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        for replaces in (False, True):
            with pytest.raises(BackupError, match="is in use; stop the service"):
                restore(small, place(tmp_path), replaces=replaces)
        assert client.post(PATH, json={"voiceprints": [voiceprint_text()]}).status_code == 202


def test_tasks_are_replaced_only_by_force_and_the_licence_use_never_falls(small: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, licence_file=licence_file(tmp_path)) as client:
        kept = client.post(PATH, json={"voiceprints": [voiceprint_text()] * 9}).headers["location"]
    with pytest.raises(BackupError, match="holds 1 tasks and 0 keys; restore to another place"):
        restore(small, place(tmp_path))
    with running_server(tmp_path) as client:
        assert client.get(kept).status_code == 200
    assert restore(small, place(tmp_path), replaces=True).contents.tasks == 3
    assert used(tmp_path / "tasks.db") == 9
    with running_server(tmp_path) as client:
        assert client.get(kept).status_code == 404


def test_a_restored_store_has_its_recordings_and_takes_its_spool(small: Path, tmp_path: Path) -> None:
    contents = restore(small, place(tmp_path)).contents
    assert (contents.tasks, contents.recordings) == (3, 1)
    (media,) = (tmp_path / "tasks.db-media").glob("*.media")
    assert media.read_bytes() == SHORT
    assert used(tmp_path / "tasks.db") == 2
    with running_server(tmp_path, extractors=0) as client:
        assert client.get("/readyz").json()["checks"]["media"]["told"].startswith("1 recordings wait")


def test_what_is_there_already_is_not_replaced_unless_asked(small: Path, tmp_path: Path) -> None:
    restore(small, place(tmp_path))
    target = tmp_path / "again.tar"
    target.write_bytes(b"mine")
    with pytest.raises(BackupError, match="exists already"):
        back_up(place(tmp_path), target)
    assert target.read_bytes() == b"mine"
    assert back_up(place(tmp_path), target, replaces=True).tasks == 3


def test_a_missing_store_is_no_empty_backup(tmp_path: Path) -> None:
    done = cli("backup", tmp_path / "b.tar", f"--store-url=sqlite:///{tmp_path}/none.db")
    assert done.returncode == 1
    assert "there is no store at" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_store_in_postgresql_is_refused_with_the_command_that_does_it(command: str, tmp_path: Path) -> None:
    done = cli(command, tmp_path / "b", "--store-url=postgresql://me:secret@db/voxgender")
    assert done.returncode == 1
    assert ("pg_dump --format=custom" if command == "backup" else "pg_restore --clean") in done.stderr
    assert "secret" not in done.stderr


@given(at=st.integers(0, 10**9), with_byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_backup_is_refused_or_whole_and_never_leaves_half_a_store(
    small: Path, tmp_path_factory: pytest.TempPathFactory, at: int, with_byte: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(small.read_bytes())
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] = with_byte
    (folder / "backup.tar").write_bytes(data)
    try:
        restore(folder / "backup.tar", place(folder))
    except BackupError:
        assert not (folder / "tasks.db").exists()
    else:
        # What was changed says nothing, like the fill between two files.
        with tarfile.open(small) as archive, closing(sqlite3.connect(folder / "tasks.db")) as connection:
            member = archive.extractfile("store.db")
            assert member is not None
            undamaged = sqlite3.connect(":memory:")
            undamaged.deserialize(member.read())
            assert list(connection.iterdump()) == list(undamaged.iterdump())
            undamaged.close()
    assert {path.name for path in folder.iterdir()} <= {"backup.tar", "tasks.db", "tasks.db-media"}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "media/../../evil.media", "store.db/x"])
def test_a_backup_cannot_write_anywhere_else(small: Path, tmp_path: Path, name: str) -> None:
    evil = tmp_path / "evil.tar"
    evil.write_bytes(small.read_bytes())
    with tarfile.open(evil, "a") as archive:
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(BackupError, match="is no backup: it holds"):
        restore(evil, place(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"evil.tar"}


def test_a_backup_of_a_later_version_is_refused_by_its_version(small: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.tar"
    with tarfile.open(small) as archive, tarfile.open(later, "w") as target:
        for member in archive:
            data = archive.extractfile(member)
            assert data is not None
            content = data.read()
            if member.name == "backup.json":
                content = json.dumps({**json.loads(content), "schema": 99}).encode()
                member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    with pytest.raises(BackupError, match="later voxgender"):
        restore(later, place(tmp_path))


def sql(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_backup_of_any_number_of_waiting_recordings_can_be_restored(small: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    restore(small, place(first))
    with closing(sqlite3.connect(first / "tasks.db")) as connection, connection:
        for number in range(600):
            task_id = uuid.UUID(int=number)
            (first / "tasks.db-media" / f"{task_id}.media").write_bytes(b"%d" % number)
            connection.execute(
                "INSERT INTO job (task_id, options, tries, hold, held_until_s)"
                " SELECT ?, options, tries, hold, held_until_s FROM job LIMIT 1",
                (task_id.bytes,),
            )
    assert back_up(place(first), tmp_path / "backup.tar").recordings == 601
    assert restore(tmp_path / "backup.tar", place(second)).contents.recordings == 601
    assert (second / "tasks.db-media" / f"{uuid.UUID(int=599)}.media").read_bytes() == b"599"


def test_what_a_store_that_is_gone_has_left_does_not_get_into_the_restored_one(small: Path, tmp_path: Path) -> None:
    # A crash leaves a log with content; then somebody deletes the store, but not the log.
    restore(small, place(tmp_path / "other"))
    with closing(sqlite3.connect(tmp_path / "other" / "tasks.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("DELETE FROM task")
        connection.commit()
        log = (tmp_path / "other" / "tasks.db-wal").read_bytes()
    assert log
    for suffix in ("-wal", "-shm", "-journal"):
        (tmp_path / f"tasks.db{suffix}").write_bytes(log if suffix == "-wal" else b"")
    restore(small, place(tmp_path))
    assert sql(tmp_path / "tasks.db", "PRAGMA integrity_check") == [("ok",)]
    assert sql(tmp_path / "tasks.db", "SELECT count(*) FROM task") == [(3,)]


def test_keys_are_replaced_only_by_force_and_the_command_tells_which_open_again(tmp_path: Path) -> None:
    store = f"--store-url=sqlite:///{tmp_path}/tasks.db"

    def add(name: str) -> str:
        before = set(ids())
        assert cli("keys", store, "add", name).returncode == 0
        (added,) = set(ids()) - before
        return added

    def ids() -> list[str]:
        rows = sql(tmp_path / "tasks.db", "SELECT key_id FROM api_key") if (tmp_path / "tasks.db").exists() else []
        return [key_id for (key_id,) in rows]

    removed, kept = add("removed"), add("kept")
    assert cli("backup", tmp_path / "backup.tar", store).returncode == 0
    assert cli("keys", store, "remove", removed).returncode == 0
    late = add("late")

    refused = cli("restore", tmp_path / "backup.tar", store)
    assert refused.returncode == 1
    assert "holds 0 tasks and 2 keys" in refused.stderr
    assert set(ids()) == {kept, late}

    done = cli("restore", tmp_path / "backup.tar", store, "--replace")
    assert done.returncode == 0, done.stderr
    assert set(ids()) == {kept, removed}
    lines = done.stdout.splitlines()
    assert lines[0].endswith("0 tasks, 0 recordings, 2 keys")
    assert "Remove again those that were removed since: voxgender keys remove ID" in lines[1]
    assert lines[2:] == [
        f"1 keys that the replaced store did not hold: {removed}",
        f"1 keys of the replaced store are gone: {late}",
    ]


def test_a_restore_killed_at_any_moment_leaves_one_store_or_the_other_with_its_recordings(
    small: Path, tmp_path: Path
) -> None:
    old, killed = tmp_path / "old", tmp_path / "killed"
    old.mkdir()
    with running_server(old, extractors=0) as client:
        for _ in range(2):
            assert client.post(GENDER, files={"file": ("a", SHORT)}).status_code == 202
    done = python(KILLED_EVERYWHERE, small, old, killed)
    assert done.returncode == 0, done.stderr
    found = []
    for moment in sorted(int(path.name) for path in killed.iterdir()):
        there = place(killed / str(moment))
        ((store_id,),) = sql(there.path, "SELECT store_id FROM identity")
        tasks = sql(there.path, "SELECT task_id FROM job")
        assert sql(there.path, "PRAGMA integrity_check") == [("ok",)]
        for (task_id,) in tasks:
            assert (there.spool / f"{uuid.UUID(bytes=task_id)}.media").read_bytes() == SHORT
        Spool(there.spool, 10**9, 10**9).open(store_id)  # it is not another store's
        found.append(len(tasks))
    assert set(found) == {1, 2}
    assert found == sorted(found, reverse=True)
    assert len(list((killed / str(len(found)) / "tasks.db-media").glob("*.media"))) == 1


def test_what_killed_backups_and_restores_have_left_is_deleted_by_the_next_but_not_what_is_in_use(
    small: Path, tmp_path: Path
) -> None:
    restore(small, place(tmp_path))
    assert python(KILLED_BACKUP, tmp_path).returncode == 9
    left = list(tmp_path.glob("**/.voxgender-backup-*"))
    assert len(left) == 2
    with scratch(tmp_path, "restore") as used_here:
        back_up(place(tmp_path), tmp_path / "backup.tar")
        assert used_here.exists()
    assert not list(tmp_path.glob("**/.voxgender-*"))

    (tmp_path / "backup.tar").unlink()
    assert python(KILLED_BACKUP, tmp_path).returncode == 9
    assert len(list(tmp_path.glob("**/.voxgender-backup-*"))) == 2
    restore(small, place(tmp_path), replaces=True)
    assert not list(tmp_path.glob("**/.voxgender-*"))


def test_a_folder_of_our_name_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter").write_text("dear")
    (tmp_path / ".voxgender-backup-x").symlink_to(mine)
    with scratch(tmp_path, "backup"):
        assert [path.name for path in mine.iterdir()] == ["letter"]
