from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import open_levels

from .conftest import join, street


def pressure(levels_db: np.ndarray) -> np.ndarray:
    return 20e-6 * 10 ** (levels_db / 20)


@pytest.mark.parametrize(
    ("turned", "says"),
    [
        (pressure, "levels in dB, got values from .*: pressure in Pa.*write levels in dB"),
        (lambda levels: pressure(levels) ** 2, "pressure in Pa, or power"),
        (lambda levels: 1e6 * pressure(levels), "got a median of .*: power or µPa"),
        (lambda levels: 10 ** (levels / 10), "got a median of .*: power or µPa"),
        (lambda levels: 0 * levels, "its first 30 rows are all zero"),
        (lambda levels: np.full_like(levels, -np.inf), "its first 30 rows hold none"),
        (lambda levels: np.full_like(levels, np.nan), "its first 30 rows hold none"),
    ],
)
def test_what_is_no_level_is_refused(table: Callable[..., Path], turned: Callable[..., np.ndarray], says: str) -> None:
    with pytest.raises(HearlessError, match=says):
        open_levels(table(np.arange(30.0), turned(street(30).astype(np.float64))))


@pytest.mark.parametrize("offset_db", [-120.0, -50.0, 0.0, 60.0])
def test_levels_of_any_reference_are_levels(table: Callable[..., Path], offset_db: float) -> None:
    levels = (street(30) + np.float32(offset_db)).round(1)
    np.testing.assert_array_equal(join(open_levels(table(np.arange(30.0), levels))).levels_db, levels)


def test_silence_codes_and_zeros_are_missing_and_listed(table: Callable[..., Path]) -> None:
    levels = street(40)
    levels[3, 2], levels[4, 5], levels[20:25] = -np.inf, -999, 0
    levels[30, 7] = 0  # a level of 0 dB among others is one
    read = join(open_levels(table(np.arange(40.0), levels)))
    assert read.notes == {("silence", 3), ("silence", 4), *(("zero", row) for row in range(20, 25))}
    levels[3, 2] = levels[4, 5] = levels[20:25] = np.nan
    np.testing.assert_array_equal(read.levels_db, levels)


@pytest.mark.parametrize(("value", "got"), [("999", "got 999"), ("inf", "got inf"), ("loud", "a number, got 'loud'")])
def test_single_values_that_are_no_level(table: Callable[..., Path], value: str, got: str) -> None:
    cells = street(30).astype(object)
    cells[9, 4] = value
    path = table(np.arange(30.0), cells)
    with pytest.raises(HearlessError, match=rf"log.csv, row 9 .*{got}"):
        join(open_levels(path))
    read = join(open_levels(path, on_error="mark"))
    cells[9, 4] = np.nan
    np.testing.assert_array_equal(read.levels_db, cells.astype(np.float32))
    assert read.notes == {("value", 9)}


def test_a_log_may_begin_with_nothing_where_it_is_marked(table: Callable[..., Path]) -> None:
    levels = np.zeros((5000, 29), np.float32)
    levels[4500:] = street(500)
    path = table(np.arange(5000.0), levels)
    with pytest.raises(HearlessError, match=r"its first 4096 rows are all zero"):
        open_levels(path)
    read = join(open_levels(path, on_error="mark"), 1000)
    assert read.notes == {("zero", row) for row in range(4500)}
    np.testing.assert_array_equal(read.levels_db[4500:], levels[4500:])


def test_power_without_a_negative_value_is_no_level(table: Callable[..., Path]) -> None:
    power = 10 ** (street(40) / 10) * 1e-6
    assert 0 < np.median(power) < 20 < power.max() * 1e4
    power[5] = 1e3 * np.median(power)
    with pytest.raises(HearlessError, match=r"must hold levels in dB, got values from .*: pressure in Pa, or power\?"):
        open_levels(table(range(40), power))


@pytest.mark.parametrize("code", [-99.0, -99.9, -100.0])
def test_a_code_in_all_bands_is_missing_and_said_so(table: Callable[..., Path], code: float) -> None:
    levels_db = street(20)
    levels_db[4:8], levels_db[10, 3] = code, code
    read = join(open_levels(table(range(20), levels_db)))
    assert np.isnan(read.levels_db).all(1).tolist() == [4 <= row < 8 for row in range(20)]
    assert {("code", row) for row in range(4, 8)} <= read.notes
