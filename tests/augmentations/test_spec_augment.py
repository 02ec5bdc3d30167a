"""Stripes against a plain loop and PANNs' statistics, one mask for all views, and wrong input."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from hearless.augmentations.spec_augment import SpecAugment
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))


def axes(n_bands, frame_s=0.01, n_frames=501, low_hz=50.0, high_hz=8000.0):
    band_hz = librosa.mel_frequencies(n_bands + 2, fmin=low_hz, fmax=high_hz)[1:-1]
    return Axes(tuple(float(hz) for hz in band_hz), frame_s, n_frames)


def mask(augmentation, draws, where, dtype=torch.float32):
    ones = torch.ones(len(draws), 1, len(where.band_hz), where.n_frames, dtype=dtype)
    return augmentation.apply(ones, draws, where)


def drawn(augmentation, n, duration_s=5.0, seed=0):
    rng = np.random.default_rng(seed)
    return [augmentation.draw(rng, CLIP, duration_s) for _ in range(n)]


def test_it_equals_a_plain_loop():
    augmentation, where = SpecAugment(), axes(64)
    draws = drawn(augmentation, 6)
    expected = np.ones((6, 1, 64, 501))
    for row, d in zip(expected, draws, strict=True):
        for i in range(2):
            for frame in range(501):
                if d[f"time{i}_from_s"] <= frame * 0.01 < d[f"time{i}_to_s"]:
                    row[:, :, frame] = 0
            for band, hz in enumerate(where.band_hz):
                if d[f"band{i}_from_hz"] <= hz < d[f"band{i}_to_hz"]:
                    row[:, band] = 0
    found = mask(augmentation, draws, where)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert 0.5 < found.mean() < 0.95


def test_a_student_of_24_bands_and_a_teacher_of_128_share_the_mask():
    augmentation, draws = SpecAugment(), drawn(SpecAugment(), 20)
    student, teacher = axes(24, 0.02, 251, high_hz=2000.0), axes(128, 0.005, 1001)
    both = Axes(tuple(sorted(student.band_hz + teacher.band_hz)), 0.005, 1001)
    shared = mask(augmentation, draws, both)
    for view, step in ((student, 4), (teacher, 1)):
        at = [both.band_hz.index(hz) for hz in view.band_hz]
        assert torch.equal(mask(augmentation, draws, view), shared[:, :, at, ::step])


@pytest.mark.parametrize("mel", ["slaney", "htk", "kaldi"])
def test_stripes_stay_within_their_bounds(mel):
    augmentation = SpecAugment(mel=mel, low_hz=100.0, high_hz=3000.0)
    for d in drawn(augmentation, 300, 2.0):
        for i in range(2):
            assert 0 <= d[f"time{i}_from_s"] <= d[f"time{i}_to_s"] <= 2.0
            assert d[f"time{i}_to_s"] - d[f"time{i}_from_s"] <= 0.64
            assert 100 - 1e-6 <= d[f"band{i}_from_hz"] <= d[f"band{i}_to_hz"] <= 3000 + 1e-6


def test_widths_are_panns_on_panns_axes():
    time = mask(SpecAugment(n_time=1, n_bands=0), drawn(SpecAugment(n_time=1, n_bands=0), 1000), axes(64))
    dropped = 501 - time[:, 0, 0].sum(-1)
    assert dropped.max() <= 64
    assert dropped.mean().item() == pytest.approx(32.0, abs=2.0)
    bands = mask(SpecAugment(n_time=0, n_bands=1), drawn(SpecAugment(n_time=0, n_bands=1), 1000), axes(64))
    dropped = 64 - bands[:, 0, :, 0].sum(-1)
    assert dropped.max() <= 9
    assert dropped.mean().item() == pytest.approx(4.0, abs=0.3)


def test_stripes_fall_everywhere_alike_on_the_mel_axis():
    bands = mask(SpecAugment(n_time=0, n_bands=1), drawn(SpecAugment(n_time=0, n_bands=1), 2000), axes(64, n_frames=2))
    chance = 1 - bands[:, 0, :, 0].mean(0)[8:-8]
    np.testing.assert_allclose(chance, 4 / 60, rtol=0.5)


def test_a_stripe_is_bounded_by_a_short_clip():
    draws = drawn(SpecAugment(), 500, duration_s=0.2)
    edges = np.array([[d["time0_from_s"], d["time0_to_s"]] for d in draws])
    assert edges.min() >= 0
    assert edges.max() <= 0.2 + 1e-12
    assert 0.05 < np.diff(edges).mean() < 0.15


def test_a_mask_multiplies_what_is_there():
    augmentation, where = SpecAugment(), axes(16, n_frames=101)
    draws = drawn(augmentation, 2, 1.0)
    there = torch.rand(2, 1, 16, 101, dtype=torch.float64)
    found = augmentation.apply(there, draws, where)
    assert torch.equal(found, there * mask(augmentation, draws, where, torch.float64))


def test_other_axes_are_refused():
    with pytest.raises(HearlessError, match=r"must be \[batch, 1, 64, 501\] .*, got \(1, 1, 64, 500\); take the axes"):
        SpecAugment().apply(torch.ones(1, 1, 64, 500), drawn(SpecAugment(), 1), axes(64))


def test_a_rate_is_refused():
    with pytest.raises(HearlessError, match="needs their axes, got a rate of 16000 Hz"):
        SpecAugment().apply(torch.ones(1, 16000), drawn(SpecAugment(), 1), 16000)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_time": -1}, r"n_time and n_bands must be 0 or more, one of them 1, got \(-1, 2\)"),
        ({"n_time": 0, "n_bands": 0}, r"n_time and n_bands .* got \(0, 0\)"),
        ({"max_time_s": 0.0}, "max_time_s must be above 0, got 0"),
        ({"max_band_fraction": 1.5}, "max_band_fraction must lie in 0..1, 0 excluded, got 1.5"),
        ({"low_hz": 500.0, "high_hz": 400.0}, r"low_hz must be 0 or more and below high_hz, got \(500.0, 400.0\)"),
        ({"mel": "bark"}, "mel must be one of slaney, htk, kaldi, got bark"),
    ],
)
def test_wrong_arguments_are_refused(arguments, said):
    with pytest.raises(HearlessError, match=said):
        SpecAugment(**arguments)
