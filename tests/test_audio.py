from __future__ import annotations

import hashlib
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hearless import audio
from hearless.interfaces import HearlessError

FORMATS = [
    ("wav", "PCM_U8", 2.0**-7),
    ("wav", "PCM_16", 2.0**-15),
    ("wav", "PCM_24", 2.0**-23),
    ("wav", "PCM_32", 2.0**-24),
    ("wav", "FLOAT", 2.0**-24),
    ("flac", "PCM_16", 2.0**-15),
    ("flac", "PCM_24", 2.0**-23),
    ("ogg", "VORBIS", 0.1),
    ("mp3", "MPEG_LAYER_III", 0.1),
]


def tones(n_samples: int, rate_hz: int, channels: int = 1) -> NDArray[np.float64]:
    time_s = np.arange(n_samples) / rate_hz
    return np.stack([0.3 * np.sin(2 * np.pi * 200 * (c + 1) * time_s) for c in range(channels)], axis=1)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Half a second of mono 16-bit noise at 44.1 kHz."""
    path = tmp_path / "noise.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(22050), 44100)
    return path


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("suffix", "subtype", "step"), FORMATS)
def test_every_format_reads(
    tmp_path: Path, suffix: str, subtype: str, step: float, channels: int, rate_hz: int
) -> None:
    path = tmp_path / f"tones.{suffix}"
    written = tones(rate_hz // 2, rate_hz, channels)
    soundfile.write(path, written, rate_hz, subtype=subtype)
    assert audio.info(path) == audio.AudioInfo(rate_hz, rate_hz // 2, channels)
    samples, rate = audio.read(path)
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, rate_hz)
    np.testing.assert_allclose(samples, written.mean(axis=1), atol=1.01 * step)


def test_sixteen_bit_decoding_is_the_standard_librarys(wav: Path) -> None:
    with wave.open(str(wav)) as file:
        expected = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15
    np.testing.assert_array_equal(audio.read(wav)[0], expected.astype(np.float32))


@pytest.mark.parametrize("rate_hz", [250, 1000, 16000, 32000, 48000])
def test_resampling_is_soxrs_best(wav: Path, rate_hz: int) -> None:
    samples, rate = audio.read(wav, rate_hz)
    own, _ = soundfile.read(wav, dtype="float32")
    assert (samples.dtype, rate) == (np.float32, rate_hz)
    np.testing.assert_array_equal(samples, soxr.resample(own, 44100, rate_hz, quality="VHQ"))


def test_a_tone_passes_or_dies(tmp_path: Path) -> None:
    time_s = np.arange(32000) / 16000
    for tone_hz, expected in ((300, 1.0), (900, 0.0)):
        soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * tone_hz * time_s), 16000, subtype="FLOAT")
        samples, _ = audio.read(tmp_path / "tone.wav", 1000)
        assert np.sqrt(2 * np.mean(samples[200:-200] ** 2)) / 0.5 == pytest.approx(expected, abs=1e-3)


def test_an_excerpt_is_a_slice_and_ends_with_the_file(wav: Path) -> None:
    whole, _ = audio.read(wav)
    np.testing.assert_array_equal(audio.read(wav, start_s=0.1, duration_s=0.2)[0], whole[4410:13230])
    np.testing.assert_array_equal(audio.read(wav, start_s=0.4, duration_s=9.0)[0], whole[17640:])


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate_hz=st.sampled_from([None, 1000, 8000, 16000, 44100, 48000]),
    seconds=st.floats(0.002, 1.0),
    n_samples=st.integers(1, 200_000),
)
def test_blocks_join_to_what_read_returns(tmp_path: Path, rate_hz: int | None, seconds: float, n_samples: int) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, (n_samples, 2)), 44100)
    whole, rate = audio.read(path, rate_hz)
    parts = list(audio.blocks(path, rate_hz, seconds))
    assert {len(part) for part in parts[:-1]} <= {round(seconds * rate)}
    np.testing.assert_array_equal(np.concatenate(parts) if parts else whole[:0], whole)


def test_blocks_keep_memory_constant(tmp_path: Path) -> None:
    path = tmp_path / "hour.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(40):
            file.write(np.zeros(8000 * 15))
    tracemalloc.start()
    total = sum(len(block) for block in audio.blocks(path, 1000, 1.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 600 * 1000
    assert peak < 4_000_000 < 600 * 8000 * 4


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_the_content_decides_not_the_extension(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", tones(8000, 16000), 16000)
    wrong = (tmp_path / f"a.{suffix}").rename(tmp_path / "b.wav")
    assert audio.info(wrong).n_samples == len(audio.read(wrong)[0]) == 8000


def test_a_streamed_wav_without_lengths_reads(wav: Path) -> None:
    data = bytearray(wav.read_bytes())
    where = data.index(b"data") + 4
    data[where : where + 4] = data[4:8] = b"\xff\xff\xff\xff"
    wav.write_bytes(data)
    assert len(audio.read(wav)[0]) == 22050


def test_a_streamed_flac_without_a_length(tmp_path: Path) -> None:
    path = tmp_path / "stream.flac"
    soundfile.write(path, tones(8000, 16000), 16000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(HearlessError, match=r"stream\.flac must state its length"):
        audio.read(path)


def test_content_hash_is_of_the_bytes(wav: Path) -> None:
    assert audio.content_hash(wav) == hashlib.sha256(wav.read_bytes()).hexdigest()


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"none\.wav must be a sound file, but it does not exist"):
        audio.info(tmp_path / "none.wav")
    with pytest.raises(HearlessError, match="got a folder"):
        audio.read(tmp_path)
    with pytest.raises(HearlessError, match=r"none\.wav cannot be read .*check the path"):
        audio.content_hash(tmp_path / "none.wav")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(HearlessError, match=r"empty\.wav must hold sound, got 0 bytes"):
        audio.info(tmp_path / "empty.wav")


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_zero_length(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"none.{suffix}"
    soundfile.write(path, np.zeros(0), 8000)
    for door in (audio.info, audio.read):
        with pytest.raises(HearlessError, match=rf"none\.{suffix} must hold sound, got 0 samples"):
            door(path)


@pytest.mark.parametrize("name", ["notes.wav", "notes.raw", "notes.mp3"])
def test_no_sound(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("these are words " * 50)
    with pytest.raises(HearlessError, match=rf"{name} is not a sound file that can be read .*give WAV"):
        audio.read(tmp_path / name)


@pytest.mark.parametrize("door", ["read", "blocks"])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_truncated(tmp_path: Path, suffix: str, door: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(88200), 44100)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(HearlessError, match=rf"cut\.{suffix} is truncated.*copy or download it again"):
        audio.read(path, 16000) if door == "read" else list(audio.blocks(path, 16000, 1.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf(tmp_path: Path, value: float) -> None:
    samples = np.zeros(100_000, dtype=np.float32)
    samples[80_000] = value
    soundfile.write(tmp_path / "bad.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(HearlessError, match=rf"bad\.wav must hold finite samples, got {value} at 10\.0000 s"):
        audio.read(tmp_path / "bad.wav", 1000)
    with pytest.raises(HearlessError, match="finite samples"):
        list(audio.blocks(tmp_path / "bad.wav", 1000, 1.0))
    assert len(audio.read(tmp_path / "bad.wav", start_s=0.0, duration_s=5.0)[0]) == 40_000


def test_wrong_arguments(wav: Path) -> None:
    with pytest.raises(HearlessError, match=r"start_s must lie before the end at 0\.500 s, got 0\.5"):
        audio.read(wav, start_s=0.5)
    for wrong in ({"start_s": -1.0}, {"start_s": float("nan")}, {"duration_s": 0.0}, {"duration_s": float("inf")}):
        with pytest.raises(HearlessError, match=r"start_s must be ≥ 0 and duration_s > 0"):
            audio.read(wav, **wrong)
    with pytest.raises(HearlessError, match="rate_hz must be at least 1, got 0"):
        audio.read(wav, 0)
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(HearlessError, match="seconds must hold at least one sample at 1000 Hz"):
            list(audio.blocks(wav, 1000, seconds))


@pytest.mark.data
def test_real_files_read(shared: Path) -> None:
    for path in sorted((shared / "data").glob("*/audio/*.flac"))[::150]:
        what = audio.info(path)
        samples, _ = audio.read(path)
        assert len(samples) == what.n_samples
        assert np.abs(samples).max() <= 1
    for path in sorted((shared / "data" / "micirp").rglob("*.wav"))[::10]:
        assert audio.read(path, 32000)[1] == 32000


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_what_is_written_is_read_again(tmp_path, ending):
    samples = np.random.default_rng(0).uniform(-1, 1, 4000).astype(np.float32)
    path = audio.write(tmp_path / "new" / f"a{ending}", samples, 16000)
    again, rate_hz = audio.read(path)
    assert rate_hz == 16000
    np.testing.assert_allclose(again, samples, atol=1 / 32767)


@pytest.mark.parametrize(
    ("name", "samples", "said"),
    [
        ("a.wav", np.zeros((2, 5)), r"must be \[time\]"),
        ("a.wav", np.array([0.0, 1.5]), "-1 to 1"),
        ("a.wav", np.array([np.nan]), "finite"),
        ("a.docx", np.zeros(5), "must end in one of .wav, .flac, .ogg, got '.docx'"),
        ("file/a.wav", np.zeros(5), "could not be written"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, samples, said):
    (tmp_path / "file").write_text("")
    with pytest.raises(HearlessError, match=said):
        audio.write(tmp_path / name, samples, 16000)
