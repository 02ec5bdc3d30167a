"""The frontier: what dominates what, wishes in words, and the page made of small tables."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest

from hearless import door
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipes.low_rate import frontier
from hearless.recipes.low_rate._wish import advice, not_recoverable, parsed
from hearless.report import Report, Row
from hearless.statistics import Measure

NAN = math.nan


def rates() -> Report:
    """A table of accuracies in three classes."""

    def row(label: str, rate: str, value: float) -> Row:
        classes = {name: Measure(value) for name in ("a", "b", "c")}
        return Row(label, {"rate": rate, "network": "mn02"}, {"accuracy": Measure(value)}, per_class=classes)

    made = (
        row("16 kHz", "16 kHz", 0.9), row("raw, 2 kHz", "2 kHz", 0.3), row("CSSD, 2 kHz", "2 kHz", 0.8),
        row("CSSD, 1 kHz", "1 kHz", 0.6), Row("CSSD, 500 Hz", {"rate": "500 Hz"}, hole="stopped"),
    )  # fmt: skip
    return Report("Rates", "840 clips.", ("accuracy",), made)


def privacy() -> Report:
    def row(label: str, words: Measure, wer: float) -> Row:
        return Row(label, {}, {"words": words, "wer": Measure(wer), "words_chance": Measure(0.1)})

    made = (
        row("16 kHz", Measure(0.98, 0.97, 0.99), 0.3), row("2 kHz", Measure(0.7, 0.6, 0.8), 0.94),
        row("1 kHz", Measure(0.15, 0.09, 0.2), 0.94),
    )  # fmt: skip
    return Report("Privacy", "", ("words", "wer"), made, units={"wer": "errors / word"})


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab whose runs hold the three tables."""
    folder = tmp_path / "studies" / "low_rate"
    rates().save(folder / "rates")
    privacy().save(folder / "privacy")
    door.study("low_rate/power", lab=Lab(tmp_path, tmp_path), place=folder / "power").save(folder / "power")
    return Lab(tmp_path, tmp_path)


def asked(lab: Lab, place: Path, **words: str) -> Report:
    return door.study("low_rate/frontier", lab=lab, place=place, **words)


# --- what is better ---------------------------------------------------------------------------------------------------


def test_to_dominate_is_an_order_of_what_is_known() -> None:
    """Over all triples of values, unknown among them: never oneself, never both ways, and on from one to the next."""
    every, known = (list(itertools.product(values, repeat=n)) for values, n in (((NAN, 0.0, 1.0), 3), ((0.0, 1.0), 3)))
    assert not any(frontier.dominates(a, a) for a in every)
    assert not any(frontier.dominates(a, b) and frontier.dominates(b, a) for a, b in itertools.product(every, repeat=2))
    over = {(a, b) for a, b in itertools.product(known, repeat=2) if frontier.dominates(a, b)}
    assert len(over) == 3**3 - 2**3
    assert all((a, d) in over for (a, b), (c, d) in itertools.product(over, repeat=2) if b == c)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([2, 1], [1, 1], True), ([2, 0], [1, 1], False), ([2, NAN], [1, 1], False), ([2, 1], [1, NAN], False),
        ([2, NAN], [1, NAN], True), ([NAN], [NAN], False),
    ],
)  # fmt: skip
def test_what_only_one_knows_decides_for_none(a: list[float], b: list[float], said: bool) -> None:
    assert frontier.dominates(a, b) is said


def test_the_table_and_the_page(lab: Lab, tmp_path: Path) -> None:
    report = asked(lab, tmp_path / "out")
    rows = {row.label: row for row in report.rows}
    assert list(rows) == ["16 kHz", "raw, 2 kHz", "CSSD, 2 kHz", "CSSD, 1 kHz"]
    assert [row.condition["dominated by"] for row in report.rows] == ["", "CSSD, 2 kHz", "", ""]
    cssd = rows["CSSD, 2 kHz"].metrics
    assert cssd["battery"].value == pytest.approx(300 / 5.137)
    assert cssd["words"].value == 0.7
    assert cssd["sent"].value == 4.0
    expected = sum(p.numel() for p in MobileNetV3(n_classes=3, width=0.2).parameters()) * 4 / 1000
    assert cssd["size"].value == expected
    assert "Missing: CSSD, 500 Hz (stopped)." in report.notes
    assert "battery, not measured: 2 kHz from the hours that the paper prints." in report.notes
    assert "Take CSSD, 1 kHz (accuracy 60.0 %, battery 59.6 h, words 15.0 %" in report.notes[0]
    text = (tmp_path / "out" / "frontier.html").read_text()
    assert text.count('<tr class="grey">') == 1
    assert "Take CSSD, 1 kHz" in text
    assert (tmp_path / "out" / "frontier.png").stat().st_size > 1000


def test_what_is_missing_is_named_with_its_command(tmp_path: Path) -> None:
    rates().save(tmp_path / "mine")
    report = asked(Lab(tmp_path, tmp_path), tmp_path / "out", accuracy=str(tmp_path / "mine"), wish="best accuracy")
    notes = " ".join(report.notes)
    assert f"Missing: power; hearless study low_rate/power --runs {tmp_path} makes it." in notes
    assert "Missing: privacy; hearless study low_rate/privacy --set speech=DIR" in notes
    assert report.columns == ("accuracy", "size", "sent")
    assert "Take 16 kHz" in report.notes[0]
    with pytest.raises(HearlessError, match=r"make one with hearless study low_rate/rates --runs .* or name one"):
        asked(Lab(tmp_path, tmp_path), tmp_path / "out")


# --- wishes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("battery >= 58, best accuracy", "Take CSSD, 2 kHz"),
        ("battery > 59, best accuracy", "Take CSSD, 1 kHz"),
        ("accuracy ≥ 70 %, least words", "Take CSSD, 2 kHz"),
        ("accuracy >= 0.85", "Take 16 kHz"),
        ("longest battery", "Take CSSD, 1 kHz"),
        ("wer >= 90 %, sent <= 3 kB/s", "Take CSSD, 1 kHz"),
        (
            "accuracy >= 85, words not recoverable",
            "no row fulfils all of it; without 'accuracy >= 85' take CSSD, 1 kHz",
        ),
        (
            "battery >= 100 h, best accuracy",
            "none fulfils 'battery >= 100 h' (nearest: CSSD, 1 kHz, 59.6 h); without 'battery >= 100 h' take 16 kHz",
        ),
        ("Longest Battery", "Wished for: longest battery. Take CSSD, 1 kHz"),
        ("sent <= 2000 B / s, Best accuracy", "Take CSSD, 1 kHz"),
        ("size <= 0.00001 MB", "none fulfils 'size <= 0.00001 MB' (nearest: "),
    ],
)
def test_a_wish_is_advised(lab: Lab, tmp_path: Path, wish: str, said: str) -> None:
    assert said in asked(lab, tmp_path / "out", wish=wish).notes[0]


def test_what_nobody_knows_is_not_held_against_a_row(tmp_path: Path) -> None:
    rates().save(tmp_path / "mine")
    wish = "battery >= 58, words not recoverable, best accuracy"
    report = asked(Lab(tmp_path, tmp_path), tmp_path / "out", accuracy=str(tmp_path / "mine"), wish=wish)
    assert report.notes[0].endswith("Nothing here. Not known of any row: battery. Not known of any row: words and wer.")


def test_what_only_some_rows_know_is_said(lab: Lab, tmp_path: Path) -> None:
    power = lab.runs / "studies" / "low_rate" / "power"
    whole = Report.load(power)
    replace(whole, rows=tuple(row for row in whole.rows if row.label != "2 kHz")).save(power)
    told = asked(lab, tmp_path / "out", wish="battery >= 55, best accuracy").notes[0]
    assert "Take CSSD, 1 kHz" in told
    assert told.endswith(" Not judged, for want of battery: raw, 2 kHz; CSSD, 2 kHz.")


@pytest.mark.parametrize("wish", ["best battery", "battery >= 58", "least sent"])
def test_of_equals_none_is_taken_that_another_dominates(wish: str) -> None:
    def row(label: str, accuracy: float, over: str = "") -> Row:
        known = {"accuracy": accuracy, "battery": 60.0, "sent": 2.0}
        return Row(label, {"dominated by": over}, {name: Measure(value) for name, value in known.items()})

    rows = (row("raw", 0.2, "CSSD"), row("CSSD", 0.6), row("BASD", 0.5, "CSSD"))
    report = Report("t", "", ("accuracy", "battery", "sent"), rows, units={"battery": "h", "sent": "kB / s"})
    assert "Take CSSD (" in advice(report, parsed(wish))


def test_words_are_not_recoverable_by_any_measure_there_is() -> None:
    def row(**values: Measure) -> Row:
        return Row("x", {}, values)

    chance = Measure(0.1)
    assert not_recoverable(row(words=Measure(0.15, 0.09, 0.2), words_chance=chance))
    assert not not_recoverable(row(words=Measure(0.15, 0.12, 0.2), words_chance=chance))
    assert not not_recoverable(row(words=Measure(0.15), words_chance=chance))
    assert not_recoverable(row(wer=Measure(0.95)))
    assert not not_recoverable(row(words=Measure(0.1), words_chance=chance, wer=Measure(0.5)))
    assert not not_recoverable(row())


@pytest.mark.parametrize("wish", ["battery is long", "beauty >= 3", "best beauty", "battery >= 5.8.1", "words >="])
def test_a_wish_that_is_none(wish: str) -> None:
    with pytest.raises(HearlessError, match="must be a bound such as 'battery >= 58'"):
        parsed(wish)


@pytest.mark.parametrize("wish", ["battery >= 58 kB", "accuracy >= 60 h", "size <= 4 kB/s", "sent <= 3 kB"])
def test_a_unit_that_the_measure_does_not_have(wish: str) -> None:
    with pytest.raises(HearlessError, match=f"wish {wish!r}: .* must be bounded in .*; leave the unit out or mend it"):
        parsed(wish)


def test_whose_intervals_meet_the_best_ones_is_said() -> None:
    def row(label: str, *accuracy: float) -> Row:
        return Row(label, {}, {"accuracy": Measure(*accuracy), "battery": Measure(60.0 if label != "far" else 10.0)})

    rows = (row("CSSD", 0.6, 0.55, 0.65), row("BASD", 0.58, 0.53, 0.63), row("raw", 0.2, 0.1, 0.3), row("far", 0.6))
    report = Report("t", "", ("accuracy", "battery"), rows, units={"battery": "h"})
    said = advice(report, parsed("battery >= 58"))
    assert said.endswith("battery 60 h), perhaps no better than BASD: intervals meet.")
    assert "perhaps" not in advice(report, parsed("best battery"))


@pytest.mark.parametrize("wish", ["accuracy >= 600 %", "words <= 101"])
def test_no_share_is_more_than_all(wish: str) -> None:
    with pytest.raises(HearlessError, match=r"must be bounded by 0 to 100 %, got (600|101) %"):
        parsed(wish)


def test_what_fails_anyway_is_not_held_to_be_unknown() -> None:
    def row(label: str, accuracy: float, **more: float) -> Row:
        return Row(label, {}, {name: Measure(value) for name, value in {"accuracy": accuracy, **more}.items()})

    rows = (row("a", 0.8, battery=60.0), row("b", 0.3), row("c", 0.7))
    report = Report("t", "", ("accuracy", "battery"), rows, units={"battery": "h"})
    assert advice(report, parsed("battery >= 58, accuracy >= 50")).endswith(" Not judged, for want of battery: c.")


def test_one_goal() -> None:
    with pytest.raises(HearlessError, match="one goal, got best accuracy and longest battery"):
        parsed("best accuracy, longest battery")
    assert "Take 16 kHz" in advice(rates(), parsed(""))
