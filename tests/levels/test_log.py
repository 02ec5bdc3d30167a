from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog, open_levels, write_levels

from .conftest import THIRDS, join, street


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> LevelLog:
    """A log with gaps, a clock set back, another interval, broken lines and values."""
    steps = np.r_[np.ones(1500), 40.0, np.ones(99), -500, np.ones(400), np.full(50, 0.125), np.ones(949)]
    times, cells = np.cumsum(steps).astype(object), street(3000).astype(object)
    times[700], cells[800, 3], cells[1023:1026], cells[2500, 0] = "noon", "loud", "-inf", 999
    lines = [",".join(map(str, [time, *row])) for time, row in zip(times, cells, strict=True)]
    lines[300], lines[301], lines[2999] = "x", "", lines[2999][:20]
    path = tmp_path_factory.mktemp("troubled") / "log.csv"
    path.write_text("\n".join([",".join(map(str, ["time", *THIRDS])), *lines]))
    return open_levels(path, on_error="mark")


def test_every_row_is_delivered_or_listed(troubled: LevelLog) -> None:
    read = join(troubled)
    rows = {row for block in read.blocks for row in range(block.first_row, block.next_row)}
    left_out = {row for rule, row in read.notes if rule in ("line", "time", "interval")}
    assert rows | left_out == set(range(2999))  # the blank line is no row
    assert rows & left_out == set()
    assert {rule for rule, _ in read.notes} == {"line", "time", "value", "silence", "gap", "clock", "interval"}


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_rows=st.integers(1, 4000))
def test_the_size_of_blocks_changes_nothing(troubled: LevelLog, n_rows: int) -> None:
    whole, read = join(troubled, 5000), join(troubled, n_rows)
    assert max(len(block.times_s) for block in read.blocks) <= n_rows
    np.testing.assert_array_equal(read.times_s, whole.times_s)
    np.testing.assert_array_equal(read.levels_db, whole.levels_db)
    assert (read.notes, read.gaps) == (whole.notes, whole.gaps)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_rows=st.integers(1, 400), place=st.floats(0, 1))
def test_reading_resumes_after_any_block(troubled: LevelLog, n_rows: int, place: float) -> None:
    blocks = list(troubled.blocks(n_rows))
    done = int(place * (len(blocks) - 1))
    rest = list(troubled.blocks(n_rows, blocks[done].next_row))
    assert len(rest) == len(blocks) - done - 1
    for block, again in zip(blocks[done + 1 :], rest, strict=True):
        assert (again.first_row, again.gap_s, again.notes) == (block.first_row, block.gap_s, block.notes)
        np.testing.assert_array_equal(again.times_s, block.times_s)
        np.testing.assert_array_equal(again.levels_db, block.levels_db)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy", ".h5"])
def test_memory_does_not_grow_with_the_log(tmp_path: Path, suffix: str) -> None:
    peaks = []
    for n_rows in (4000, 16000):
        path = tmp_path / f"log{n_rows}{suffix}"
        write_levels(path, np.tile(street(1000), (n_rows // 1000, 1)), THIRDS, 0.125)
        log = open_levels(path)
        tracemalloc.start()
        assert sum(len(block.times_s) for block in log.blocks(1024)) == n_rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 20e6


def test_no_torch_and_no_reader_is_imported_before_it_is_needed() -> None:
    code = "import sys, hearless.levels; print(sorted({'torch', 'pyarrow', 'h5py', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_missing_extra_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "log.parquet").write_bytes(b"PAR1")
    with pytest.raises(HearlessError, match=r"needs pyarrow; run: pip install 'hearless\[levels\]'"):
        open_levels(tmp_path / "log.parquet")


def test_damage_is_found_when_it_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_levels(path, np.random.default_rng(0).normal(50, 9, (20000, 29)), THIRDS, 0.125)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200000] = bytes(200000)
    path.write_bytes(content)
    with pytest.raises(HearlessError, match=r"damaged after row"):
        join(open_levels(path))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.csv", "cannot be read .No such file"),
        ("log.xlsx", "must end in one of .csv"),
        (".", "must end in one of"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(HearlessError, match=says):
        open_levels(tmp_path / name)


def test_wrong_arguments_are_refused(table: Callable[..., Path]) -> None:
    path = table(np.arange(5.0), street(5))
    with pytest.raises(HearlessError, match=r"on_error must be one of raise, mark, got 'skip'"):
        open_levels(path, on_error="skip")
    with pytest.raises(HearlessError, match=r"n_rows must be at least 1 and start_row 0, got 0 and -1"):
        open_levels(path).blocks(0, -1)
