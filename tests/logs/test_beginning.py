"""The beginning of a log: its first rows, filled where something is missing, cut at the first break."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog
from hearless.logs import beginning

Street = Callable[..., NDArray[np.float32]]
Log = Callable[..., LevelLog]


def test_it_is_the_first_rows(street: Street, log: Log) -> None:
    levels_db = street(100)
    for n_rows in (1, 8, 90, 100):
        found, n_there = beginning(log(levels_db), n_rows)
        np.testing.assert_array_equal(found, levels_db[:n_rows])
        assert n_there == n_rows


def test_a_short_log_and_a_break_end_it(street: Street, log: Log) -> None:
    levels_db = street(60)
    for opened, n in ((log(levels_db), 60), (log(levels_db, drop=slice(25, 35), name="gap.csv"), 25)):
        found, n_there = beginning(opened, 80)
        assert (found.shape, n_there) == ((80, 29), n)
        np.testing.assert_array_equal(found[:n], levels_db[:n])
        np.testing.assert_array_equal(found[n:], np.broadcast_to(levels_db[n - 1], (80 - n, 29)))


def test_what_is_missing_is_filled_from_its_neighbours(street: Street, log: Log) -> None:
    levels_db = street(20)
    whole = levels_db.copy()
    levels_db[4, 10] = np.nan
    found, _ = beginning(log(levels_db), 16)
    assert found[4, 10] == pytest.approx((whole[4, 9] + whole[4, 11]) / 2, abs=1e-4)
    assert np.isfinite(found).all()


def test_nothing_to_hear_is_refused(street: Street, log: Log) -> None:
    levels_db = street(40)
    levels_db[:20] = np.nan
    with pytest.raises(HearlessError, match="its first 2 s hold no level"):
        beginning(log(levels_db), 16)
    with pytest.raises(HearlessError, match="n_rows must be at least 1"):
        beginning(log(levels_db), 0)
