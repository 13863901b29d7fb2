"""Promises of decoding: any format, the same samples however they are asked for, and nothing beyond the limits."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from sounds import MEDIA_KINDS, SNDFILE_KINDS, encode, encode_media, tones
from voxgender.core.errors import AudioError, AudioFormatError, AudioLimitError
from voxgender.files.audio import AudioInfo, AudioLimits, open_audio
from voxgender.files.byte_source import ByteSource

RATE_HZ = 16_000


def decoded(source, **options):
    with open_audio(source, **options) as audio:
        return audio.read()


def signal_to_error_db(signal, heard):
    """How far a decoded sound is from the original, at the delay at which they fit best."""
    spectrum = np.fft.rfft(heard, 2 * RATE_HZ + len(heard)) * np.fft.rfft(signal, 2 * RATE_HZ + len(heard)).conj()
    delay = int(np.argmax(np.fft.irfft(spectrum)[: RATE_HZ // 2]))
    both = min(len(signal), len(heard) - delay)
    middle = slice(both // 10, both * 9 // 10)
    error = heard[delay : delay + both][middle] - signal[:both][middle]
    return 10 * np.log10(np.mean(np.square(signal[:both][middle])) / (np.mean(np.square(error)) + 1e-12))


class TestFormats:
    @pytest.mark.parametrize(("container", "codec"), SNDFILE_KINDS)
    def test_a_file_of_every_libsndfile_format_sounds_as_it_was_written(self, container, codec):
        sound = tones(1.0, RATE_HZ)
        heard = decoded(encode(sound, RATE_HZ, container, codec))
        assert heard.dtype == np.float32
        assert heard.shape[0] == 1
        assert abs(heard.shape[1] - RATE_HZ) < 1_000
        assert signal_to_error_db(sound[:, 0], heard[0]) > (12 if codec == "OPUS" else 20)

    @pytest.mark.parametrize(("container", "codec"), MEDIA_KINDS)
    def test_a_file_of_every_media_format_sounds_as_it_was_written(self, container, codec):
        pytest.importorskip("av")
        sound = tones(1.0, RATE_HZ)
        heard = decoded(encode_media(sound, RATE_HZ, container, codec))
        assert heard.dtype == np.float32
        assert heard.shape[0] == 1
        assert abs(heard.shape[1] - RATE_HZ) < 2_500
        assert signal_to_error_db(sound[:, 0], heard[0]) > (8 if "amr" in codec else 12)

    def test_pcm_16_comes_out_exactly_with_full_scale_at_1(self):
        frames = np.array([[0], [1], [-1], [16_384], [32_767], [-32_768]], dtype=np.int16)
        for container in ("WAV", "FLAC", "AIFF"):
            heard = decoded(encode(frames, RATE_HZ, container, "PCM_16"))
            np.testing.assert_array_equal(heard[0], frames[:, 0] / np.float32(32_768))

    @pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
    def test_ffmpegs_sample_formats_come_out_with_full_scale_at_1(self, codec):
        pytest.importorskip("av")
        sound = tones(0.1, RATE_HZ)
        heard = decoded(encode_media(sound, RATE_HZ, "matroska", codec))
        np.testing.assert_allclose(heard[0], sound[:, 0], atol=2**-7 if codec == "pcm_u8" else 2**-14)

    def test_a_stream_tells_what_the_file_says_of_itself(self):
        with open_audio(encode(tones(0.1, 22_050, 2), 22_050, "FLAC", "PCM_16")) as audio:
            assert audio.info == AudioInfo(22_050, 2, "FLAC", "PCM_16")
            assert audio.sample_rate_hz == RATE_HZ

    def test_a_flac_stream_of_unknown_length_is_read_to_its_end(self):
        data = bytearray(encode(tones(1.0, RATE_HZ), RATE_HZ, "FLAC", "PCM_16"))
        data[21] &= 0xF0  # STREAMINFO: the 36 bits of the total are 0 where the writer could not seek back
        data[22:26] = bytes(4)
        assert decoded(bytes(data)).shape == (1, RATE_HZ)

    def test_human_speech_is_as_long_as_its_list_says(self, speech_dir):
        with (speech_dir / "manifest.csv").open(newline="") as manifest:
            clips = list(csv.DictReader(manifest))[::60]
        for clip in clips:
            with open_audio(speech_dir / clip["path"]) as audio:
                seconds = audio.read().shape[1] / RATE_HZ
                assert audio.damage is None
            assert abs(seconds - float(clip["duration_s"])) < 0.1


class TestRates:
    @pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 384_000])
    def test_a_tone_keeps_its_pitch_level_and_length_at_any_rate(self, rate_hz):
        def tone(at_hz):
            return 0.5 * np.sin(2 * np.pi * 440 * np.arange(at_hz) / at_hz)[:, None]

        heard = decoded(encode(tone(rate_hz), rate_hz, "WAV", "FLOAT"))[0]
        assert len(heard) == RATE_HZ
        np.testing.assert_allclose(heard[500:-500], tone(RATE_HZ)[500:-500, 0], atol=1e-4)

    def test_the_caller_chooses_the_rate(self):
        assert decoded(encode(tones(1.0, RATE_HZ), RATE_HZ, "WAV", "PCM_16"), sample_rate_hz=8_000).shape == (1, 8_000)

    def test_resampling_in_pieces_equals_resampling_at_once(self):
        sound = tones(3.0, 44_100)
        heard = decoded(encode(sound, 44_100, "WAV", "FLOAT"))
        np.testing.assert_array_equal(heard[0], soxr.resample(sound[:, 0], 44_100, RATE_HZ, quality="HQ"))


class TestChannels:
    def test_a_mix_is_the_mean_of_the_channels(self):
        sound = tones(0.5, RATE_HZ, 3)
        heard = decoded(encode(sound, RATE_HZ, "WAV", "FLOAT"))
        np.testing.assert_allclose(heard[0], sound.mean(axis=1), atol=1e-6)

    def test_split_channels_each_have_their_row(self):
        sound = tones(0.5, RATE_HZ, 3)
        heard = decoded(encode(sound, RATE_HZ, "WAV", "FLOAT"), channels="split")
        np.testing.assert_array_equal(heard, sound.T)

    def test_split_channels_are_resampled_as_each_would_be_alone(self):
        sound = tones(0.5, 44_100, 2)
        heard = decoded(encode(sound, 44_100, "WAV", "FLOAT"), channels="split")
        for row, channel in zip(heard, sound.T, strict=True):
            np.testing.assert_allclose(row, soxr.resample(channel, 44_100, RATE_HZ, quality="HQ"), atol=1e-6)

    def test_an_unknown_way_to_treat_channels_is_a_mistake_of_the_caller(self):
        with pytest.raises(ValueError, match="'mix' or 'split'"):
            open_audio(b"RIFF", channels="left")


class TestPieces:
    @pytest.mark.parametrize(
        ("container", "codec", "rate_hz"),
        [
            ("WAV", "PCM_16", 44_100),
            ("WAV", "MS_ADPCM", 22_050),
            ("FLAC", "PCM_16", 48_000),
            ("MP3", "MPEG_LAYER_III", 44_100),
            ("MP3", "MPEG_LAYER_III", 16_000),
            ("OGG", "VORBIS", 44_100),
            ("OGG", "OPUS", 48_000),
        ],
    )
    def test_the_samples_do_not_depend_on_the_size_of_the_pieces(self, container, codec, rate_hz):
        data = encode(tones(5.0, rate_hz, 2), rate_hz, container, codec)
        whole = decoded(data, channels="split", piece_s=30.0)
        for piece_s in (0.01, 1.0):
            np.testing.assert_array_equal(decoded(data, channels="split", piece_s=piece_s), whole)

    @pytest.mark.parametrize("kind", [("ipod", "aac"), ("webm", "libopus")])
    def test_the_samples_of_media_do_not_depend_on_the_size_of_the_pieces(self, kind):
        pytest.importorskip("av")
        data = encode_media(tones(3.0, RATE_HZ), RATE_HZ, *kind)
        np.testing.assert_array_equal(decoded(data, piece_s=0.1), decoded(data, piece_s=30.0))

    def test_an_mp3_read_in_blocks_equals_one_read_at_once(self):
        # soundfile by itself seeks after each block, which costs MP3 its bit reservoir: errors of up to 0.18.
        data = encode(tones(10.0, RATE_HZ), RATE_HZ, "MP3", "MPEG_LAYER_III")
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            np.testing.assert_array_equal(decoded(data)[0], file.read(dtype="float32"))

    def test_all_pieces_but_the_last_have_the_length_that_was_asked_for(self):
        data = encode(tones(2.6, 44_100, 2), 44_100, "WAV", "PCM_16")
        with open_audio(data, channels="split", piece_s=0.5) as audio:
            pieces = list(audio)
        assert [piece.shape for piece in pieces] == [(2, 8_000)] * 5 + [(2, 1_600)]
        assert {piece.dtype for piece in pieces} == {np.dtype(np.float32)}

    def test_pieces_that_were_handed_out_stay_as_they_are(self):
        data = encode(tones(2.0, RATE_HZ), RATE_HZ, "WAV", "FLOAT")
        with open_audio(data, piece_s=0.25) as audio:
            pieces = list(audio)
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1)[0], tones(2.0, RATE_HZ)[:, 0])

    @given(frames=st.lists(st.integers(-(2**15), 2**15 - 1), max_size=300), piece_samples=st.integers(1, 400))
    def test_no_sample_is_lost_or_doubled_where_pieces_meet(self, frames, piece_samples):
        samples = np.array(frames, dtype=np.int16)[:, None]
        heard = decoded(encode(samples, RATE_HZ, "WAV", "PCM_16"), piece_s=piece_samples / RATE_HZ)
        np.testing.assert_array_equal(heard[0], samples[:, 0] / np.float32(32_768))

    def test_a_piece_without_length_is_a_mistake_of_the_caller(self):
        with pytest.raises(ValueError, match="above 0"):
            open_audio(b"RIFF", piece_s=0.0)


class TestValues:
    @pytest.mark.parametrize("codec", ["FLOAT", "DOUBLE"])
    def test_nan_and_infinity_in_float_files_become_silence_and_leave_the_rest_alone(self, codec):
        sound = tones(0.5, RATE_HZ).astype(np.float64)
        bad = np.array([100, 3_000, 5_000])
        sound[bad, 0] = [np.nan, np.inf, -np.inf]
        heard = decoded(encode(sound, RATE_HZ, "WAV", codec))[0]
        expected = sound[:, 0].copy()
        expected[bad] = 0.0
        np.testing.assert_allclose(heard, expected, atol=1e-7)

    def test_values_far_beyond_full_scale_are_cut_and_do_not_drown_what_follows(self):
        sound = tones(1.0, 44_100)
        sound[10_000, 0] = 1e30
        heard = decoded(encode(sound, 44_100, "WAV", "FLOAT"))[0]
        clean = decoded(encode(tones(1.0, 44_100), 44_100, "WAV", "FLOAT"))[0]
        assert np.abs(heard).max() < 6.0
        np.testing.assert_allclose(heard[4_500:], clean[4_500:], atol=1e-3)

    def test_values_a_little_beyond_full_scale_are_kept(self):
        sound = np.full((100, 1), 1.5, dtype=np.float32)
        np.testing.assert_array_equal(decoded(encode(sound, RATE_HZ, "WAV", "FLOAT"))[0], 1.5)

    def test_a_quiet_file_is_not_made_louder(self):
        sound = tones(0.5, RATE_HZ) * np.float32(0.01)
        np.testing.assert_array_equal(decoded(encode(sound, RATE_HZ, "WAV", "FLOAT"))[0], sound[:, 0])


class TestSources:
    def test_a_path_bytes_and_an_open_file_give_the_same(self, tmp_path):
        data = encode(tones(0.5, RATE_HZ), RATE_HZ, "WAV", "PCM_16")
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        whole = decoded(data)
        np.testing.assert_array_equal(decoded(path), whole)
        np.testing.assert_array_equal(decoded(str(path)), whole)
        with path.open("rb") as file:
            file.seek(99)  # an open file is read from its beginning, wherever it stands
            np.testing.assert_array_equal(decoded(file), whole)
            assert not file.closed

    @pytest.mark.parametrize("name", ["sound.mp3", "sound.vox", "sound.raw", "sound.txt", "sound"])
    def test_a_files_name_means_nothing(self, tmp_path, name):
        path = tmp_path / name
        path.write_bytes(encode(tones(0.5, RATE_HZ), RATE_HZ, "WAV", "PCM_16"))
        assert decoded(path).shape == (1, RATE_HZ // 2)

    @pytest.mark.parametrize("name", ["text.wav", "text.vox", "text.mp3", "text.m3u8"])
    def test_a_text_is_no_audio_whatever_its_name(self, tmp_path, name):
        path = tmp_path / name
        path.write_text("This is no sound at all.\n" * 100)
        with pytest.raises(AudioError, match=r"cannot be read|is not WAV"):
            open_audio(path)

    def test_raw_samples_without_a_header_are_not_guessed_at(self):
        raw = (tones(1.0, RATE_HZ) * 32_767).astype("<i2").tobytes()
        with pytest.raises(AudioError, match=r"cannot be read|is not WAV"):
            open_audio(raw)

    def test_an_empty_file_is_named_as_such(self):
        with pytest.raises(AudioError, match=r"empty \(0 bytes\)"):
            open_audio(b"")

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(AudioError, match=r"nothing\.wav' cannot be opened: No such file"):
            open_audio(tmp_path / "nothing.wav")

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(AudioError, match="not a regular file"):
            open_audio(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
    def test_a_pipe_is_refused_instead_of_waited_for(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with pytest.raises(AudioError, match="not a regular file"):
            open_audio(pipe)

    def test_a_path_that_no_system_can_hold_is_an_audio_error(self):
        with pytest.raises(AudioError, match="cannot be opened"):
            open_audio("a\0b")

    def test_a_file_that_cannot_be_sought_in_is_an_audio_error_with_a_remedy(self):
        reading, writing = os.pipe()
        os.close(writing)
        with open(reading, "rb") as file, pytest.raises(AudioError, match="hand in its bytes"):  # noqa: PTH123
            open_audio(file)

    @pytest.mark.parametrize("source", [io.StringIO("text"), 3, None])
    def test_what_is_no_source_of_bytes_is_a_mistake_of_the_caller(self, source):
        with pytest.raises(TypeError, match="audio must be"):
            open_audio(source)

    @pytest.mark.parametrize("kind", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
    def test_a_disk_that_fails_is_an_audio_error_and_prints_nothing(self, kind, capfd):
        file = FailingFile(encode(tones(20.0, RATE_HZ), RATE_HZ, *kind), OSError(5, "Input/output error"))
        with open_audio(file) as audio:
            file.failing = True
            with pytest.raises(AudioError, match="Input/output error"):
                list(audio)
        assert capfd.readouterr() == ("", "")

    def test_an_interrupt_while_reading_is_not_swallowed(self, capfd):
        file = FailingFile(encode(tones(20.0, RATE_HZ), RATE_HZ, "WAV", "PCM_16"), KeyboardInterrupt())
        with open_audio(file) as audio:
            file.failing = True
            with pytest.raises(KeyboardInterrupt):
                list(audio)
        assert capfd.readouterr() == ("", "")

    def test_a_closed_stream_gives_nothing_more(self):
        with open_audio(encode(tones(1.0, RATE_HZ), RATE_HZ, "WAV", "PCM_16"), piece_s=0.1) as audio:
            next(iter(audio))
        audio.close()
        assert list(audio) == []

    @given(
        data=st.binary(min_size=1, max_size=60),
        moves=st.lists(st.tuples(st.integers(-70, 70), st.sampled_from([0, 1, 2]), st.integers(-1, 70)), max_size=20),
    )
    def test_a_byte_source_reads_like_a_file(self, data, moves):
        source, file = ByteSource(data), io.BytesIO(data)
        for offset, whence, count in moves:
            if [0, file.tell(), len(data)][whence] + offset >= 0:
                assert source.seek(offset, whence) == file.seek(offset, whence)
            else:
                assert source.seek(offset, whence) == -1
            assert source.read(count) == file.read(count)
            assert source.tell() == file.tell()


class FailingFile(io.BytesIO):
    """A file whose disk fails once it is told to."""

    failing = False

    def __init__(self, data, error):
        super().__init__(data)
        self.error = error

    def read(self, count=-1, /):
        if self.failing:
            raise self.error
        return super().read(count)


class TestLimits:
    @pytest.mark.parametrize("rate_hz", [3_999, 384_001])
    def test_an_impossible_sample_rate_is_refused(self, rate_hz):
        with pytest.raises(AudioLimitError, match=f"{rate_hz} Hz; 4000 to 384000 Hz"):
            open_audio(encode(np.zeros((10, 1)), rate_hz, "WAV", "PCM_16"))

    def test_more_channels_than_allowed_are_refused(self):
        assert decoded(encode(np.zeros((10, 64)), RATE_HZ, "WAV", "PCM_16")).shape == (1, 10)
        with pytest.raises(AudioLimitError, match="65 channels; 1 to 64"):
            open_audio(encode(np.zeros((10, 65)), RATE_HZ, "WAV", "PCM_16"))

    def test_a_header_that_claims_too_much_is_refused_before_decoding(self):
        data = encode(tones(2.0, RATE_HZ), RATE_HZ, "FLAC", "PCM_16")
        with pytest.raises(AudioLimitError, match=r"longer than 1\.5 s"):
            open_audio(data, limits=AudioLimits(max_seconds=1.5))

    def test_audio_as_long_as_the_limit_is_read(self):
        data = encode(tones(2.0, RATE_HZ), RATE_HZ, "FLAC", "PCM_16")
        assert decoded(data, limits=AudioLimits(max_seconds=2.0)).shape == (1, 2 * RATE_HZ)

    def test_a_header_that_says_nothing_or_too_little_does_not_get_around_the_limit(self):
        data = bytearray(encode(np.zeros((60 * RATE_HZ, 1)), RATE_HZ, "FLAC", "PCM_16"))
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        with open_audio(bytes(data), limits=AudioLimits(max_seconds=10.0), piece_s=1.0) as audio:
            heard = iter(audio)
            pieces = [next(heard) for _ in range(9)]
            with pytest.raises(AudioLimitError, match="longer than 10 s"):
                list(heard)
        assert len(pieces) == 9

    def test_media_are_counted_while_decoding(self):
        pytest.importorskip("av")
        data = encode_media(tones(3.0, RATE_HZ), RATE_HZ, "ipod", "aac")
        with open_audio(data, limits=AudioLimits(max_seconds=1.0)) as audio, pytest.raises(AudioLimitError):
            list(audio)

    def test_the_limits_are_kept_by_media_too(self):
        pytest.importorskip("av")
        data = encode_media(tones(0.5, RATE_HZ), RATE_HZ, "matroska", "flac")
        with pytest.raises(AudioLimitError, match="16000 Hz; 44100"):
            open_audio(data, limits=AudioLimits(min_sample_rate_hz=44_100))

    def test_memory_stays_flat_over_an_hour_and_lying_headers_allocate_nothing(self):
        """In a process of its own, since a process remembers its highest use of memory only."""
        pytest.importorskip("resource")
        script = Path(__file__).parents[1] / "audio_memory.py"
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestInstallation:
    @pytest.fixture
    def without_av(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        monkeypatch.delitem(sys.modules, "voxgender.files.av_audio", raising=False)

    @pytest.mark.usefixtures("without_av")
    def test_without_pyav_an_unknown_format_names_the_extra_to_install(self):
        with pytest.raises(AudioFormatError, match=r"pip install 'voxgender\[media\]'"):
            open_audio(bytes.fromhex("00000020") + b"ftypM4A " + bytes(100))

    @pytest.mark.usefixtures("without_av")
    def test_without_pyav_a_broken_file_of_a_known_format_is_told_apart(self):
        with pytest.raises(AudioError, match="begins like FLAC, but is broken") as caught:
            open_audio(b"fLaC" + bytes(100))
        assert not isinstance(caught.value, AudioFormatError)

    @pytest.mark.usefixtures("without_av")
    def test_without_pyav_the_usual_formats_are_read(self):
        assert decoded(encode(tones(0.5, RATE_HZ), RATE_HZ, "OGG", "OPUS")).shape == (1, RATE_HZ // 2)
