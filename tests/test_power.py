"""Battery hours against paper 000's table, laws of a line, and wrong input."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearless.interfaces import HearlessError
from hearless.power import PAPER, CurrentTable, battery_hours, current_ma, read_currents

TWO = CurrentTable((1000, 3000), (2.0, 4.0), "a board")


@pytest.mark.parametrize(("rate_hz", "printed_h"), [(16000, 50.6), (2000, 58.4), (1000, 59.6)])
def test_the_papers_hours_within_their_rounding(rate_hz: int, printed_h: float) -> None:
    current = current_ma(PAPER, rate_hz)
    assert abs(battery_hours(300, current.ma) - printed_h) <= 0.05
    assert "58.4 h" in current.basis
    assert current.warning == ""


@pytest.mark.data
def test_the_papers_table_as_it_was_copied(shared: Path) -> None:
    with (shared / "papers" / "tables" / "000_table3_power_privacy.csv").open() as file:
        rows = {int(row["sampling_rate_hz"]): row for row in csv.DictReader(file)}
    assert tuple(sorted(rows)) == PAPER.rates_hz
    for rate_hz, ma in zip(PAPER.rates_hz, PAPER.currents_ma, strict=True):
        assert float(rows[rate_hz]["current_mA_implied_low"]) <= ma <= float(rows[rate_hz]["current_mA_implied_high"])


def test_between_points_lies_a_line_of_its_own() -> None:
    middle = current_ma(PAPER, 9000)
    assert middle.ma == pytest.approx((5.137 + 5.93) / 2)
    assert middle.basis.startswith("interpolated between 2000 and 16000 Hz")
    assert current_ma(PAPER, 1500).ma == pytest.approx((5.03 + 5.137) / 2)


@given(st.floats(1000, 3000))
def test_a_straight_table_is_a_straight_line(rate_hz: float) -> None:
    assert current_ma(TWO, rate_hz).ma == pytest.approx(1 + rate_hz / 1000)


@pytest.mark.parametrize("rate_hz", [999.9, 3000.1, 0, -5, float("nan"), float("inf")])
def test_beyond_the_table_nothing_is_said(rate_hz: float) -> None:
    with pytest.raises(HearlessError, match=r"must lie in 1000 … 3000 Hz.*measure the device there, or ask"):
        current_ma(TWO, rate_hz)


def test_extrapolation_on_request_warns() -> None:
    below, above = (current_ma(TWO, rate_hz, extrapolate=True) for rate_hz in (500, 8000))
    assert (below.ma, above.ma) == (pytest.approx(1.5), pytest.approx(9.0))
    assert below.warning == "nothing was measured at 500 Hz: 1.500 mA follows the line through 1000 and 3000 Hz"
    assert above.basis == "extrapolated (a board)"
    assert current_ma(TWO, 2000, extrapolate=True).warning == ""
    assert current_ma(PAPER, 500, extrapolate=True).ma == pytest.approx(5.03 - 0.107 / 2)


def test_extrapolation_that_cannot_be() -> None:
    with pytest.raises(HearlessError, match="needs 2 points, a board has 1"):
        current_ma(CurrentTable((1000,), (2.0,), "a board"), 500, extrapolate=True)
    steep = CurrentTable((1000, 2000), (1.0, 3.0), "steep")
    with pytest.raises(HearlessError, match=r"must stay in .* got -0.5 mA at 250 Hz"):
        current_ma(steep, 250, extrapolate=True)
    with pytest.raises(HearlessError, match="must lie in"):
        current_ma(TWO, float("nan"), extrapolate=True)


def test_a_sleeper_lasts_as_its_mean_current() -> None:
    assert battery_hours(300, 5.0, duty_cycle=0.1, sleep_ma=0.05) == pytest.approx(300 / 0.545)
    assert battery_hours(300, 5.0, duty_cycle=1.0, sleep_ma=0.05) == battery_hours(300, 5.0) == 60
    assert battery_hours(300, 5.0, duty_cycle=0.3, sleep_ma=5.0) == pytest.approx(60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"capacity_mah": 0}, "capacity_mah must be a number above 0, got 0"),
        ({"current_ma": float("inf")}, "current_ma must be a number above 0, got inf"),
        ({"duty_cycle": 10}, "duty_cycle must be a share above 0 and at most 1, got 10; 0.1 is a tenth"),
        ({"duty_cycle": 0.5}, "sleep_ma must be what the device draws asleep.*got None; measure it"),
        ({"duty_cycle": 0.5, "sleep_ma": 6.0}, "from 0 to its 5 mA awake, got 6.0"),
    ],
)
def test_hours_that_cannot_be(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        battery_hours(**{"capacity_mah": 300, "current_ma": 5} | arguments)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_reads_a_table_of_ones_own(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "board.csv"
    rows = ["note,rate_hz,mA", "wake,16000,1.9", "", "idle,250,0.4"]
    path.write_text("\ufeff" + "\n".join(rows).replace(",", mark) + "\n", encoding="utf-8")
    table = read_currents(path)
    assert table == CurrentTable((250, 16000), (0.4, 1.9), "board.csv")
    assert current_ma(table, 8125).ma == pytest.approx(1.15)


def test_all_wrong_rows_in_one_error(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text(
        "rate_hz,mA\n1000,5.03\n1000,5.1\n2000,5137\n4000,0.005\n8k,5.3\n0.5,5\n16000\n32000,nan\n64000,-3.3\n"
    )
    with pytest.raises(HearlessError) as caught:
        read_currents(path)
    said = str(caught.value)
    for part in (
        "row 3: 1000 Hz comes twice (5.03 and 5.1 mA); keep one",
        "row 4: a current must lie in 0.01 … 1000 mA, got 5137; if it is in microamperes divide it by 1000",
        "row 5: a current must lie in 0.01 … 1000 mA, got 0.005",
        "row 6: rate_hz and mA must be numbers with a decimal point, got '8k' and '5.3'",
        "row 7: rate_hz must be a whole number of 100 or more, got '0.5'",
        "row 8: rate_hz and mA must be numbers with a decimal point, got '16000' and ''",
        "row 9: a current must lie in 0.01 … 1000 mA, got nan",
        "row 10: a current must lie in 0.01 … 1000 mA, got -3.3; give what the device draws as a number above 0",
    ):
        assert part in said
    assert said.count("\n- ") == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate_hz,uA\n1000,5030\n", "must have the columns rate_hz and mA once each, got rate_hz, uA"),
        ("rate_hz,mA,mA\n1000,5,5\n", "once each"),
        ("", "got none"),
        ("rate_hz,mA\n", "no rows below the column names"),
    ],
)
def test_no_table(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "board.csv"
    path.write_text(text)
    with pytest.raises(HearlessError, match=said):
        read_currents(path)
    with pytest.raises(HearlessError, match="must be a CSV file"):
        read_currents(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("rates_hz", "currents_ma", "said"),
    [
        ((), (), "a point or more, got 0 and 0"),
        ((1000,), (1.0, 2.0), "must pair up"),
        ((2000, 1000), (1.0, 2.0), "rates_hz must rise"),
        ((0, 1000), (1.0, 2.0), "rise from above 0"),
        ((1000,), (5030.0,), "divide it by 1000.* at 1000 Hz"),
    ],
)
def test_a_table_that_cannot_be(rates_hz: tuple[int, ...], currents_ma: tuple[float, ...], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        CurrentTable(rates_hz, currents_ma, "a board")
