from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import open_levels, write_levels

from .conftest import OCTAVES, THIRDS, join, street

STARTS = [None, datetime(2024, 6, 1, 12, 0, 0, 250000), datetime(2024, 6, 1, 12, tzinfo=UTC)]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("bands_hz", "interval_s"), [(THIRDS, 0.125), (OCTAVES, 1.0)])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".npy", ".h5", ".hdf5"])
def test_what_is_written_comes_back(
    tmp_path: Path, suffix: str, bands_hz: tuple[float, ...], interval_s: float, start: datetime | None
) -> None:
    levels = np.random.default_rng(0).normal(50, 20, (300, len(bands_hz))).astype(np.float32)
    levels[5, 3], levels[9] = np.nan, np.nan
    path = tmp_path / f"log{suffix}"
    write_levels(path, levels, bands_hz, interval_s, start=start)
    log = open_levels(path)
    assert log.table.start == start
    assert (log.table.bands_hz, log.table.interval_s, any(log.table.missing)) == (bands_hz, interval_s, False)
    read = join(log, 77)
    np.testing.assert_array_equal(read.levels_db, levels)
    zero_s = 0.0 if start is None else start.replace(tzinfo=UTC).timestamp()
    np.testing.assert_allclose(read.times_s, zero_s + interval_s * np.arange(300), atol=1e-6)
    assert (read.gaps, read.notes, list(tmp_path.glob("*.part"))) == ([], set(), [])


def test_every_format_holds_the_same(tmp_path: Path) -> None:
    start = datetime(2024, 6, 1, 12, tzinfo=UTC) + timedelta(microseconds=125)
    read = []
    for suffix in (".csv", ".tsv", ".parquet", ".npy", ".h5"):
        write_levels(tmp_path / f"log{suffix}", street(40), THIRDS, 0.125, start=start)
        read.append(join(open_levels(tmp_path / f"log{suffix}")))
    for other in read[1:]:
        np.testing.assert_array_equal(other.levels_db, read[0].levels_db)
        np.testing.assert_allclose(other.times_s, read[0].times_s, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape", "interval_s", "says"),
    [
        ("log.xlsx", (5, 29), 1.0, "must end in one of .csv, .tsv, .parquet, .npy, .h5, .hdf5, got '.xlsx'"),
        ("log.csv", (5, 28), 1.0, r"\[row, band\] with 29 bands .* got shape \(5, 28\)"),
        ("log.csv", (29,), 1.0, r"got shape \(29,\)"),
        ("log.csv", (5, 29), 0.0, "interval_s above 0, got .* and 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], interval_s: float, says: str
) -> None:
    with pytest.raises(HearlessError, match=says):
        write_levels(tmp_path / name, np.zeros(shape), THIRDS, interval_s)
    assert list(tmp_path.iterdir()) == []
