from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import open_levels

from .conftest import join, street

START = datetime(2024, 6, 1, 12, tzinfo=UTC)
EVERY = [START + timedelta(seconds=0.125 * row) for row in range(40)]
WRITTEN: dict[str, tuple[str, list[object]]] = {
    "ISO with a zone": ("time", [moment.isoformat() for moment in EVERY]),
    "ISO with Z": ("Timestamp", [moment.isoformat().replace("+00:00", "Z") for moment in EVERY]),
    "another zone": ("time", [moment.astimezone(timezone(timedelta(hours=2))).isoformat() for moment in EVERY]),
    "a blank and slashes": ("Start time", [moment.strftime("%Y/%m/%d %H:%M:%S.%f") for moment in EVERY]),
    "epoch s": ("epoch", [moment.timestamp() for moment in EVERY]),
    "epoch ms": ("time", [round(1e3 * moment.timestamp()) for moment in EVERY]),
    "epoch ns": ("time", [round(1e3 * moment.timestamp()) * 10**6 for moment in EVERY]),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_every_form_of_time_reads(table: Callable[..., Path], form: str) -> None:
    clock, stamps = WRITTEN[form]
    log = open_levels(table(stamps, street(40), clock=clock))
    assert log.table.interval_s == 0.125
    assert log.table.start == (START.replace(tzinfo=None) if "slashes" in form else START)
    read = join(log)
    np.testing.assert_allclose(read.times_s, [moment.timestamp() for moment in EVERY], atol=1e-6)
    assert (read.gaps, read.notes) == ([], set())


@pytest.mark.parametrize(("clock", "unit"), [("t", 1.0), ("time_s", 1.0), ("time [ms]", 1e-3), ("time_us", 1e-6)])
def test_relative_time_reads(table: Callable[..., Path], clock: str, unit: float) -> None:
    log = open_levels(table(np.arange(20) * 0.125 / unit, street(20), clock=clock))
    assert (log.table.interval_s, log.table.start) == (0.125, None)
    np.testing.assert_allclose(join(log).times_s, np.arange(20) * 0.125)


def test_date_and_time_apart_are_joined(tmp_path: Path) -> None:
    lines = ["Date,Time,31.5,63,125,250,500", *(f"2024-06-01,12:00:{second:02},40,41,42,43,44" for second in range(9))]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    log = open_levels(tmp_path / "log.csv")
    assert (log.table.start, log.table.interval_s) == (START.replace(tzinfo=None), 1.0)


def test_without_a_clock_rows_follow_each_other(table: Callable[..., Path]) -> None:
    stamps = ["2024-06-01 12:00:00"] * 8 + ["2024-06-01 12:00:01"] * 8
    path = table(stamps, street(16))
    log = open_levels(path, interval_s=0.125, time_column="")
    np.testing.assert_allclose(join(log).times_s, np.arange(16) * 0.125)
    with pytest.raises(HearlessError, match=r"its time goes 0 s on; give interval_s .and time_column=''"):
        open_levels(path)


def test_jitter_is_no_gap_and_an_odd_interval_is_kept(table: Callable[..., Path]) -> None:
    times_s = np.arange(2000) * 0.3 + np.random.default_rng(0).uniform(-0.05, 0.05, 2000)
    log = open_levels(table(times_s, street(2000)))
    assert log.table.interval_s == pytest.approx(0.3, abs=0.01)
    assert join(log).gaps == []


def test_a_gap_parts_the_log_and_loses_nothing(table: Callable[..., Path]) -> None:
    times_s = np.r_[0:50, 150:182, 190:200].astype(float)
    levels = street(len(times_s))
    read = join(open_levels(table(times_s, levels)), 20)
    assert read.gaps == [(49.0, 150.0), (181.0, 190.0)]
    assert [len(block.times_s) for block in read.blocks] == [20, 20, 10, 20, 12, 10]
    assert read.notes == {("gap", 50), ("gap", 82)}
    np.testing.assert_array_equal(read.times_s, times_s)
    np.testing.assert_array_equal(read.levels_db, levels)


def test_a_clock_set_back_is_an_error_or_a_break(table: Callable[..., Path]) -> None:
    times_s = np.r_[0:50, 20:60].astype(float)
    path = table(times_s, street(90))
    with pytest.raises(HearlessError, match=r"row 50 .*time must go on, it goes -29 s from the row before.*'mark'"):
        join(open_levels(path))
    read = join(open_levels(path, on_error="mark"))
    np.testing.assert_array_equal(read.times_s, times_s)
    assert (read.gaps, read.notes) == ([(49.0, 20.0)], {("clock", 50)})


@pytest.mark.parametrize("other_s", [0.125, 5.0])
def test_another_interval_is_an_error_or_listed(table: Callable[..., Path], other_s: float) -> None:
    steps = np.r_[np.ones(100), np.full(30, other_s), np.ones(20)]
    times_s, levels = np.cumsum(steps), street(150)
    path = table(times_s, levels)
    with pytest.raises(HearlessError, match=f"row 107 .*rows must be 1 s apart, these are {other_s:g} s apart"):
        join(open_levels(path))
    read = join(open_levels(path, on_error="mark"))
    assert {row for rule, row in read.notes if rule == "interval"} == set(range(107, 130))
    kept = np.r_[0:107, 130:150]
    np.testing.assert_array_equal(read.levels_db, levels[kept])
    assert read.gaps[-1] == (times_s[106], times_s[130])
    assert [block.next_row for block in read.blocks][-1] == 150


def test_unreadable_times_are_errors_or_listed(table: Callable[..., Path]) -> None:
    stamps: list[object] = [*range(30)]
    stamps[12] = "noon"
    path = table(stamps, street(30))
    with pytest.raises(HearlessError, match=r"row 12 .*a time must be readable, got 'noon'"):
        join(open_levels(path))
    read = join(open_levels(path, on_error="mark"))
    assert (read.notes, read.gaps) == ({("time", 12)}, [(11.0, 13.0)])


@pytest.mark.parametrize(
    ("times", "given", "says"),
    [
        (["01/06/2024 12:00"] * 5, {}, "times must be ISO 8601 .* got '01/06/2024 12:00' in column 'time'"),
        ([""] * 5, {}, "column 'time' must hold times, got none"),
        ([5, 4, 3, 2, 1], {}, "its time goes -1 s on"),
        ([1], {}, "it has no column for time; give interval_s"),
        (range(5), {"interval_s": 0.125}, "interval_s is said to be 0.125 s, the table's own is 1 s"),
        (range(5), {"interval_s": 0.0}, "interval_s must be at least 0.001, got 0.0"),
        (range(5), {"time_column": "clock"}, "no column 'clock' for time; it has time, 20"),
        (range(5), {"time_column": ""}, "it has no column for time; give interval_s"),
    ],
)
def test_clocks_that_tell_nothing_are_refused(
    table: Callable[..., Path], times: list[object], given: dict[str, object], says: str
) -> None:
    with pytest.raises(HearlessError, match=says):
        open_levels(table(times, street(len(times))), **given)


def test_two_columns_of_time_are_refused_until_one_is_named(table: Callable[..., Path]) -> None:
    names = ["epoch", 31.5, 63, 125, 250, 500]
    path = table(range(5), street(5, 6), names)
    with pytest.raises(HearlessError, match=r"one column for time, got time, epoch; say which with time_column"):
        open_levels(path)
    assert open_levels(path, time_column="time").table.ignored == ("epoch",)


@pytest.mark.parametrize("clock", ["Datum,Uhrzeit", "Zeit", "ts"])
def test_clocks_of_other_tongues_are_found(tmp_path: Path, clock: str) -> None:
    between = "," if "," in clock else " "
    lines = [f"{clock},31.5,63,125,250,500", *(f"01.06.2024{between}12:00:0{i},40,41,42,43,44" for i in range(9))]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    found = open_levels(tmp_path / "log.csv")
    assert (found.table.interval_s, found.table.start) == (1.0, START.replace(tzinfo=None))
    assert found.timed
