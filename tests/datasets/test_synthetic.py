from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from hearless import audio
from hearless.datasets.synthetic import KINDS, Synthetic, band, render, unit
from hearless.interfaces import Clip, HearlessError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Clip], float]:
    start = time.perf_counter()
    clips = Synthetic().clips(tmp_path_factory.mktemp("synthetic"))
    return clips, time.perf_counter() - start


def log_bands(clip: Clip, rate_hz: int) -> NDArray[np.float64]:
    """Mean, deviation and change of log band levels, all relative to the clip's loudness."""
    samples, _ = audio.read(clip.path, rate_hz)
    samples = samples / np.sqrt(np.mean(samples**2))
    n_fft = round(0.064 * rate_hz)
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[:: n_fft // 4] * np.hanning(n_fft)
    power = np.abs(np.fft.rfft(frames)) ** 2
    axis_hz = np.fft.rfftfreq(n_fft, 1 / rate_hz)
    edges_hz = np.geomspace(30, rate_hz / 2, round(6 * np.log2(rate_hz / 60)) + 1)
    weights = (axis_hz >= edges_hz[:-1, None]) & (axis_hz < edges_hz[1:, None])
    levels = np.log(power @ weights.T[:, weights.any(axis=1)] + 1e-4)
    change = np.abs(np.diff(levels, axis=0)).mean(axis=0)
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0), levels.max(axis=0), change])


def accuracy(clips: list[Clip], rate_hz: int) -> float:
    """The first fold's accuracy of a random forest."""
    features = np.array([log_bands(clip, rate_hz) for clip in clips])
    labels = np.array([clip.labels[0] for clip in clips])
    test = np.array([clip.fold == "1" for clip in clips])
    forest = RandomForestClassifier(200, random_state=0).fit(features[~test], labels[~test])
    return float(np.mean(forest.predict(features[test]) == labels[test]))


def test_default_corpus_is_whole_and_quick(corpus: tuple[list[Clip], float]) -> None:
    clips, seconds = corpus
    assert len(clips) == 320
    assert seconds < 30
    shape = {(i.rate_hz, i.n_samples, i.n_channels) for i in (audio.info(clip.path) for clip in clips)}
    assert shape == {(16000, 32000, 1)}
    recordings = [clip.recording for clip in clips]
    assert all(recordings.count(recording) == 2 for recording in recordings)
    assert {clip.fold for clip in clips} == {"1", "2", "3", "4"}


def test_a_low_rate_hears_clearly_less(corpus: tuple[list[Clip], float]) -> None:
    clips, _ = corpus
    full, low = accuracy(clips, 16000), accuracy(clips, 1000)
    assert 0.8 < full < 1
    assert 0.45 < low < full - 0.1


@pytest.mark.parametrize(("one", "other"), [("bell", "knock"), ("cricket", "wind")])
def test_pairs_part_above_1_khz_only(one: str, other: str) -> None:
    assert KINDS[one][0] is KINDS[other][0]
    assert min(KINDS[one][2], KINDS[other][2]) > 1000


def test_levels_vary_by_twenty_decibels_and_nothing_clips(corpus: tuple[list[Clip], float]) -> None:
    sounds = [audio.read(clip.path)[0] for clip in corpus[0]]
    level_db = [20 * np.log10(np.sqrt(np.mean(samples**2))) for samples in sounds]
    assert np.ptp(level_db) > 18
    assert max(np.abs(samples).max() for samples in sounds) < 0.9999


def test_band_keeps_its_band_only() -> None:
    rate_hz = 8000
    time_s = np.arange(rate_hz) / rate_hz
    low, high = np.sin(2 * np.pi * 300 * time_s), np.sin(2 * np.pi * 2000 * time_s)
    np.testing.assert_allclose(band(low + high, rate_hz, 1000, 4100), high, atol=1e-9)


def test_unit_has_rms_one_and_leaves_silence() -> None:
    assert np.sqrt(np.mean(unit(np.arange(5.0)) ** 2)) == pytest.approx(1)
    assert not unit(np.zeros(5)).any()


def test_recordings_differ_and_seeds_differ() -> None:
    arguments = {"seed": 0, "rate_hz": 8000, "duration_s": 0.5}
    first = render("siren", 0, **arguments)
    np.testing.assert_array_equal(first, render("siren", 0, **arguments))
    assert not np.allclose(first, render("siren", 1, **arguments))
    assert not np.allclose(first, render("siren", 0, **{**arguments, "seed": 1}))


def test_files_are_written_once_and_mended_when_missing(tmp_path: Path) -> None:
    dataset = Synthetic(n_per_class=4, n_folds=2, duration_s=0.25)
    clips = dataset.clips(tmp_path)
    before = clips[0].path.read_bytes()
    stamps = [clip.path.stat().st_mtime_ns for clip in clips]
    clips[0].path.unlink()
    assert dataset.clips(tmp_path) == clips
    assert clips[0].path.read_bytes() == before
    assert [clip.path.stat().st_mtime_ns for clip in clips[1:]] == stamps[1:]
    assert not list(tmp_path.rglob("*.part"))


def test_several_at_once_write_whole_files(tmp_path: Path) -> None:
    dataset = Synthetic(n_per_class=4, n_folds=2, duration_s=0.25)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(dataset.clips, [tmp_path] * 4))
    assert made[0] == made[1] == made[2] == made[3]
    assert {audio.info(path).n_samples for path in tmp_path.rglob("*.wav")} == {4000}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 40


def test_other_settings_lie_in_other_folders(tmp_path: Path) -> None:
    small = {"n_per_class": 3, "n_folds": 2, "duration_s": 0.25}
    one = Synthetic(**small).clips(tmp_path)
    other = Synthetic(**small, rate_hz=32000).clips(tmp_path)
    assert not {clip.path for clip in one} & {clip.path for clip in other}
    assert soundfile.info(other[0].path).samplerate == 32000


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"n_per_class": 6}, "every fold a recording"),
        ({"n_folds": 1}, "n_folds be at least 2"),
        ({"rate_hz": 2000}, "rate_hz must be at least 4000"),
        ({"duration_s": 0.0}, "duration_s from 0.25"),
        ({"seed": -1}, "seed at least 0"),
    ],
)
def test_wrong_arguments(wrong: dict[str, float], match: str) -> None:
    with pytest.raises(HearlessError, match=match):
        Synthetic(**wrong)


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("x")
    with pytest.raises(HearlessError, match="must be a folder to write sounds to"):
        Synthetic().clips(tmp_path / "root")


def test_it_never_writes_among_a_users_own_sounds(tmp_path):
    (tmp_path / "dog").mkdir()
    with pytest.raises(HearlessError, match=r"need a folder of their own, but .* holds dog"):
        Synthetic(n_per_class=8, duration_s=0.5).clips(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dog"]
