"""Promises of decoding what is broken, truncated or hostile: finite samples or an AudioError, never anything else."""

from __future__ import annotations

import io

import numpy as np
import pytest

from sounds import MEDIA_KINDS, SNDFILE_KINDS, encode, encode_media, mp4_index, tones
from voxgender.core.errors import AudioError, AudioFormatError, AudioLimitError, InputError
from voxgender.files.audio import AudioLimits, open_audio

RATE_HZ = 16_000
MUTANTS = 60


def decoded(source, **options):
    with open_audio(source, **options) as audio:
        return audio.read(), audio.damage


def mutant(data: bytes, random: np.random.Generator) -> bytes:
    """The bytes with one to four damages: flipped bits, zeroed, random, moved or removed ranges, a cut-off end."""
    broken = bytearray(data)
    for _ in range(random.integers(1, 5)):
        length = int(random.integers(1, 200))
        # Half of the damage is done to the header, where it does most.
        start = int(random.integers(0, min(200, len(broken)) if random.random() < 0.5 else len(broken)))
        match random.integers(0, 7):
            case 0 | 1:
                for position in random.integers(start, min(start + length, len(broken)), 4):
                    broken[position] ^= 1 << int(random.integers(0, 8))
            case 2:
                broken[start : start + length] = bytes(len(broken[start : start + length]))
            case 3:
                broken[start : start + 4] = random.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"])
            case 4:
                broken[start:start] = broken[(other := int(random.integers(0, len(broken)))) : other + length]
            case 5:
                del broken[start : start + length]
            case _:
                del broken[max(start, 12) :]
        if not broken:
            break
    return bytes(broken)


def assert_sound_or_input_error(data: bytes) -> bool:
    """Decode; return whether there was sound. Anything but finite float32 samples or an InputError fails."""
    try:
        with open_audio(data, limits=AudioLimits(max_seconds=60.0)) as audio:
            pieces = list(audio)
    except InputError:
        return False
    assert all(piece.dtype == np.float32 and piece.ndim == 2 for piece in pieces)
    assert all(np.isfinite(piece).all() for piece in pieces)
    assert not any(np.abs(piece).max() > 32.0 for piece in pieces)
    return bool(pieces)


class TestMutants:
    @pytest.mark.parametrize(("container", "codec"), SNDFILE_KINDS)
    def test_no_broken_file_of_a_libsndfile_format_does_worse_than_an_input_error(self, container, codec):
        random = np.random.default_rng(1)
        # In Ogg a checksum guards each page, so that only a file of several pages survives damage.
        data = encode(tones(3.0 if container == "OGG" else 1.0, RATE_HZ), RATE_HZ, container, codec)
        with_sound = [assert_sound_or_input_error(mutant(data, random)) for _ in range(MUTANTS)]
        assert any(with_sound)

    @pytest.mark.parametrize(("container", "codec"), MEDIA_KINDS)
    def test_no_broken_file_of_a_media_format_does_worse_than_an_input_error(self, container, codec, capfd):
        pytest.importorskip("av")
        random = np.random.default_rng(1)
        data = encode_media(tones(1.0, RATE_HZ), RATE_HZ, container, codec)
        with_sound = [assert_sound_or_input_error(mutant(data, random)) for _ in range(MUTANTS)]
        assert any(with_sound)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(("container", "codec"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "OPUS")])
    def test_a_header_cut_off_anywhere_does_no_worse_than_an_input_error(self, container, codec):
        data = encode(tones(0.2, RATE_HZ), RATE_HZ, container, codec)
        for length in range(1, 200):
            assert_sound_or_input_error(data[:length])


class TestCutOff:
    def test_a_flac_file_that_breaks_off_gives_what_came_before_and_says_so(self):
        sound = tones(10.0, RATE_HZ)
        data = encode(sound, RATE_HZ, "FLAC", "PCM_16")
        heard, damage = decoded(data[: len(data) // 2])
        assert damage == "the audio data is broken or cut off"
        assert heard.shape[1] > 4.0 * RATE_HZ
        np.testing.assert_allclose(heard[0], sound[: heard.shape[1], 0], atol=2**-15)

    def test_a_flac_file_that_breaks_off_loses_less_than_a_flac_block(self):
        data = encode(tones(10.0, RATE_HZ), RATE_HZ, "FLAC", "PCM_16")
        lengths = [decoded(data[: len(data) * part // 10])[0].shape[1] for part in range(2, 9)]
        assert all(length % 4_096 == 0 for length in lengths)
        # The decoder is asked for four of them at once; without care all of these would be lost.
        assert any(length % 16_384 for length in lengths)

    @pytest.mark.parametrize(
        ("container", "codec"),
        [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")],
    )
    def test_a_file_that_breaks_off_gives_what_came_before(self, container, codec):
        data = encode(tones(10.0, RATE_HZ), RATE_HZ, container, codec)
        whole, _ = decoded(data)
        heard, _ = decoded(data[: len(data) * 6 // 10])
        assert 3.0 * RATE_HZ < heard.shape[1] < 7.0 * RATE_HZ
        np.testing.assert_allclose(heard[0, : 2 * RATE_HZ], whole[0, : 2 * RATE_HZ], atol=1e-5)

    def test_a_media_file_with_damage_in_its_middle_gives_the_rest_and_says_so(self):
        pytest.importorskip("av")
        data = bytearray(encode_media(tones(10.0, RATE_HZ), RATE_HZ, "adts", "aac"))
        middle = len(data) // 2
        data[middle : middle + 2_000] = np.random.default_rng(3).bytes(2_000)
        heard, damage = decoded(bytes(data))
        assert damage == "parts that could not be decoded were left out"
        assert 9.0 * RATE_HZ < heard.shape[1] < 10.5 * RATE_HZ

    def test_an_undamaged_file_reports_no_damage(self):
        assert decoded(encode(tones(0.5, RATE_HZ), RATE_HZ, "FLAC", "PCM_16"))[1] is None

    def test_a_valid_file_without_samples_is_an_empty_stream(self):
        header = encode(np.zeros((0, 1)), RATE_HZ, "WAV", "PCM_16")
        heard, damage = decoded(header)
        assert (heard.shape, damage) == ((1, 0), None)
        with open_audio(header) as audio:
            assert list(audio) == []

    def test_a_file_whose_every_sample_is_lost_is_an_error(self):
        data = encode(tones(1.0, RATE_HZ), RATE_HZ, "FLAC", "PCM_16")
        with open_audio(data[:150]) as audio, pytest.raises(AudioError, match="cannot be decoded: the audio data is"):
            list(audio)

    def test_a_wav_that_declares_more_than_it_has_gives_what_it_has(self):
        data = bytearray(encode(tones(0.1, RATE_HZ), RATE_HZ, "WAV", "PCM_16"))
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
        assert decoded(bytes(data))[0].shape == (1, RATE_HZ // 10)


def surround(layout: str, codec: str) -> tuple[io.BytesIO, int]:
    """A file of a tenth of a second of silence in many channels, and their count."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        options = {"mapping_family": "255"} if codec == "libopus" else {}
        track = out.add_stream(codec, rate=48_000, layout=layout, options=options)
        track.codec_context.open()
        channels = track.codec_context.layout.nb_channels
        silence = np.zeros((1, track.codec_context.frame_size * channels), dtype=np.float32)
        for _ in range(5):
            frame = av.AudioFrame.from_ndarray(silence, format="flt", layout=layout)
            frame.rate = 48_000
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return file, channels


class TestMedia:
    @pytest.fixture(autouse=True)
    def _with_av(self):
        pytest.importorskip("av")

    def test_a_list_of_other_files_opens_none_of_them(self, tmp_path, monkeypatch):
        (tmp_path / "other.m4a").write_bytes(encode_media(tones(0.5, RATE_HZ), RATE_HZ, "ipod", "aac"))
        monkeypatch.chdir(tmp_path)
        for text in (
            "ffconcat version 1.0\nfile other.m4a\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.m4a\n#EXT-X-ENDLIST\n",
        ):
            with pytest.raises(AudioError, match="cannot be read"):
                open_audio(text.encode())

    def test_a_container_that_is_not_on_the_list_is_refused_though_ffmpeg_could_read_it(self):
        with pytest.raises(AudioError, match="cannot be read"):
            open_audio(encode_media(tones(0.5, RATE_HZ), RATE_HZ, "avi", "mp2"))

    @pytest.mark.parametrize("layout", ["5.1", "7.1"])
    def test_each_channel_of_surround_sound_is_read(self, layout):
        # PyAV's own to_ndarray crashes the process on planar frames of eight channels.
        file, channels = surround(layout, "aac")
        heard, damage = decoded(file, channels="split")
        assert heard.shape[0] == channels
        assert damage is None

    def test_more_channels_than_pyav_can_tell_apart_are_refused(self):
        file, _ = surround("hexadecagonal", "libopus")
        with open_audio(file) as audio, pytest.raises(AudioLimitError, match="16 channels; 1 to 8"):
            list(audio)

    def test_a_track_in_a_coding_that_is_not_read_is_a_format_error(self):
        # QDM2 is an old music coding of QuickTime files; FFmpeg has a decoder for it.
        with pytest.raises(AudioFormatError, match="in the coding 'qdm2'"):
            open_audio(mp4_index(sample_bytes=2, samples=100, coding=b"QDM2"))

    def test_a_file_without_an_audio_track_is_an_error_that_says_so(self):
        import av

        file = io.BytesIO()
        with av.open(file, "w", format="matroska") as out:
            track = out.add_stream("mpeg4", rate=25)
            track.width = track.height = 32
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
            for part in (frame, None):
                out.mux(track.encode(part))
        with pytest.raises(AudioError, match="no audio track"):
            open_audio(file)


class TestMp4Claims:
    """Their use of memory is checked in audio_memory.py."""

    @pytest.fixture(autouse=True)
    def _with_av(self):
        pytest.importorskip("av")

    def test_an_honest_index_is_believed(self):
        assert decoded(mp4_index(sample_bytes=2, samples=1_000, sample_ticks=1))[0].shape == (1, 1_000)

    @pytest.mark.parametrize(
        "claims",
        [
            {"sample_bytes": 1, "samples": 10**7, "coding": b"mp4a"},
            {"sample_bytes": 0, "samples": 100, "sample_ticks": 1, "chunks": 20, "samples_by_chunk": 2**31 - 1},
        ],
    )
    def test_an_index_that_claims_more_samples_than_the_file_has_bytes_is_refused(self, claims):
        with pytest.raises(AudioError, match="more samples than the file has bytes"):
            open_audio(mp4_index(**claims))

    def test_a_file_of_nothing_but_false_claims_is_refused(self):
        with pytest.raises(AudioError, match="more than the file can hold"):
            open_audio(b"\0\0\0\x08ftyp" + (b"stsz" + b"\xff" * 12) * 100)

    def test_a_picture_that_holds_the_name_of_a_table_by_chance_does_no_harm(self):
        picture = b"stsz" + b"\xff" * 40 + b"trun" + b"\xff" * 40 + b"cmov" + b"\xff" * 40
        data = mp4_index(sample_bytes=2, samples=1_000, sample_ticks=1, cover=picture)
        assert decoded(data)[0].shape == (1, 1_000)
