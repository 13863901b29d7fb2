"""Pieces of work without any I/O: what is kept of an error, and what ends a call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from client.scripted import ACCEPTED, Script, refused, task
from serving import voiceprint_text
from voxgender.client import (
    ForbiddenError,
    InvalidRequestError,
    MediaOptions,
    ServiceError,
    TaskGoneError,
    UnexpectedAnswerError,
    ValidationError,
)
from voxgender.client.call import Call
from voxgender.client.flow import Lost, Request, Unsent
from voxgender.client.jobs import extraction_jobs, identification_jobs
from voxgender.client.session import Session
from voxgender.client.sources import Piece, Recording, Unreadable, VoiceprintList, pieces, recordings
from voxgender.client.transport import lost, prepared
from voxgender.client.wire import Answer, Limits
from voxgender.core.errors import InputError, MediaTooLargeError

LIMITS = Limits(3, 100, 50, 60, 60)
GONE = Unsent(InputError("it is gone"))
ROW = {"speech_length": 1.0, "scores": [], "gender": "unknown"}


def start(script: Script, work: Piece) -> None:
    """Start a piece of work, where errors are kept."""
    (job,) = identification_jobs([work], {}, MediaOptions("mix"), keeps_errors=True)
    script.play(job.start(script.call()))


@pytest.mark.parametrize("reply", [GONE, refused(400, "request.invalid"), refused(413, "request.size-limit-exceeded")])
def test_an_error_of_one_recording_s_upload_is_kept(reply: Answer | Unsent) -> None:
    script = Script([])
    call = script.call()
    (job,) = identification_jobs([Recording(7, b"")], {}, MediaOptions("mix"), keeps_errors=True)
    script.replies = [reply]
    script.play(job.start(call))
    script.replies = []
    results = script.play(job.finish(call))
    assert list(results.errors) == [7]
    (job,) = identification_jobs([Recording(7, b"")], {}, MediaOptions("mix"), keeps_errors=False)
    script.replies = [reply]
    script.play(job.start(call))
    script.replies = []
    with pytest.raises((InputError, ServiceError)):
        script.play(job.finish(call))


@pytest.mark.parametrize("work", [Recording(0, b""), VoiceprintList([0], ["aaaa"])])
def test_what_holds_for_every_request_ends_the_call_even_where_errors_are_kept(work: Piece) -> None:
    with pytest.raises(ForbiddenError):
        start(Script([refused(403, "request.forbidden")]), work)


def test_more_or_fewer_results_than_voiceprints_are_not_of_the_contract() -> None:
    for rows in ([], [ROW, ROW]):
        script = Script([ACCEPTED])
        (job,) = identification_jobs([VoiceprintList([0], ["aaaa"])], {}, MediaOptions("mix"), keeps_errors=True)
        script.play(job.start(script.call()))
        script.replies = [task("done", result={"voiceprints": rows})]
        with pytest.raises(UnexpectedAnswerError):
            script.play(job.finish(script.call()))


def test_an_extracted_voiceprint_that_is_none_is_not_of_the_contract() -> None:
    script = Script([ACCEPTED])
    (job,) = extraction_jobs([Recording(0, b"")], MediaOptions("mix"))
    script.play(job.start(script.call()))
    script.replies = [task("done", result={"channels": [{"channel_number": 0, "voiceprint": "e30="}]})]
    with pytest.raises(UnexpectedAnswerError):
        script.play(job.finish(script.call()))


def test_a_bad_request_of_voiceprints_is_no_error_of_an_item() -> None:
    with pytest.raises(InvalidRequestError):
        start(Script([refused(400, "request.invalid")]), VoiceprintList([0], ["aaaa"]))


def test_lists_end_at_the_number_and_at_the_bytes_that_the_service_takes_and_at_recordings() -> None:
    small, large, sound = b"{1}", b"{" + bytes(40), b"a sound"
    cut = list(pieces([small] * 4 + [large, large, sound, small], LIMITS))
    places = [piece.items if isinstance(piece, VoiceprintList) else piece.item for piece in cut]
    assert places == [[0, 1, 2], [3, 4], [5], 6, [7]]
    for piece in cut:
        if isinstance(piece, VoiceprintList):
            assert len(piece.body()) <= piece.body_bytes <= LIMITS.max_body_bytes


def test_a_recording_that_is_too_large_or_missing_is_not_begun(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(LIMITS.max_file_bytes + 1))
    refused_ones = list(recordings([large, bytes(LIMITS.max_file_bytes + 1), tmp_path / "none"], LIMITS))
    assert [type(piece.error) for piece in refused_ones] == [MediaTooLargeError] * 2 + [InputError]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("change", [lambda text: text[3:], lambda text: "/" + text[3:], lambda text: text[:200] + "?"])
def test_a_voiceprint_that_is_damaged_or_cut_is_not_told_back_where_it_is_taken_for_a_name(
    kind: type[str] | type[Path], change: Callable[[str], str]
) -> None:
    text = change(voiceprint_text())
    for (piece,) in (pieces([kind(text)], LIMITS), recordings([kind(text)], LIMITS)):
        assert isinstance(piece, Unreadable)
        assert "cannot be read" in str(piece.error) or "as bytes" in str(piece.error)
        assert text[21:] not in str(piece.error)
        assert len(str(piece.error)) < 100


def test_the_name_of_a_missing_file_is_told_however_long_its_folder_s_is(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("name" * 20)
    folder.mkdir(parents=True)
    for (piece,) in (pieces([folder / "man.wav"], LIMITS), recordings([str(folder / "man.wav")], LIMITS)):
        assert isinstance(piece, Unreadable)
        assert str(piece.error) == f"{folder / 'man.wav'} cannot be read: No such file or directory"


def test_a_name_that_no_file_can_have_is_an_error_of_its_item() -> None:
    for (piece,) in (pieces(["a\0b"], LIMITS), recordings(["a\0b"], LIMITS)):
        assert isinstance(piece, Unreadable)
        assert "cannot be read: embedded null byte" in str(piece.error)


def test_a_file_that_has_gone_when_it_is_sent_is_told_in_words(tmp_path: Path) -> None:
    request = Request("POST", "/", headers={"idempotency-key": "a-b"}, file=tmp_path / "none.wav")
    with (
        httpx.Client() as http,
        pytest.raises(InputError, match=r"none\.wav cannot be read"),
        prepared(http, "http://h", request, Call()),
    ):
        pass
    assert lost(httpx.ReadTimeout("")) == Lost("ReadTimeout")


def test_a_recording_s_bytes_are_the_same_each_time_it_is_sent_and_hold_no_file_name(tmp_path: Path) -> None:
    path = tmp_path / "jane-doe.wav"
    path.write_bytes(b"sound")
    bodies = []
    with httpx.Client() as http:
        for source in (path, path, b"sound"):
            request = Request("POST", "/", headers={"idempotency-key": "a-b"}, file=source)
            with prepared(http, "http://h", request, Call()) as ready:
                bodies.append(ready.read())
    assert bodies[0] == bodies[1] == bodies[2]
    assert b"sound" in bodies[0]
    assert b"jane" not in bodies[0]


def test_neither_keys_nor_voices_show_in_what_is_printed_of_the_parts() -> None:
    call = Call(headers={"authorization": "Bearer secret"})
    request = Request("POST", "/", headers=call.headers, body=b"secret", file=b"secret")
    work = VoiceprintList([0], ["secret"])
    jobs = identification_jobs([work, Recording(0, b"secret")], {}, MediaOptions("mix"), keeps_errors=True)
    session = Session("http://h", key="secret")
    assert "secret" not in repr((call, request, work, list(jobs), session))


def test_a_list_whose_task_is_gone_has_its_errors_in_the_order_of_the_items() -> None:
    refusal = {"location": ["body", "voiceprints", 1], "message": "Bad.", "type": "voiceprint.invalid"}
    script = Script([refused(422, "request.validation-error", refusal), ACCEPTED])
    (job,) = identification_jobs(
        [VoiceprintList([3, 4, 5], ["a", "b", "c"])], {}, MediaOptions("mix"), keeps_errors=True
    )
    script.play(job.start(script.call()))
    assert len(set(script.sent("idempotency-key"))) == 2  # what was left is another submission
    script.replies = [refused(404, "resource.not-found")]
    results = script.play(job.finish(script.call()))
    assert results.item.tolist() == [3, 4, 5]
    assert [type(results.errors[item]) for item in (3, 4, 5)] == [TaskGoneError, ValidationError, TaskGoneError]
