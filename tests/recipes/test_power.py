"""The power study against paper 000's Table 3, a user's own currents, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hearless import door
from hearless.cli import app
from hearless.interfaces import HearlessError
from hearless.report import Report


def asked(place: Path, **words: object) -> Report:
    return door.study("low_rate/power", place=place, **words)


def hours(report: Report) -> dict[str, float]:
    return {row.label: row.metrics["battery"].value for row in report.rows if not row.hole}


def test_the_papers_hours_and_those_between(tmp_path: Path) -> None:
    report = asked(tmp_path)
    found = hours(report)
    assert list(found) == ["16 kHz", "8 kHz", "4 kHz", "2 kHz", "1 kHz"]
    for row in report.rows:
        if row.published:
            assert abs(row.metrics["battery"].value - row.published["battery"]) <= 0.05
    assert sum(bool(row.published) for row in report.rows) == 3
    assert found["8 kHz"] == pytest.approx(300 / (5.137 + (5.93 - 5.137) * 6 / 14))
    basis = {row.label: row.condition["basis"] for row in report.rows}
    assert (basis["1 kHz"], basis["4 kHz"]) == ("measured", "interpolated between 2000 and 16000 Hz")
    assert (tmp_path / "bars.png").stat().st_size > 1000


def test_beyond_the_measured_rates_is_a_hole_unless_asked_for(tmp_path: Path) -> None:
    low = asked(tmp_path, rates=(500, 1000)).rows[1]
    assert low.label == "500 Hz"
    assert "measure the device there" in low.hole
    report = asked(tmp_path, rates=(500, 1000), extrapolate="yes")
    assert hours(report)["500 Hz"] == pytest.approx(300 / (5.03 - 0.107 / 2))
    assert "nothing was measured at 500 Hz" in report.notes[0]


def test_own_currents_a_battery_and_sleep(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("rate_hz,mA\n4000,3.0\n500,1.0\n")
    report = asked(
        tmp_path, currents=str(table), battery_mah="100", duty_cycle="0.1", sleep_ma="0.1", rates=(500, 4000)
    )
    assert hours(report) == {"4 kHz": pytest.approx(100 / 0.39), "500 Hz": pytest.approx(100 / 0.19)}
    assert "mine.csv" in report.task
    assert not any(row.published for row in report.rows)
    assert not math.isnan(report.rows[0].metrics["current"].value)


def test_the_command_prints_the_table_and_where_it_lies(tmp_path: Path) -> None:
    typed = ["study", "low_rate/power", "--rates", "1000,250", "--runs", str(tmp_path)]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == 1  # 250 Hz is a hole
    assert "59.6" in done.output
    assert "missing: 250 Hz: rate_hz must lie in 1000 … 16000 Hz" in done.output
    place = tmp_path / "studies" / "low_rate" / "power"
    assert {path.name for path in place.iterdir()} == {"report.md", "report.csv", "report.json", "bars.png"}
    assert CliRunner().invoke(app, [*typed[:2], "--runs", str(tmp_path)]).exit_code == 0


def test_what_it_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"takes currents, battery_mah.* got epochs"):
        asked(tmp_path, epochs="3")
    with pytest.raises(HearlessError, match="sleep_ma must be what the device draws"):
        asked(tmp_path, duty_cycle="0.5")
    with pytest.raises(HearlessError, match="must be float, got 'much'"):
        asked(tmp_path, battery_mah="much")
