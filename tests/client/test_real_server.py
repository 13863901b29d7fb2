"""Both clients against a real server: what they tell is what the library tells, and refusals come in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import voxgender
from client.charges import licence_of
from recordings import recording, voice
from rest.test_keys import add_keys
from serving import ServerProcess, running_server, voiceprint_text
from voxgender.app.key import new_key
from voxgender.client import (
    AsyncClient,
    Client,
    ForbiddenError,
    MediaOptions,
    NotFoundError,
    Progress,
    Results,
    ServiceConnectionError,
    StorageCapacityError,
    TaskGoneError,
    TaskRejectedError,
    ValidationError,
)
from voxgender.core.base64 import decode_base64
from voxgender.core.errors import InputError, MediaTooLargeError, SettingsError
from voxgender.files.recording import write_voiceprint

Ask = Callable[..., Any]

VOICEPRINTS = [
    voxgender.decode_voiceprint(decode_base64(voiceprint_text(seed, speech_s=seed % 5))) for seed in range(25)
]
MAX_FILE_BYTES = 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that takes ten voiceprints at a time, with one process that hears recordings."""
    limits = {"max-voiceprints": 10, "max-file-bytes": MAX_FILE_BYTES}
    process = ServerProcess(tmp_path_factory.mktemp("server"), extractors=1, **limits)
    yield process.client
    process.stop()


def sync_ask(url: str) -> Ask:
    def ask(verb: str, *arguments: Any, **options: Any) -> Any:
        with Client(url) as client:
            return getattr(client, verb)(*arguments, **options)

    return ask


def async_ask(url: str) -> Ask:
    def ask(verb: str, *arguments: Any, **options: Any) -> Any:
        async def within() -> Any:
            async with AsyncClient(url) as client:
                return await getattr(client, verb)(*arguments, **options)

        return asyncio.run(within())

    return ask


@pytest.fixture(params=[sync_ask, async_ask], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest, server: httpx.Client) -> Ask:
    """Asks one of both clients: a method's name, and its arguments."""
    chosen: Callable[[str], Ask] = request.param
    return chosen(str(server.base_url))


@pytest.fixture
def client(server: httpx.Client) -> Iterator[Client]:
    with Client(str(server.base_url)) as client:
        yield client


def told(results: Results | voxgender.Results) -> list[Any]:
    return [result.as_dict() for result in results]


def test_voiceprints_are_split_to_what_the_server_takes_and_told_in_order_as_the_library_tells_them(ask: Ask) -> None:
    seen: list[Progress] = []
    results = ask("identify", VOICEPRINTS, progress=seen.append)
    assert told(results) == told(voxgender.identify(VOICEPRINTS))
    assert results.item.tolist() == list(range(25))
    assert len(results.tasks) == 3
    assert seen == [Progress(10, 25), Progress(20, 25), Progress(25, 25)]


def test_all_that_the_library_takes_scores_alike_and_keeps_its_place(ask: Ask, tmp_path: Path) -> None:
    sound = recording(voice("male"))
    voiceprint = voxgender.extract(sound)
    (tmp_path / "man.wav").write_bytes(sound)
    write_voiceprint(tmp_path / "man.vp", voiceprint)
    write_voiceprint(tmp_path / "text.vp", voiceprint, base64=True)
    paths = [tmp_path / "man.wav", tmp_path / "man.vp", str(tmp_path / "text.vp")]
    text = (tmp_path / "text.vp").read_bytes()
    sources = [*paths, voiceprint, text, (tmp_path / "man.vp").read_bytes(), sound, VOICEPRINTS[1]]
    results = ask("identify", iter(sources))
    assert told(results) == told(voxgender.identify(sources))
    assert results[0].gender == "male"
    assert told(ask("identify", str(tmp_path / "man.vp"))) == told(results)[:1]


def test_a_matrix_and_columns_score_as_they_do_in_the_library(ask: Ask) -> None:
    matrix = np.stack([voiceprint.vector for voiceprint in VOICEPRINTS])
    speech_s = np.arange(25, dtype=np.float32)
    results = ask("identify", matrix, speech_s=speech_s)
    assert told(results) == told(voxgender.identify(matrix, speech_s=speech_s))
    assert told(ask("identify", matrix, speech_s=speech_s.tolist())) == told(results)
    columns = voxgender.Voiceprints("ge2e-2", speech_s, matrix)
    assert told(ask("identify", columns)) == told(results)


def test_prior_and_smallest_probability_are_the_caller_s(ask: Ask) -> None:
    results = ask("identify", VOICEPRINTS, male_prior=0.9, min_probability=0.75)
    assert told(results) == told(voxgender.identify(VOICEPRINTS, decision=voxgender.Decision(0.9, 0.75)))
    assert told(results) != told(voxgender.identify(VOICEPRINTS))


def test_an_iterator_is_read_no_further_ahead_than_a_few_lists(ask: Ask) -> None:
    read = 0

    def endless() -> Iterator[voxgender.Voiceprint]:
        nonlocal read
        for read in range(1, 201):
            yield VOICEPRINTS[read % 25]

    ahead: list[int] = []
    results = ask("identify", endless(), progress=lambda progress: ahead.append(read - progress.done))
    assert len(results) == 200
    # Four tasks of ten are under way, and of the next list one more has been read than it holds.
    assert max(ahead) <= 4 * 10 + 1


def test_parts_come_in_order_while_the_rest_is_not_read_yet(client: Client) -> None:
    parts = client.stream(cycle(VOICEPRINTS))
    assert [next(parts).item.tolist() for _ in range(3)] == [list(range(10 * n, 10 * n + 10)) for n in range(3)]


def test_several_threads_may_use_one_client(client: Client) -> None:
    lists = [VOICEPRINTS[first:] for first in range(8)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(client.identify, lists))
    assert [told(results) for results in together] == [told(voxgender.identify(one)) for one in lists]


def test_an_empty_list_has_no_results(ask: Ask) -> None:
    assert len(ask("identify", [])) == 0


def test_channels_are_told_apart_where_that_is_asked_for(ask: Ask) -> None:
    both = recording(voice("male"), voice("female"))
    results = ask("identify", [VOICEPRINTS[0], both], media=MediaOptions("split"))
    assert (results.item.tolist(), results.channel.tolist()) == ([0, 1, 1], [0, 0, 1])
    assert results.gender[1:] == ["male", "female"]
    only = ask("identify", both, media=MediaOptions("split", (1,), range_from_s=0.5, range_to_s=3.5, max_speech_s=2))
    assert (only.channel.tolist(), only.gender) == ([1], ["female"])
    assert only[0].speech_s <= 2


def test_extracted_voiceprints_are_those_of_the_library(ask: Ask, tmp_path: Path) -> None:
    sounds = [recording(voice(gender), form="FLAC") for gender in ("male", "female")]
    path = tmp_path / "man.flac"
    path.write_bytes(sounds[0])
    seen: list[Progress] = []
    voiceprints = ask("extract", [path, sounds[1]], progress=seen.append)
    assert seen[-1] == Progress(2, 2)
    for voiceprint, sound in zip(voiceprints, sounds, strict=True):
        expected = voxgender.extract(sound)
        assert (voiceprint.model, voiceprint.speech_s) == (expected.model, expected.speech_s)
        assert voiceprint.vector.tolist() == expected.vector.tolist()
    split = ask("extract", recording(voice("male"), voice("female")), media=MediaOptions("split"))
    assert [voxgender.identify(one)[0].gender for one in split] == ["male", "female"]


def test_bad_voiceprints_are_named_by_their_places_in_the_caller_s_list(ask: Ask) -> None:
    other = voiceprint_text(model="other-1").encode()
    sources = [*VOICEPRINTS[:13], other, VOICEPRINTS[13], b"{nonsense"]
    with pytest.raises(ValidationError, match=r"item 13.*other-1") as refused:
        ask("identify", sources, correlation_id="mine")
    error = refused.value
    assert list(error.items) == [13, 15]
    assert error.details[0].location == ("body", "voiceprints", 13)
    assert (error.status, error.type, error.code) == (422, "request.validation-error", "voiceprint.model-mismatch")
    assert (error.correlation_id, len(error.request_id)) == ("mine", 36)


def test_bad_items_are_kept_as_errors_where_that_is_asked_for_and_the_rest_is_told(ask: Ask, tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    bad = {3: b"{nonsense", 5: b"no audio", 6: missing, 14: voiceprint_text(model="other-1").encode()}
    bad[8] = bytes(MAX_FILE_BYTES + 1)
    good = iter(VOICEPRINTS)
    sources = [bad.get(place) or next(good) for place in range(20)]
    seen: list[Progress] = []
    results = ask("identify", sources, on_error="keep", progress=seen.append)
    assert sorted(results.errors) == sorted(bad)
    assert results.item.tolist() == list(range(20))
    kept = [result.as_dict() for place, result in enumerate(results) if place not in bad]
    assert kept == told(voxgender.identify(VOICEPRINTS[:15]))
    assert {results[place].gender for place in bad} == {"unknown"}
    assert isinstance(results.errors[5], TaskRejectedError)
    for place, code in ((3, "voiceprint.invalid"), (14, "voiceprint.model-mismatch")):
        error = results.errors[place]
        assert isinstance(error, ValidationError)
        assert (error.code, list(error.items), len(error.details)) == (code, [place], 1)
        assert error.correlation_id in str(error)
    assert isinstance(results.errors[8], MediaTooLargeError)
    assert str(missing) in str(results.errors[6])
    assert seen[-1] == Progress(20, 20, 5)


def test_more_bad_voiceprints_than_a_server_tells_of_at_once_are_all_kept(tmp_path: Path) -> None:
    with running_server(tmp_path) as http, Client(str(http.base_url)) as client:
        results = client.identify([VOICEPRINTS[0], *[b"{"] * 250, VOICEPRINTS[1]], on_error="keep")
    assert sorted(results.errors) == list(range(1, 251))
    assert told([results[0], results[-1]]) == told(voxgender.identify(VOICEPRINTS[:2]))  # type: ignore[arg-type]


def test_a_file_that_is_no_audio_is_rejected_in_words(ask: Ask) -> None:
    with pytest.raises(TaskRejectedError, match=r"the task was rejected.*correlation id mine") as rejected:
        ask("identify", [VOICEPRINTS[0], b"dear reader"], correlation_id="mine")
    assert rejected.value.code.startswith("media.")
    with pytest.raises(TaskRejectedError):
        ask("extract", b"dear reader")


def test_what_cannot_be_read_ends_a_call_before_anything_of_it_is_sent(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.wav cannot be read: No such file"):
        ask("identify", tmp_path / "missing.wav")
    with pytest.raises(InputError, match=r"missing\.wav cannot be read: No such file"):
        ask("extract", tmp_path / "missing.wav")
    with pytest.raises(MediaTooLargeError):
        ask("extract", bytes(MAX_FILE_BYTES + 1))


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(bytes(99_999)), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_file_that_changes_while_it_is_sent_is_an_error_of_its_item(
    server: httpx.Client, tmp_path: Path, is_async: bool, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "growing.wav"
    path.write_bytes(bytes(9_999))

    def before(request: httpx.Request) -> None:
        if "multipart" in request.headers.get("content-type", ""):
            change(path)

    async def before_async(request: httpx.Request) -> None:
        before(request)

    async def within() -> Results:
        async with httpx.AsyncClient(event_hooks={"request": [before_async]}) as http:
            return await AsyncClient(str(server.base_url), http=http).identify(sources, on_error="keep")

    sources = [VOICEPRINTS[0], path, VOICEPRINTS[1]]
    if is_async:
        results = asyncio.run(within())
    else:
        with httpx.Client(event_hooks={"request": [before]}) as http:
            results = Client(str(server.base_url), http=http).identify(sources, on_error="keep")
    assert [str(error) for error in results.errors.values()] == [f"{path} has changed while it was sent"]
    assert isinstance(results.errors[1], InputError)
    assert told([results[0], results[2]]) == told(voxgender.identify(VOICEPRINTS[:2]))  # type: ignore[arg-type]


def test_a_voiceprint_in_a_str_is_refused_without_telling_it_back(ask: Ask) -> None:
    text = voiceprint_text()
    with pytest.raises(InputError, match=r"text\.encode\(\)") as refused:
        ask("identify", [text])
    assert text[:20] not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"male_prior": 1.0}, "male_prior is 1.0"),
        ({"min_probability": 0.2}, "min_probability is 0.2"),
        ({"on_error": "skip"}, "choose 'raise' or 'keep'"),
        ({"correlation_id": "a\nb"}, "correlation id"),
        ({"timeout_s": float("nan")}, "timeout_s is not a number"),
    ],
)
def test_an_option_that_cannot_be_is_told_in_words(ask: Ask, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ask("identify", VOICEPRINTS, **options)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("identify", VOICEPRINTS), "min_probabilty"),
        (("extract", b"sound"), "male_prior"),
        (("info",), "progress"),
        (("delete", "/none"), "media"),
    ],
)
def test_an_option_that_there_is_not_is_refused(ask: Ask, arguments: tuple[Any, ...], option: str) -> None:
    with pytest.raises(TypeError, match=f"there is no option {option}; there are correlation_id, "):
        ask(*arguments, **{option: 0.9})


@pytest.mark.parametrize(
    ("matrix", "options", "words"),
    [
        (np.zeros(286), {}, "two dimensions"),
        (np.zeros((2, 286)), {"speech_s": np.zeros(3)}, "speech_s must have the shape"),
        (VOICEPRINTS, {"speech_s": np.zeros(25)}, "of a matrix alone"),
        (np.full((2, 286), np.nan), {}, "not finite"),
    ],
)
def test_a_matrix_that_does_not_fit_is_refused_in_words(
    client: Client, matrix: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        client.identify(matrix, **options)


def test_every_request_of_a_call_has_its_correlation_id_and_an_id_of_its_own(server: httpx.Client) -> None:
    seen: list[httpx.Request] = []
    with httpx.Client(event_hooks={"request": [seen.append]}) as http:
        Client(str(server.base_url), key="secret", http=http).identify(VOICEPRINTS)
        assert not http.is_closed
    assert len(seen) == 1 + 2 * 3
    assert len({request.headers["x-correlation-id"] for request in seen}) == 1
    assert len({request.headers["x-request-id"] for request in seen}) == len(seen)
    assert {request.headers["authorization"] for request in seen} == {"Bearer secret"}
    keys = [request.headers.get("idempotency-key") for request in seen if request.method == "POST"]
    assert len(set(keys)) == 3


def test_a_deleted_task_is_gone_and_may_be_deleted_again(server: httpx.Client, ask: Ask) -> None:
    (task,) = ask("identify", VOICEPRINTS[0]).tasks
    assert server.get(task).status_code == 200
    for _ in range(2):
        ask("delete", task)
        assert server.get(task).status_code == 404
    with pytest.raises(SettingsError, match=r"Results\.tasks"):
        ask("delete", "/api/system/info")


def test_what_was_extracted_does_not_stay_at_the_service_nor_results_that_are_to_be_forgotten(
    server: httpx.Client,
) -> None:
    tasks: list[str] = []

    def after(response: httpx.Response) -> None:
        tasks.extend([response.headers["location"]] if response.status_code == 202 else [])

    sound = recording(voice("male"))
    with httpx.Client(event_hooks={"response": [after]}) as http:
        client = Client(str(server.base_url), http=http)
        assert len(client.extract([sound, sound])) == 2
        results = client.identify([VOICEPRINTS[0], sound], forget=True)
    assert results.gender[1] == "male"
    assert len(tasks) == 4
    assert [server.get(task).status_code for task in tasks] == [404] * 4


def test_info_tells_models_limits_and_defaults(ask: Ask) -> None:
    info = ask("info")
    assert (info.name, info.models, info.limits.max_voiceprints) == ("voxgender", ("ge2e-2",), 10)
    assert info.defaults == {"male_prior": 0.5, "min_probability": 0.5}


def test_a_result_that_has_expired_is_told_as_gone_and_is_not_submitted_again(tmp_path: Path) -> None:
    posts: list[httpx.Request] = []

    def after(response: httpx.Response) -> None:
        if response.request.method == "POST":
            posts.append(response.request)
            http.delete(f"{url}{response.headers['location']}")

    with running_server(tmp_path) as server, httpx.Client(event_hooks={"response": [after]}) as http:
        url = str(server.base_url).rstrip("/")
        with pytest.raises(TaskGoneError, match="not submitted again") as gone:
            Client(url, http=http).identify(VOICEPRINTS)
        assert (gone.value.status, gone.value.code, len(posts)) == (404, "task.gone", 1)
        kept = Client(url, http=http).identify(VOICEPRINTS, on_error="keep")
        assert {type(error) for error in kept.errors.values()} == {TaskGoneError}


def test_a_licence_that_is_used_up_is_forbidden_with_its_code(tmp_path: Path) -> None:
    licence = licence_of(tmp_path, 10)
    with running_server(tmp_path, licence_file=licence) as server, Client(str(server.base_url)) as client:
        with pytest.raises(ForbiddenError, match="Licensed processing capacity exceeded") as refused:
            client.identify(VOICEPRINTS)
        assert (refused.value.status, refused.value.code) == (403, "licensing.capacity-exceeded")
        assert len(client.identify(VOICEPRINTS[:10])) == 10


def test_where_keys_are_demanded_the_client_shows_its_own(tmp_path: Path) -> None:
    key, text = new_key("mine", 0.0)
    add_keys(tmp_path, key)
    with running_server(tmp_path, keys="on") as server:
        with Client(str(server.base_url), key=text) as client:
            assert len(client.identify(VOICEPRINTS)) == 25
        for wrong, code in ((None, "key.missing"), ("vox_nobody", "key.unknown")):
            with Client(str(server.base_url), key=wrong) as client, pytest.raises(ForbiddenError) as refused:
                client.identify(VOICEPRINTS)
            assert (refused.value.code, refused.value.details[0].location) == (code, ("header", "authorization"))


def test_a_full_store_is_waited_for_and_then_told(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, storage_capacity_bytes=1) as server,
        Client(str(server.base_url), retry_s=0.3) as client,
        pytest.raises(StorageCapacityError) as full,
    ):
        client.identify(VOICEPRINTS)
    assert (full.value.status, full.value.code) == (507, "storage.capacity-exceeded")


def test_a_rate_limit_is_kept_to_by_waiting_as_long_as_the_server_says(tmp_path: Path) -> None:
    statuses: list[int] = []
    http = httpx.Client(event_hooks={"response": [lambda response: statuses.append(response.status_code)]})
    with running_server(tmp_path, rate_limit="2 per 1 second", max_voiceprints=5) as server, http:
        results = Client(str(server.base_url), http=http).identify(VOICEPRINTS)
    assert told(results) == told(voxgender.identify(VOICEPRINTS))
    assert 429 in statuses


def test_where_nobody_listens_the_call_ends_in_words() -> None:
    with Client("http://127.0.0.1:9", retry_s=0.3) as client, pytest.raises(ServiceConnectionError) as refused:
        client.identify(VOICEPRINTS)
    assert (refused.value.status, refused.value.code) == (0, "service.unreachable")
    assert refused.value.correlation_id in str(refused.value)


def test_a_path_below_which_there_is_no_service_is_not_found(server: httpx.Client) -> None:
    with Client(f"{server.base_url}/docs") as client, pytest.raises(NotFoundError):
        client.info()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://h:x"])
def test_a_url_that_is_none_is_refused_in_words(url: str) -> None:
    with pytest.raises(SettingsError, match="looks like http://"):
        Client(url)


@pytest.mark.parametrize(
    "url", ["http://me:secret@h", "http://secret@h", "h:secret@h", "http://h/?key=secret", "http://h#secret"]
)
def test_a_url_with_more_than_an_address_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(SettingsError, match="leave it out") as refused:
        Client(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["", "a\nb", " a", "ä"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(SettingsError, match="the key must be printable ASCII"):
        Client(key=key)


@pytest.mark.parametrize("option", [{"retry_s": -1}, {"parallel": 0}, {"retry_s": float("nan")}])
def test_patience_that_cannot_be_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="0 and 1 at least"):
        Client(**option)
