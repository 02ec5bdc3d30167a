from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog
from hearless.logs import COLUMNS, LevelListener, Stretch, Wanted, by_hour, read_table, rows_of, write
from hearless.logs.tables import moment

LABELS = ("low", "mid, middle", "high")


def test_times_are_written_as_the_logs_are() -> None:
    noon_s = datetime(2024, 6, 1, 12, tzinfo=UTC).timestamp()
    assert moment(noon_s + 0.1249999, datetime(2024, 1, 1)) == "2024-06-01T12:00:00.125"
    assert moment(noon_s, datetime(2024, 1, 1, tzinfo=UTC)) == "2024-06-01T12:00:00.000+00:00"
    assert moment(12.125, None) == "12.125"


def test_a_stretch_is_a_row_a_label(log: Callable[..., LevelLog], street: Any) -> None:
    table, one = log(street(80), None).table, Stretch(0.0, 1.0, np.array([0.1, 0.98765, 0.5]), 0.25)
    said = [(row[2], row[3]) for row in rows_of(one, table, LABELS, Wanted(top=2))]
    assert said == [("mid, middle", "0.9877"), ("high", "0.5")]
    only = rows_of(one, table, LABELS, Wanted(only=("high", "low")))
    assert only == [("0.000", "1.000", "high", "0.5", "0.25"), ("0.000", "1.000", "low", "0.1", "0.25")]
    assert rows_of(Stretch(1.0, 9.0, np.zeros(0), 1.0), table, LABELS, Wanted()) == [("1.000", "9.000", "", "", "1")]


@pytest.mark.parametrize("start", [None, datetime(2024, 6, 1, 23), datetime(2024, 6, 1, 23, tzinfo=UTC)])
def test_parquet_holds_what_csv_holds(
    log: Callable[..., LevelLog], street: Any, listener: LevelListener, tmp_path: Path, start: datetime | None
) -> None:
    levels_db = street(320)
    levels_db[80:160] = np.nan
    opened, found = log(levels_db, start), []
    for ending in ("csv", "parquet"):
        write(opened, listener, tmp_path / f"out.{ending}", Wanted())
        found.append(list(read_table(tmp_path / f"out.{ending}")))
    assert not (tmp_path / "out.parquet.partial").exists()
    text, columns = found
    assert [row[:3] for row in text] == [row[:3] for row in columns]
    for place in (3, 4):
        np.testing.assert_allclose([row[place] for row in text], [row[place] for row in columns], rtol=1e-6)
    assert [row[2] for row in text].count("") == 10
    assert math.isnan(next(row[3] for row in text if not row[2]))


def test_the_mean_by_hour_counts_each_row_by_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    text = """
        2024-06-01T08:00:00,2024-06-01T08:30:00,car,0.8,0
        2024-06-01T08:00:00,2024-06-01T08:30:00,dog,0.2,0
        2024-06-01T08:30:00,2024-06-01T09:00:00,car,0.4,0.5
        2024-06-01T09:00:00,2024-06-01T10:00:00,,,1
        2024-06-02T08:00:00,2024-06-02T08:30:00,dog,1.0,0
        2024-06-02T23:30:00,2024-06-03T00:00:00,dog,0.5,0
    """
    path.write_text("\n".join([",".join(COLUMNS), *text.split()]) + "\n")
    found = by_hour(path)
    assert found.labels == ("dog", "car")
    assert found.days == (date(2024, 6, 1), date(2024, 6, 2))
    assert found.heard_s[[8, 9, 23]].tolist() == [1800 + 900 + 1800, 0, 1800]
    car = (0.8 * 1800 + 0.4 * 900) / 4500
    np.testing.assert_allclose(found.scores[:, 8], [(0.2 * 1800 + 1800) / 4500, car])
    assert found.scores[:, 23].tolist() == [0.5, 0.0]
    assert np.isnan(found.scores).sum() == 22 * 2
    assert found.clock == "hour of the log's clock"
    first = by_hour(path, date(2024, 6, 1))
    assert (first.labels, first.days) == (("car", "dog"), (date(2024, 6, 1),))
    with pytest.raises(HearlessError, match="has nothing heard on 2024-06-05"):
        by_hour(path, date(2024, 6, 5))
    path.write_text(",".join(COLUMNS) + "\n2024-06-01T08:00:00,2024-06-01T12:00:00,car,1,0\n")
    with pytest.raises(HearlessError, match="rows must last an hour or less to be drawn by hour, got 14400 s"):
        by_hour(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(HearlessError, match="must be a table of sources with columns start, end"):
        by_hour(path)


@pytest.mark.parametrize(
    ("start", "clock"), [(None, "hour since the log began"), (datetime(2024, 6, 1, 12, tzinfo=UTC), "hour (UTC)")]
)
def test_hours_are_said_to_be_what_they_are(
    log: Callable[..., LevelLog], street: Any, listener: LevelListener, tmp_path: Path, start: Any, clock: str
) -> None:
    for ending in ("csv", "parquet"):
        write(log(street(80), start), listener, tmp_path / f"out.{ending}", Wanted())
        assert by_hour(tmp_path / f"out.{ending}").clock == clock
