"""Tables read back by csv, pyarrow, and by hand as Raven and Audacity read them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet
import pytest

from hearless.interfaces import HearlessError
from hearless.writing import RAVEN, Marked, audacity, format_of, lines, raven, to_parquet

MARKS = [
    Marked("a.wav", 0.5, 1.25, "dog, small", 0.9),
    Marked("b\tc.wav", 0.0, 2.0, "rain\nheavy", 0.51239, before_s=10.0),
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x.csv", "csv"),
        ("x.PARQUET", "parquet"),
        ("x.Table.1.selections.txt", "raven"),
        ("x.txt", "audacity"),
    ],
)
def test_the_ending_tells_the_format(name: str, found: str) -> None:
    assert format_of(Path(name)) == found
    assert format_of(Path(name), "raven") == "raven"


def test_an_ending_that_tells_nothing_is_refused() -> None:
    with pytest.raises(HearlessError, match=r"a table ends in \.csv, .*, got '.xlsx'"):
        format_of(Path("x.xlsx"))
    with pytest.raises(HearlessError, match="format must be one of csv, parquet, raven, audacity, got 'excel'"):
        format_of(Path("x.csv"), "excel")


def test_csv_reads_back() -> None:
    rows = [["path", "label"], ["a,b\nc.wav", 'say "dog"'], ["é.wav", ""]]
    assert list(csv.reader(io.StringIO(lines(rows).decode(), newline=""))) == rows
    assert b"\\udcff" in lines([["\udcff.wav"]])  # a name that is no UTF-8


def test_a_raven_table_counts_times_over_all_files() -> None:
    rows = list(csv.DictReader(io.StringIO(b"".join(raven(MARKS, 4000)).decode()), delimiter="\t"))
    assert tuple(rows[0]) == RAVEN
    assert [(row["Selection"], row["Begin Time (s)"], row["End Time (s)"], row["File Offset (s)"]) for row in rows] == [
        ("1", "0.500000", "1.250000", "0.500000"),
        ("2", "10.000000", "12.000000", "0.000000"),
    ]
    assert [(row["Begin Path"], row["Label"], row["Score"]) for row in rows] == [
        ("a.wav", "dog, small", "0.9000"), ("b c.wav", "rain heavy", "0.5124"),
    ]  # fmt: skip
    assert {(row["Low Freq (Hz)"], row["High Freq (Hz)"]) for row in rows} == {("0", "4000")}


def test_an_audacity_track_has_a_line_a_label() -> None:
    text = b"".join(audacity(MARKS)).decode()
    assert text == "0.500000\t1.250000\tdog, small 0.90\n0.000000\t2.000000\train heavy 0.51\n"


def test_parquet_has_the_types_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(lines([["path", "score", "named"], ["a\nb.wav", 0.25, 1], ["c.wav", "", ""]]))
    types = {"path": "string", "score": "double", "named": "int8"}
    to_parquet(tmp_path / "x.csv", tmp_path / "x.parquet", types)
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "double", "int8"]
    assert table.to_pylist() == [
        {"path": "a\nb.wav", "score": 0.25, "named": 1}, {"path": "c.wav", "score": None, "named": None},
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.parquet"]
