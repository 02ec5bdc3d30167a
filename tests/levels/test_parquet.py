from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from hearless.interfaces import HearlessError
from hearless.levels import open_levels, write_levels

from .conftest import THIRDS, join, street


def columns(n_rows: int, kind: pyarrow.DataType) -> dict[str, pyarrow.Array]:
    return {f"LZeq_{hz:g}": pyarrow.array(street(n_rows)[:, band]).cast(kind) for band, hz in enumerate(THIRDS)}


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["Europe/Paris", None])
def test_timestamps_of_any_unit_read(tmp_path: Path, unit: str, zone: str | None) -> None:
    stamps = np.datetime64("2024-06-01T12:00", "ms") + 125 * np.arange(50)
    clock = pyarrow.array(stamps).cast(pyarrow.timestamp(unit, tz=zone))
    parquet.write_table(pyarrow.table({**columns(50, pyarrow.float64()), "date": clock}), tmp_path / "log.parquet")
    log = open_levels(tmp_path / "log.parquet")
    assert (log.table.interval_s, log.table.n_rows) == (0.125, 50)
    start = datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert log.table.start == (start if zone else start.replace(tzinfo=None))
    np.testing.assert_allclose(join(log).times_s, start.timestamp() + 0.125 * np.arange(50), atol=1e-6)


@pytest.mark.parametrize("kind", [pyarrow.float32(), pyarrow.float64(), pyarrow.decimal128(6, 1), pyarrow.string()])
def test_numbers_of_any_type_read_and_nulls_are_missing(tmp_path: Path, kind: pyarrow.DataType) -> None:
    table = columns(30, pyarrow.float64())
    table["LZeq_1000"] = pyarrow.array([None if row == 7 else 50.5 for row in range(30)])
    turned = {name: column.cast(kind, safe=False) for name, column in table.items()}
    iso = [f"2024-06-01T12:00:{row:02}Z" for row in range(30)]
    parquet.write_table(pyarrow.table({"time": iso, **turned}), tmp_path / "log.parquet")
    read = join(open_levels(tmp_path / "log.parquet"))
    expected = street(30)
    expected[:, 17], expected[7, 17] = 50.5, np.nan
    np.testing.assert_allclose(read.levels_db, expected, atol=0.051 if pyarrow.types.is_decimal(kind) else 0)


@pytest.mark.parametrize("start_row", [0, 99, 100, 101, 850, 1000])
def test_any_row_group_is_a_place_to_start(tmp_path: Path, start_row: int) -> None:
    table = pyarrow.table({"time": np.arange(1000.0), **columns(1000, pyarrow.float32())})
    parquet.write_table(table, tmp_path / "log.parquet", row_group_size=100)
    log = open_levels(tmp_path / "log.parquet")
    if start_row == 1000:
        assert list(log.blocks(64, start_row)) == []
        return
    read = join(log, 64, start_row)
    np.testing.assert_array_equal(read.times_s, np.arange(start_row, 1000))
    np.testing.assert_array_equal(read.levels_db, street(1000)[start_row:])


def test_a_large_file_is_read_in_small_batches(tmp_path: Path) -> None:
    write_levels(tmp_path / "log.parquet", street(200_000), THIRDS, 0.125)
    before = pyarrow.total_allocated_bytes()
    high = 0
    for block in open_levels(tmp_path / "log.parquet").blocks(1024):
        assert block.levels_db.shape[1] == 29
        high = max(high, pyarrow.total_allocated_bytes() - before)
    assert high < 200_000 * 29 * 4 / 2


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.parquet").write_bytes(b"time,20,25")
    with pytest.raises(HearlessError, match=r"no Parquet file that can be read"):
        open_levels(tmp_path / "log.parquet")
    table = {"time": np.arange(5.0), **columns(5, pyarrow.float32()), "LZeq_20": ["loud"] * 5}
    parquet.write_table(pyarrow.table(table), tmp_path / "log.parquet")
    with pytest.raises(HearlessError, match=r"levels must be numbers, got string"):
        open_levels(tmp_path / "log.parquet")
