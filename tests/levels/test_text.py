from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import open_levels

from .conftest import THIRDS, join, street


def test_it_reads_what_arrow_reads(table: Callable[..., Path]) -> None:
    path = table(np.arange(500) * 0.125, street(500))
    expected = pyarrow.csv.read_csv(path)
    read = join(open_levels(path))
    np.testing.assert_array_equal(read.times_s, expected.column("time").to_numpy())
    for band, hz in enumerate(THIRDS):
        np.testing.assert_array_equal(read.levels_db[:, band], expected.column(str(hz)).to_numpy().astype(np.float32))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("mark", "comma"), [(",", False), (";", False), ("\t", False), (";", True), ("\t", True)])
def test_every_dialect_reads(tmp_path: Path, mark: str, comma: bool, newline: str, encoding: str) -> None:
    levels = street(12)
    rows = [["time", *THIRDS], *([f"2024-06-01 12:00:{row:02}.000", *level] for row, level in enumerate(levels))]
    lines = [mark.join(map(str, row)) for row in rows]
    body = newline.join(line.replace(".", ",") if comma else line for line in lines)
    head = newline.join(["Meter 2250", "Place: quay", "", "#" + mark * 31])
    (tmp_path / "log.txt").write_bytes((head + newline + body + newline + newline).encode(encoding))
    log = open_levels(tmp_path / "log.txt")
    assert log.table.interval_s == 1.0
    np.testing.assert_array_equal(join(log).levels_db, levels)


@pytest.mark.parametrize("blank", ["", " ", "NA", "nan", "null", "-", "--"])
def test_empty_cells_are_missing(table: Callable[..., Path], blank: str) -> None:
    cells = street(20).astype(object)
    cells[7, 3] = cells[8] = blank
    cells[8] = blank
    read = join(open_levels(table(np.arange(20.0), cells)))
    cells[7, 3] = cells[8] = np.nan
    np.testing.assert_array_equal(read.levels_db, cells.astype(np.float32))
    assert (read.notes, read.gaps) == (set(), [])


def test_quoted_cells_and_trailing_marks_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('"time","31.5 Hz","63","125","250","500"\n"0","1.5",2,3,4,5,\n1,6,7,8,9,10,,\n')
    read = join(open_levels(tmp_path / "log.csv"))
    np.testing.assert_array_equal(read.levels_db[:, :5], [[1.5, 2, 3, 4, 5], [6, 7, 8, 9, 10]])


def test_lines_of_another_length_are_errors_or_listed(table: Callable[..., Path]) -> None:
    levels = street(20)
    path = table(np.arange(20.0), levels)
    lines = path.read_text().splitlines()
    lines[6], lines[20] = lines[6] + ",1", lines[20][:30]  # glued, and cut off as power failed
    path.write_text("\n".join(lines))
    with pytest.raises(HearlessError, match=r"row 5 .*a row must have 30 cells, got 31"):
        join(open_levels(path))
    for time_column in (None, ""):
        read = join(open_levels(path, on_error="mark", interval_s=1.0, time_column=time_column))
        assert read.notes == {("line", 5), ("line", 19)}
        assert (read.gaps, read.blocks[-1].next_row) == ([(4.0, 6.0)], 20)
        np.testing.assert_array_equal(read.levels_db, np.delete(levels, [5, 19], axis=0))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must hold levels, got 0 bytes"),
        (b"\n\n", "got no line of text"),
        (b"PAR1\0\0\0", "must be text, got NUL bytes"),
        (b"time,31.5,63,125,250,500\n", "a header and no row"),
        (b"50.1,40.2\n" * 5, "at least 5 bands by their centre frequencies .* got 40 Hz, 50 Hz; columns: 50.1, 40.2"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(HearlessError, match=says):
        open_levels(tmp_path / "log.csv")


def test_text_has_its_own_names(table: Callable[..., Path]) -> None:
    with pytest.raises(HearlessError, match=r"names its bands in a header; leave columns_hz out"):
        open_levels(table(np.arange(5.0), street(5)), columns_hz=THIRDS)


def test_levels_that_look_like_centres_are_no_header(tmp_path: Path) -> None:
    names = [f"band {number}" for number in range(1, 12)]
    rows = [[20, 25, 31.5, 40, 50, 63, 80, 70, 60, 50.1, 40], [80, 63, 50, 40, 31.5, 25, 20, 33, 44, 55, 66]]
    (tmp_path / "log.csv").write_text("\n".join(",".join(map(str, row)) for row in [names, *rows]))
    with pytest.raises(HearlessError, match=r"at least 5 bands .* columns: band 1, band 2"):
        open_levels(tmp_path / "log.csv")
