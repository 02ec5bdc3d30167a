"""Third-octave bands: the published table of cells, scipy's window, and what a split must keep."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import scipy.signal
import torch

from hearless.dsp.octave_bands import (
    CENTRE_HZ,
    INTERVALS,
    NOMINAL_HZ,
    band_weights,
    bands_of,
    centres_hz,
    edges_hz,
    interval_of,
    nominal_hz,
    tukey,
)
from hearless.interfaces import HearlessError

CELLS = (
    (3, 3), (3, 4), (4, 5), (5, 6), (6, 8), (8, 10), (10, 12), (12, 15), (15, 19), (19, 23), (23, 29), (29, 37),
    (37, 46), (46, 58), (58, 72), (72, 91), (91, 115), (115, 144), (144, 181), (181, 228), (228, 287), (287, 361),
    (361, 455), (455, 572), (572, 720), (720, 907), (907, 1141), (1141, 1437), (1437, 1809),
)  # fmt: skip
"""First and last cell of each band, paper 003's code at 32 kHz and 4,096 samples."""


def test_published_bands_are_the_published_cells():
    weights = band_weights("published", 4096)
    found = [(int(cells.min()), int(cells.max())) for cells in (band.nonzero() for band in weights.T)]
    assert tuple(found) == CELLS
    assert weights.sum(0).tolist() == [last - first + 1 for first, last in CELLS]
    assert weights.unique().tolist() == [0.0, 1.0]
    singular = np.linalg.svd(weights.numpy(), compute_uv=False)
    assert singular[0] / singular[-1] == pytest.approx(63, abs=1)


@pytest.mark.data
def test_cells_are_those_of_the_table(shared):
    with (shared / "papers" / "tables" / "003_third_octave_bands_32k_4096.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple((int(r["cell_first"]), int(r["cell_last_inclusive"])) for r in rows) == CELLS
    assert edges_hz()[:-1].tolist() == pytest.approx([float(r["f_lower_hz"]) for r in rows], abs=1e-4)
    assert list(CENTRE_HZ) == pytest.approx([float(r["f_center_hz"]) for r in rows], abs=1e-4)


@pytest.mark.parametrize("n_fft", [4096, 32976])
def test_split_bins_tile_the_axis(n_fft):
    weights = band_weights("iec61260", n_fft)
    assert weights.min() >= 0.0
    assert weights.sum(1).max() == pytest.approx(1.0)
    edges = edges_hz() * n_fft / 32000
    torch.testing.assert_close(weights.sum(0), edges.diff())
    assert torch.linalg.matrix_rank(weights) == 29


def test_nominal_centres_are_near_the_exact_ones():
    assert list(NOMINAL_HZ) == pytest.approx(list(CENTRE_HZ), rel=0.013)


@pytest.mark.parametrize("length", [4096, 32976])
def test_window_is_scipys(length):
    reference = scipy.signal.windows.tukey(length, 0.2, sym=False)
    np.testing.assert_allclose(tukey(length).numpy(), reference, atol=1e-12)


def test_window_has_the_published_correction():
    assert tukey(4096).square().mean().rsqrt().item() == pytest.approx(1.0690450, abs=5e-8)


@pytest.mark.parametrize(
    ("name", "n_samples", "n_frames"),
    [
        ("fast", 32000, 8),
        ("fast", 320000, 80),
        ("fast", 1, 1),
        ("fast", 4097, 2),
        ("slow", 32000, 1),
        ("slow", 320000, 10),
    ],
)
def test_frames_of_an_interval(name, n_samples, n_frames):
    assert INTERVALS[name].n_frames(n_samples) == n_frames
    assert (INTERVALS["fast"].rate_hz, INTERVALS["slow"].rate_hz) == (8, 1)


def test_unknown_names():
    with pytest.raises(HearlessError, match=r"bands must be one of published, iec61260, got 'nominal'"):
        band_weights("nominal", 4096)
    with pytest.raises(HearlessError, match=r"Meter: interval must be one of fast, slow, got 'impulse'"):
        interval_of("impulse", "Meter")


def test_an_octave_is_three_thirds():
    thirds, octaves = edges_hz(), edges_hz("1/1")
    assert len(octaves) == 11
    torch.testing.assert_close(octaves[:-1], thirds[1::3])
    assert octaves[-1].item() == pytest.approx(22387.2, abs=0.1)
    for n_fft in (4096, 32976):
        whole, parts = band_weights("iec61260", n_fft, "1/1"), band_weights("iec61260", n_fft)
        torch.testing.assert_close(whole[:, :9], parts[:, 1:28].unflatten(1, (9, 3)).sum(2))
        assert torch.linalg.matrix_rank(whole) == 10
    published = band_weights("published", 4096, "1/1")
    assert published[:, 5].nonzero().ravel().tolist() == list(range(91, 182))  # 708 to 1,413 Hz, both ends included


def test_octaves_have_their_nominal_and_exact_centres():
    assert nominal_hz("1/1") == (31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
    assert (nominal_hz(), centres_hz()) == (NOMINAL_HZ, pytest.approx(CENTRE_HZ))
    assert centres_hz("1/1") == pytest.approx(nominal_hz("1/1"), rel=0.013)
    with pytest.raises(HearlessError, match=r"Meter: octaves must be one of 1/3, 1/1, got '1/12'"):
        bands_of("1/12", "Meter")
