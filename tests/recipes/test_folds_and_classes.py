"""Fig. 2 and Table 2 of paper 000, accuracy against rate, and what generations tell: rows, numbers and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearless import door
from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipes.low_rate import classes, folds, generations, rates, table1
from hearless.recipes.low_rate.settings import Settings, from_words
from hearless.report import Comparison, Report, Row
from hearless.run import Predictions
from hearless.spec import spec
from hearless.statistics import Measure, Paired
from hearless.study import Study

TABLE = spec(CsvLabels, table="meta.csv")


def settings(**words: Any) -> Settings:
    return from_words(TABLE, **{"backbone": "mn02", "epochs": 1, "batch_size": 8, "validation": 0.3, **words})


def measure(value: float) -> Measure:
    return Measure(value, value - 0.1, value + 0.1, 12)


# --- rows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "methods"), [(folds, folds.METHODS), (classes, classes.METHODS)])
def test_the_runs_are_those_of_table_1(module: Any, methods: tuple[str, ...]) -> None:
    made: Study = module.study([settings()], folds=("1",), seeds=(0, 1), task="A task.")
    of_table_1 = {row.label: row for row in table1.study([settings()]).rows}
    assert [row.label for row in made.rows] == [f"{m}, {rate}" for rate in ("2 kHz", "1 kHz") for m in methods]
    assert all(row == of_table_1[row.label] for row in made.rows)
    assert (made.folds, made.seeds, made.task) == (("1",), (0, 1), "A task.")


def test_each_tells_where_its_differences_lie() -> None:
    assert folds.study([settings()]).also == ("fold",)
    assert classes.study([settings()]).also == ("class",)


@pytest.mark.parametrize("module", [folds, classes])
def test_the_tests_are_those_of_table_1_so_that_holm_corrects_alike(module: Any) -> None:
    assert module.study([settings()]).compare == table1.study([settings()]).compare


@pytest.mark.parametrize("module", [folds, classes])
def test_one_backbone_at_a_time(module: Any) -> None:
    with pytest.raises(HearlessError, match="takes one backbone at a time, got 2"):
        module.study([settings(), settings()])


def test_rates_are_read_back() -> None:
    for rate in (250, 500, 1000, 2000, 4000, 16000):
        assert table1.hz_of(table1.rate_text(rate)) == rate


# --- the paper's numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_hz", "method", "name", "value"),
    [
        (1000, "fine-tuned", "coughing", 0.63), (1000, "CSSD", "coughing", 0.78), (2000, "CSSD", "coughing", 0.73),
        (1000, "fine-tuned", "crying_baby", 0.93), (1000, "CSSD", "crying_baby", 0.83),
        (2000, "fine-tuned", "snoring", 0.83), (2000, "CSSD", "snoring", 0.80),
    ],
)  # fmt: skip
def test_published_numbers_are_the_papers(rate_hz: int, method: str, name: str, value: float) -> None:
    assert classes.published(rate_hz, method)[name] == value
    assert list(classes.published(rate_hz, method)) == ["coughing", "crying_baby", "snoring"]


def test_what_the_paper_does_not_print_is_not_there() -> None:
    assert classes.published(500, "CSSD") == classes.published(1000, "raw") == {}
    assert classes.study([settings()], rates=(500,)).notes == ()
    (note,) = classes.study([settings()], rates=(1000,)).notes
    assert note.startswith("1 kHz: paper 000, MobileNetV2 on the whole ESC-50")
    assert "coughing 63 → 78, crying_baby 93 → 83, snoring 53 → 63" in note


@pytest.mark.data
def test_published_numbers_are_those_of_the_paper_beside_the_checkout(shared: Path) -> None:
    table = next((shared / "papers" / "tables").glob("000_table2*.csv"))
    ours = Path(str(classes.__file__)).parent / "paper_000_table2.csv"
    assert ours.read_text() == table.read_text()


# --- pictures -------------------------------------------------------------------------------------------------------


def line(method: str, rate: str, value: float, **more: Any) -> Row:
    condition = {"rate": rate, "method": method, "network": "mn04"}
    per_fold = {"1": measure(value - 0.1), "2": measure(value + 0.1)}
    per_class = {"crying_baby": measure(value), "rain": measure(1 - value)}
    parts = {"metrics": {"accuracy": measure(value)}, "per_fold": per_fold, "per_class": per_class, **more}
    return Row(f"{method}, {rate}", condition, **parts)


PAIRED = Paired(0.1, 0.0, 0.2, 0.05, 0.05, 0.6, 0.5, 12, 12)
GAINS = {"crying_baby": measure(-0.2), "rain": measure(0.3)}
TESTS = (Comparison("CSSD, 1 kHz", "fine-tuned, 1 kHz", PAIRED, "Words.", per_class=GAINS),)
METHODS = ("raw", "fine-tuned", "CSSD")
LINES = [line(m, rate, 0.2 * n + v) for n, m in enumerate(METHODS, 1) for rate, v in (("2 kHz", 0.2), ("1 kHz", 0.1))]


def report(*rows: Row, tests: tuple[Comparison, ...] = ()) -> Report:
    return Report("A title", "A task.", ("accuracy",), rows or tuple(LINES), tests=tests)


def test_folds_are_drawn_a_picture_a_rate(tmp_path: Path) -> None:
    folds.draw(report(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folds_1kHz.png", "folds_2kHz.png"]
    assert all(path.stat().st_size > 5000 for path in tmp_path.iterdir())


def test_classes_and_their_gains_are_drawn(tmp_path: Path) -> None:
    classes.draw(report(tests=TESTS), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["classes_1kHz.png", "classes_2kHz.png", "gains.png"]
    assert all(path.stat().st_size > 5000 for path in tmp_path.iterdir())


def test_accuracy_is_drawn_against_the_rate_whole_and_by_class(tmp_path: Path) -> None:
    rates.draw(report(line("full band", "16 kHz", 0.9), *LINES), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rates.png", "rates_by_class.png"]


def test_a_line_is_a_method_and_a_point_a_rate() -> None:
    curve = rates.along_rate(report(line("full band", "16 kHz", 0.9), *LINES), lambda row: row.metrics.get("accuracy"))
    assert list(curve.lines) == ["full band", *METHODS]
    assert [(x, round(one.value, 6)) for x, one in curve.lines["CSSD"]] == [(2000.0, 0.8), (1000.0, 0.7)]
    assert curve.lines["full band"] == [(16000.0, measure(0.9))]


def test_networks_are_told_apart_where_there_are_several() -> None:
    other = replace(LINES[0], label="other", condition={**LINES[0].condition, "network": "cnn14"})
    curve = rates.along_rate(report(*LINES, other), lambda row: row.metrics.get("accuracy"))
    assert set(curve.lines) == {*(f"{m}, mn04" for m in METHODS), "raw, cnn14"}


@pytest.mark.parametrize("module", [folds, classes, rates])
def test_holes_alone_draw_nothing(tmp_path: Path, module: Any) -> None:
    hole = Row("CSSD, 1 kHz", {"rate": "1 kHz", "method": "CSSD", "network": "mn04"}, hole="no run")
    module.draw(report(hole), tmp_path)
    assert not list(tmp_path.iterdir())


# --- through the door -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cached")
def test_generations_tell_how_sure_they_are(tiny: Path, tiny_runs: Path) -> None:
    lab = Lab(tiny_runs, tiny)
    study = generations.study([settings()], folds=("1",))
    kept = replace(study, rows=study.rows[:2], compare=(("generation 1", "generation 0"),))
    found = lab.study(kept)
    assert found.columns[-3:] == ("entropy", "teaching_entropy", "ece_raw")
    first = study.rows[0].options[0]
    clips = lab.run(first, "1", 0).read("measured.json")["n_clips"]
    told = lab.heard_through(first, "1", 0, first.student, "training")
    assert len(told.ids) == clips["training"]
    shares = np.exp(told.logits - told.logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    entropy = -(shares * np.log(shares)).sum(1).mean()
    assert found.rows[0].metrics["teaching_entropy"].value == pytest.approx(entropy, rel=1e-4)
    one, other = (
        Predictions.load(lab.run(row.options[0], "1", 0).predictions("test")).logits.argmax(1) for row in kept.rows
    )
    assert found.tests[0].agreement is not None
    assert found.tests[0].agreement.value == pytest.approx((one == other).mean())
    assert "same answer (%)" in found.to_markdown()


@pytest.mark.usefixtures("cached")
def test_a_study_with_pictures_draws_them_at_its_place(tiny: Path, tiny_runs: Path, tmp_path: Path) -> None:
    words = {"epochs": 1, "batch_size": 8, "validation": 0.3}
    report = door.study(
        "low_rate/folds", lab=Lab(tiny_runs, tiny), labels=tiny / "meta.csv", backbones=["mn02"], weights="none",
        folds=("1",), rates=(1000,), place=tmp_path, **words,
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["folds_1kHz.png"]
    assert [row.hole for row in report.rows] == ["", "", ""]
    assert set(report.tests[0].per_fold) == {"1"}
    assert "## Difference per fold (points)" in report.to_markdown()
