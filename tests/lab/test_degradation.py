"""Degradations: each does to a recording what its text says, to any recording, and the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import voices
from voxgender.core.errors import AudioError, InputError
from voxgender.lab.degradation import (
    STEPS,
    Degrader,
    Samples,
    Step,
    parse_degradation,
    random_degradation,
    read_samples,
    speech_rms,
)

VOICE = voices.speak(2.0, 120.0, 1.0, seed=1)
RATE_HZ = voices.SAMPLE_RATE_HZ
TELEPHONES = ("mulaw", "alaw", "gsm", "amr:4.75", "amr:12.2", "opus:6", "opus:16")
RANDOM = ("white:10", "pink:10", "babble:10", "tones:10", "reverb:0.5", "equaliser:10")


def tone(hz: float, level: float = 0.1, seconds: float = 1.0) -> Samples:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (level * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


@pytest.fixture(scope="module")
def degrader(tmp_path_factory: pytest.TempPathFactory) -> Degrader:
    """Mixes babble from two pure tones, a loud one at 500 Hz and a faint one at 1,500 Hz."""
    folder = tmp_path_factory.mktemp("voices")
    soundfile.write(folder / "loud.wav", tone(500, 0.5), RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "faint.wav", tone(1_500, 0.01), RATE_HZ, subtype="FLOAT")
    return Degrader([folder / "loud.wav", folder / "faint.wav"])


def after(degrader: Degrader, samples: Samples, text: str, seed: int = 1) -> Samples:
    return degrader.degrade(samples, parse_degradation(text), seed)


def power(samples: NDArray[np.floating], low_hz: float, high_hz: float) -> float:
    """Energy between two frequencies."""
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum = np.square(np.abs(np.fft.rfft(samples)))
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].sum())


def decibel(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


# --- Texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "remedy"),
    [
        ("echo:1", "'echo:1'", "there are alaw, amr, babble"),
        ("gsm+", "''", "there are alaw, amr, babble"),
        ("white:10+GSM", "'GSM'", "gsm"),
        ("gsm:13", "'gsm:13'", "gsm takes no amount"),
        ("reverb", "'reverb'", "from 0.2 to 1 .s of reverberation time., like reverb:1$"),
        ("reverb:", "'reverb:'", "from 0.2 to 1"),
        ("reverb:long", "'reverb:long'", "from 0.2 to 1"),
        ("reverb:9", "'reverb:9'", "from 0.2 to 1"),
        ("reverb:nan", "'reverb:nan'", "from 0.2 to 1"),
        ("white:inf", "'white:inf'", "from -20 to 60"),
        ("amr:64", "'amr:64'", r"from 4.75 to 12.2 .kbit/s."),
        ("opus:0.4", "'opus:0.4'", "from 6 to 128"),
        ("equaliser:-3", "'equaliser:-3'", "from 0 to 40"),
    ],
)
def test_a_text_that_is_not_understood_is_told_with_the_step_and_the_remedy(text: str, value: str, remedy: str) -> None:
    with pytest.raises(InputError, match=f"the degradation {value} .*{remedy}"):
        parse_degradation(text)


def test_a_text_names_its_steps_in_their_order_and_an_empty_one_none() -> None:
    assert parse_degradation("") == ()
    assert [step.name for step in parse_degradation("gsm+white:-5+alaw")] == ["gsm", "white", "alaw"]
    assert parse_degradation("white:-5")[0].amount == -5


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_chosen_at_random_is_understood_and_gives_a_sound_of_the_same_length(
    degrader: Degrader, seed: int
) -> None:
    text = random_degradation(np.random.default_rng(seed))
    assert text == random_degradation(np.random.default_rng(seed))
    steps = parse_degradation(text)
    assert steps
    for chosen in ([steps[0]], steps):
        check(degrader.degrade(VOICE[:8_000], chosen, seed), 8_000)


def test_two_in_five_of_the_random_degradations_are_a_telephone() -> None:
    rng = np.random.default_rng(1)
    drawn = [parse_degradation(random_degradation(rng)) for _ in range(2_000)]
    names = {text.partition(":")[0] for text in TELEPHONES}
    share = np.mean([any(step.name in names for step in steps) for steps in drawn])
    assert 0.35 < share < 0.45
    assert {step.name for steps in drawn for step in steps} == set(STEPS)
    assert np.median([len(steps) for steps in drawn]) == 2


# --- Any sound ------------------------------------------------------------------------------------------------------


def check(samples: Samples, length: int) -> None:
    assert samples.dtype == np.float32
    assert abs(len(samples) - length) <= 1
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1


@st.composite
def steps(draw: st.DrawFn) -> Step:
    name = draw(st.sampled_from(sorted(STEPS)))
    kind = STEPS[name]
    return Step(name, draw(st.floats(kind.lowest, kind.highest)) if kind.unit else float("nan"))


@settings(deadline=None, max_examples=150)
@given(step=steps(), length=st.sampled_from([1, 2, 100, 479, 4_000]), peak=st.sampled_from([0, 1e-12, 0.3, 1e6, 3e38]))
def test_every_step_at_every_amount_bears_short_silent_and_very_loud_sounds(
    degrader: Degrader, step: Step, length: int, peak: float
) -> None:
    samples = (VOICE[8_000 : 8_000 + length] / 0.3 * peak).astype(np.float32)
    check(degrader.degrade(samples, [step], 1), length)


@pytest.mark.parametrize("text", [*RANDOM, *TELEPHONES, "clipping:10", "level:-10"])
def test_nothing_stays_nothing(degrader: Degrader, text: str) -> None:
    assert len(after(degrader, np.zeros(0, np.float32), text)) == 0
    # A codec's own noise is all that comes of silence.
    assert np.abs(after(degrader, np.zeros(8_000, np.float32), text)).max() < 0.001


def test_numbers_that_are_none_are_refused_before_a_codec_gets_them(degrader: Degrader) -> None:
    for bad in (np.nan, np.inf):
        samples = VOICE[:4_000].copy()
        samples[100] = bad
        with pytest.raises(AudioError, match="NaN or infinity; repair"):
            after(degrader, samples, "mulaw")


def test_a_recording_is_not_changed_in_place(degrader: Degrader) -> None:
    before = VOICE.copy()
    for text in (*RANDOM, *TELEPHONES, "clipping:10", "level:-10"):
        after(degrader, VOICE, text)
    assert np.array_equal(VOICE, before)


@pytest.mark.parametrize("text", RANDOM)
def test_the_same_seed_gives_the_same_sound_and_another_seed_another(degrader: Degrader, text: str) -> None:
    first = after(degrader, VOICE, text, seed=1)
    assert np.array_equal(first, after(degrader, VOICE, text, seed=1))
    assert not np.array_equal(first, after(degrader, VOICE, text, seed=2))
    assert not np.array_equal(first, VOICE)


@pytest.mark.parametrize("text", TELEPHONES)
def test_a_telephone_codes_the_same_each_time(degrader: Degrader, text: str) -> None:
    assert np.array_equal(after(degrader, VOICE, text, seed=1), after(degrader, VOICE, text, seed=2))


# --- Noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["white", "pink", "babble", "tones"])
@pytest.mark.parametrize("snr_db", [5.0, 25.0])
def test_speech_is_as_many_decibels_above_the_noise_as_was_asked_however_long_the_pauses_are(
    degrader: Degrader, kind: str, snr_db: float
) -> None:
    speech = np.concatenate((tone(1_000, 0.1), np.zeros(2 * RATE_HZ, np.float32)))
    noise = after(degrader, speech, f"{kind}:{snr_db}").astype(np.float64) - speech
    assert decibel(0.1**2 / 2 / np.mean(np.square(noise))) == pytest.approx(snr_db, abs=0.1)


def test_the_level_of_speech_is_that_of_its_loud_frames() -> None:
    assert speech_rms(tone(1_000, 0.1)) == pytest.approx(0.1 / np.sqrt(2), rel=0.01)
    faint_noise = 0.001 * np.random.default_rng(1).standard_normal(5 * RATE_HZ).astype(np.float32)
    assert speech_rms(np.concatenate((faint_noise, tone(1_000, 0.1)))) == pytest.approx(0.1 / np.sqrt(2), rel=0.02)
    click = np.zeros(2 * RATE_HZ, np.float32)
    click[9_000] = 0.5
    assert speech_rms(click) == pytest.approx(0.5 / np.sqrt(480))
    assert speech_rms(click[:0]) == speech_rms(np.zeros(100, np.float32)) == 0


def test_noise_louder_than_full_scale_is_turned_down_with_the_speech_and_not_clipped(degrader: Degrader) -> None:
    loud = after(degrader, VOICE, "white:-20")
    assert np.abs(loud).max() == 1
    assert np.sum(np.abs(loud) > 0.99) < 5


def test_white_noise_has_3_decibels_more_in_each_higher_octave_and_pink_noise_as_much(degrader: Degrader) -> None:
    for kind, slope_db in (("white", 3.0), ("pink", 0.0)):
        noise = after(degrader, VOICE, f"{kind}:0") - VOICE
        octaves = [decibel(power(noise, low, 2 * low)) for low in (500, 1_000, 2_000)]
        assert np.diff(octaves) == pytest.approx([slope_db] * 2, abs=0.8)


def test_music_is_made_of_few_tones_and_noise_of_all(degrader: Degrader) -> None:
    def in_strongest(text: str) -> float:
        energy = np.sort(np.square(np.abs(np.fft.rfft(after(degrader, VOICE, text) - VOICE))))
        return float(energy[-len(energy) // 50 :].sum() / energy.sum())

    assert in_strongest("tones:10") > 0.8
    assert in_strongest("white:10") < 0.2


def test_babble_is_made_of_the_given_voices_alone_each_at_the_same_level(degrader: Degrader) -> None:
    speech = tone(3_000, 0.1, seconds=2)
    babble = after(degrader, speech, "babble:10").astype(np.float64) - speech
    loud, faint = power(babble, 490, 510), power(babble, 1_490, 1_510)
    assert decibel(loud / faint) == pytest.approx(0, abs=0.2)
    assert loud + faint > 0.99 * power(babble, 0, RATE_HZ)


def test_babble_does_without_recordings_that_cannot_be_read_and_without_voiceprints(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF of nothing")
    (tmp_path / "stored.vp").write_bytes(b"{")
    soundfile.write(tmp_path / "voice.wav", tone(300.0), 16_000)
    rng = np.random.default_rng(1)
    heard = Degrader([tmp_path / "broken.wav", tmp_path / "voice.wav"]).babble(16_000, rng)
    assert power(heard, 250, 350) > 0.9 * power(heard, 0, 8_000)
    with pytest.raises(InputError, match="needs recordings"):
        Degrader([tmp_path / "stored.vp"]).babble(16_000, rng)


def test_babble_without_voices_is_told_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"babble needs recordings .*name a manifest"):
        after(Degrader(), VOICE, "babble:10")


# --- Rooms and devices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked_s", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_a_clap_in_a_room_dies_away_about_as_slowly_as_was_asked(degrader: Degrader, asked_s: float, seed: int) -> None:
    clap = np.zeros(2 * RATE_HZ, np.float32)
    clap[0] = 0.3
    heard = after(degrader, clap, f"reverb:{asked_s}", seed)
    assert np.abs(heard).max() < 1
    # Schroeder (1965), "New method of measuring reverberation time": what is left of the energy, from -5 to -25 dB.
    left = np.cumsum(np.square(heard[::-1], dtype=np.float64))[::-1]
    left_db = 10 * np.log10(np.maximum(left / left[0], 1e-12))
    decay_s = 3 * float(np.argmax(left_db < -25) - np.argmax(left_db < -5)) / RATE_HZ
    assert asked_s / 1.6 < decay_s < asked_s * 1.6


def test_a_voice_in_a_room_is_as_loud_as_it_was(degrader: Degrader) -> None:
    assert speech_rms(after(degrader, VOICE, "reverb:0.6")) == pytest.approx(speech_rms(VOICE), rel=0.01)


def test_clipping_cuts_the_peaks_by_what_was_asked_and_leaves_the_rest(degrader: Degrader) -> None:
    clipped = after(degrader, VOICE, "clipping:10")
    top = np.abs(VOICE).max() * 10 ** (-10 / 20)
    assert np.abs(clipped).max() == pytest.approx(top)
    below = np.abs(VOICE) < top * 0.999
    assert np.array_equal(clipped[below], VOICE[below])
    assert not below.all()


def test_a_level_is_a_gain_and_full_scale_its_end(degrader: Degrader) -> None:
    assert after(degrader, VOICE, "level:-20") == pytest.approx(VOICE / 10)
    assert np.array_equal(after(degrader, VOICE, "level:40"), (VOICE * 100).clip(-1, 1))


def test_an_equaliser_changes_no_frequency_by_more_than_was_asked_and_some_by_much(degrader: Degrader) -> None:
    click = np.zeros(4_096, np.float32)
    click[2_048] = 0.1
    for seed in range(5):
        gain_db = 20 * np.log10(np.abs(np.fft.rfft(after(degrader, click, "equaliser:10", seed))) / 0.1)
        assert np.abs(gain_db).max() < 10.5
        assert np.ptp(gain_db) > 5
    assert after(degrader, click, "equaliser:0") == pytest.approx(click, abs=1e-4)


# --- Telephones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TELEPHONES)
def test_a_telephone_removes_what_lies_outside_its_band_and_keeps_the_voice_within(
    degrader: Degrader, text: str
) -> None:
    rumble, hiss = tone(60, 0.2, 2), np.random.default_rng(1).standard_normal(len(VOICE)).astype(np.float32)
    recording = VOICE + rumble + 0.02 * hiss
    heard = after(degrader, recording, text)
    assert power(heard, 4_100, 8_000) < 0.001 * power(recording, 4_100, 8_000)
    assert power(heard, 0, 150) < 0.01 * power(recording, 0, 150)
    # Opus at its lowest rate saves bits on the level, too.
    most_db = 7 if text == "opus:6" else 3
    assert decibel(power(heard, 400, 3_000) / power(recording, 400, 3_000)) == pytest.approx(0, abs=most_db)


def test_fewer_bits_are_farther_from_the_voice(degrader: Degrader) -> None:
    def distance(text: str) -> float:
        """Mean difference of the logarithms of two spectrograms, within the band."""
        frames = [
            np.log(np.abs(np.fft.rfft(samples[:31_744].reshape(-1, 512) * np.hanning(512)))[:, 13:96] + 1e-3)
            for samples in (after(degrader, VOICE, text), VOICE)
        ]
        return float(np.abs(frames[0] - frames[1]).mean())

    assert distance("amr:4.75") > 1.1 * distance("amr:12.2")
    assert distance("opus:6") > 1.1 * distance("opus:32")
    assert distance("gsm") > 1.1 * distance("mulaw")


# --- Files ----------------------------------------------------------------------------------------------------------


def test_a_recording_is_read_whole_as_one_channel_at_16_khz(tmp_path: Path) -> None:
    left, right = tone(1_000, 0.2, 40.0)[::2], np.zeros(320_000, np.float32)
    soundfile.write(tmp_path / "x.wav", np.column_stack((left, right)), 8_000)
    samples = read_samples(tmp_path / "x.wav")
    assert (samples.shape, samples.dtype) == ((640_000,), np.float32)
    assert speech_rms(samples) == pytest.approx(0.1 / np.sqrt(2), rel=0.01)


def test_a_file_that_is_broken_or_holds_nothing_is_an_audio_error(tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear reader, this is no sound.")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE_HZ)
    for name in ("letter.wav", "empty.wav", "missing.wav"):
        with pytest.raises(AudioError):
            read_samples(tmp_path / name)
