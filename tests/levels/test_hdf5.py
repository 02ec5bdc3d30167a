from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import open_levels

from .conftest import OCTAVES, THIRDS, join, street


def test_a_table_and_its_clock_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "log.h5", "w") as file:
        file["node7/fast_125ms"] = street(50)
        file["node7/fast_125ms"].attrs["bands_hz"] = THIRDS
        file["node7/time"] = np.arange(50) * 0.125 + 1717243200
        file["other/time"] = np.arange(50)
    log = open_levels(tmp_path / "log.h5")
    assert (log.table.interval_s, log.table.n_rows, log.table.ignored) == (0.125, 50, ())
    read = join(log, 11)
    np.testing.assert_array_equal(read.levels_db, street(50))
    np.testing.assert_allclose(read.times_s, np.arange(50) * 0.125 + 1717243200)


def test_a_data_set_a_band_reads(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "log.hdf5", "w") as file:
        for band, hz in enumerate(OCTAVES):
            file[f"{hz:g} Hz"] = street(30, 10)[:, band]
        file["time"] = [f"2024-06-01T12:00:{second:02}" for second in range(30)]
        file["LAeq"] = np.zeros(30)
    log = open_levels(tmp_path / "log.hdf5")
    assert (log.table.kind, log.table.ignored) == ("1/1", ("LAeq",))
    np.testing.assert_array_equal(join(log, 7, 3).levels_db, street(30, 10)[3:])


def test_one_of_two_tables_is_chosen_by_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "log.h5", "w") as file:
        file["fast"], file["slow"] = street(50), street(9, seed=1)
    with pytest.raises(HearlessError, match=r"must hold one table, got fast, slow; say which with columns="):
        open_levels(tmp_path / "log.h5")
    log = open_levels(tmp_path / "log.h5", columns="slow", columns_hz=np.array(THIRDS), interval_s=1.0)
    np.testing.assert_array_equal(join(log).levels_db, street(9, seed=1))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.h5").write_bytes(b"time,20,25")
    with pytest.raises(HearlessError, match=r"no HDF5 file that can be read"):
        open_levels(tmp_path / "log.h5")
    with h5py.File(tmp_path / "log.h5", "w") as file:
        file["levels"] = street(5)
    with pytest.raises(HearlessError, match=r"names no bands; say in columns_hz what its 29 columns are"):
        open_levels(tmp_path / "log.h5")
    with h5py.File(tmp_path / "log.h5", "w") as file:
        file.create_group("empty")
    with pytest.raises(HearlessError, match=r"must name at least 5 bands"):
        open_levels(tmp_path / "log.h5")
