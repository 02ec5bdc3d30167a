from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import estimated_offset_db, interpolate, median_db, open_levels, write_levels

from .conftest import THIRDS, street


def test_missing_bands_are_filled_as_numpy_interpolates() -> None:
    rng = np.random.default_rng(0)
    levels = street(200)
    levels[rng.uniform(size=levels.shape) < 0.6] = np.nan
    filled, missing = interpolate(levels)
    np.testing.assert_array_equal(missing, np.isnan(levels))
    for row, before in zip(filled, levels, strict=True):
        there = np.flatnonzero(np.isfinite(before))
        np.testing.assert_allclose(row, np.interp(np.arange(29), there, before[there]), atol=1e-5)
    np.testing.assert_array_equal(filled[~missing], levels[~missing])


def test_a_row_of_nothing_stays_nothing() -> None:
    levels = np.full((2, 10), np.nan, np.float32)
    levels[1, 4] = 50
    filled, missing = interpolate(levels)
    assert np.isnan(filled[0]).all()
    np.testing.assert_array_equal(filled[1], np.full(10, 50))
    assert (filled.dtype, int(missing.sum())) == (np.float32, 19)


def test_the_median_is_numpys_to_a_tenth(tmp_path: Path) -> None:
    levels = street(3001)
    levels[::7, :5], levels[:, 20] = np.nan, np.nan
    write_levels(tmp_path / "log.npy", levels, THIRDS, 0.125)
    median = median_db(open_levels(tmp_path / "log.npy").blocks(500))
    there = np.arange(29) != 20
    np.testing.assert_allclose(median[there], np.nanmedian(levels[:, there], axis=0), atol=0.11)
    assert np.isnan(median[20])


def test_the_offset_is_found_again_with_its_evidence() -> None:
    training = np.linspace(60, 30, 29)
    log = training - 31.4 + np.where(np.arange(29) < 3, 20.0, 0.0)
    log[28] = np.nan
    offset_db, evidence = estimated_offset_db(log, training)
    assert offset_db == pytest.approx(31.4)
    assert evidence.startswith("offset +31.4 dB: over 28 bands")
    assert evidence.endswith("half of the bands lie between +31.4 and +31.4 dB, all between +11.4 and +31.4 dB")


def test_the_offset_needs_bands_in_common() -> None:
    with pytest.raises(HearlessError, match=r"the same bands \[band\], got shapes \(3,\) and \(2,\)"):
        estimated_offset_db([1, 2, 3], [1, 2])
    with pytest.raises(HearlessError, match=r"a band in common, got none"):
        estimated_offset_db([1, np.nan], [np.nan, 1])
    with pytest.raises(HearlessError, match=r"at least one block"):
        median_db([])
    with pytest.raises(HearlessError, match=r"must be \[row, band\], got shape \(29,\)"):
        interpolate(np.zeros(29, np.float32))
