"""α × T: the grid, the search beside it, the map, that the test folds stay untouched, and wrong input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hearless import door
from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipes.low_rate import cssd, sensitivity, table1
from hearless.recipes.low_rate.sensitivity import Options
from hearless.recipes.low_rate.settings import Settings, from_words
from hearless.report import Report
from hearless.run import Predictions
from hearless.search import Tried
from hearless.spec import spec
from hearless.study import Question

pytestmark = pytest.mark.usefixtures("cached")

TABLE = spec(CsvLabels, table="meta.csv")
WORDS = {"alphas": "0.1,0.5", "temperatures": "2", "trials": "2"}


def settings(**words: Any) -> Settings:
    return from_words(TABLE, **{"backbone": "mn02", "epochs": 1, "batch_size": 8, "validation": 0.3, **words})


def asked(place: Path, **more: Any) -> Question:
    return replace(Question((settings(),), TABLE, folds=("1",), task="A task.", place=place, words=WORDS), **more)


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Lab, Path, list[str]]:
    """Return a report, the lab that made it, where its map lies and what was said."""
    folder, said = tmp_path_factory.mktemp("sensitivity"), list[str]()
    lab = Lab(folder / "runs", tiny, say=said.append)
    return sensitivity.analyse(lab, asked(folder)), lab, folder, said


Made = tuple[Report, Lab, Path, list[str]]


def test_trials_side_by_side_are_those_of_one_after_the_other(made: Made, tiny: Path, tmp_path: Path) -> None:
    """Up to five are drawn at random, so that nobody need wait for scores; all lie where the table looks for them."""
    said = list[str]()
    lab = Lab(tmp_path / "runs", tiny, jobs=2, say=said.append)
    report = sensitivity.analyse(lab, asked(tmp_path))
    assert [row.hole for row in report.rows] == [""] * 5
    alone, both = ([line for line in lines if line.startswith("trial ")] for lines in (made[3], said))
    assert [line.rsplit(":", 1)[0] for line in both] == [line.rsplit(":", 1)[0] for line in alone]
    trained = [line for line in said if line.startswith("trains")]
    assert len(trained) == len(set(trained)) == len([line for line in made[3] if line.startswith("trains")])


def test_the_grid_the_best_and_the_searched_are_rows(made: Made) -> None:
    report = made[0]
    assert [row.label for row in report.rows] == [
        "fine-tuned", "α 0.1, T 2", "α 0.5, T 2", "best of the grid", "best of the search",
    ]  # fmt: skip
    assert [row.hole for row in report.rows] == [""] * 5
    grid = [row.metrics["accuracy"].value for row in report.rows[1:3]]
    assert report.rows[3].metrics["accuracy"].value == max(grid)
    assert len(report.tests) == 3
    assert report.task.startswith("A task. Judged on each fold's validation part")


def test_the_first_trial_is_the_settings_own(made: Made) -> None:
    note = next(note for note in made[0].notes if note.startswith("Search, fold 1: 2 trials; best α"))
    own = made[1].run(cssd.recipe(settings(), 1000), "1", 0).read("done.json")["validation"]["accuracy"]
    assert note.endswith(f"the first trial {100 * own:.1f}.")
    assert any(line.startswith("trial 1: alpha 0.5, temperature 4: ") for line in made[3])


def test_everything_is_judged_on_the_validation_part(made: Made) -> None:
    report, lab, _, _ = made
    run = lab.run(cssd.recipe(settings(alpha=0.1, temperature=2.0), 1000), "1", 0)
    found = Predictions.load(run.predictions("validation"))
    share = (found.logits.argmax(1) == found.true.argmax(1)).mean()
    assert report.rows[1].metrics["accuracy"].value == pytest.approx(share)
    assert report.rows[1].metrics["accuracy"].n == len(found.ids) != len(Predictions.load(run.predictions("test")).ids)


def test_the_map_and_the_search_are_kept(made: Made) -> None:
    report, lab, place, _ = made
    assert (place / "heat_map.png").stat().st_size > 5000
    assert (lab.runs / "searches.sqlite3").is_file()
    assert list(sensitivity.cells_of(report)) == [("0.1", "2"), ("0.5", "2")]


def test_asked_again_nothing_is_trained_and_another_storage_finds_the_runs(made: Made, tmp_path: Path) -> None:
    report, lab, _, _ = made
    said: list[str] = []
    again = Lab(lab.runs, lab.root, say=said.append)
    assert sensitivity.analyse(again, asked(tmp_path)).rows == report.rows
    words = {**WORDS, "storage": f"sqlite:///{tmp_path / 'shared.db'}"}
    assert sensitivity.analyse(again, asked(tmp_path, words=words)).rows == report.rows
    assert (tmp_path / "shared.db").is_file()
    assert not [line for line in said if line.startswith("trains")]


def test_without_trials_there_is_the_grid_alone(made: Made, tmp_path: Path) -> None:
    words = {**WORDS, "trials": "0"}
    report = sensitivity.analyse(Lab(made[1].runs, made[1].root), asked(tmp_path, words=words))
    assert [row.label for row in report.rows][-1] == "best of the grid"


def test_a_fold_takes_what_its_own_search_found() -> None:
    one, other = {"alpha": 0.1, "temperature": 2.0}, {"alpha": 0.2, "temperature": 3.0}
    found = {"1": (Tried(0, one, 0.4), Tried(1, other, 0.6)), "2": (Tried(0, one, 0.5),), "3": ()}
    study = sensitivity.table(settings(), 1000, Options(), found)
    row = next(row for row in study.rows if row.label == sensitivity.SEARCHED)
    points = [recipe.stages[0].objectives[0].arguments for recipe in row.options]
    assert points == [{"alpha": 0.2, "temperature": 3.0}, {"alpha": 0.1, "temperature": 2.0}]
    assert row.chosen == {"1": 0, "2": 1}
    assert "Search, fold 3: every trial failed." in study.notes


def test_a_fold_without_a_choice_is_a_hole(made: Made) -> None:
    found = {"2": (Tried(0, {"alpha": 0.1, "temperature": 2.0}, 0.4),)}
    study = sensitivity.table(settings(), 1000, Options(alphas="0.1", temperatures="2"), found)
    row = next(row for row in study.rows if row.label == sensitivity.SEARCHED)
    with pytest.raises(HearlessError, match="best of the search has no choice for fold 1"):
        made[1].choose(row, "1", 0)
    assert made[1].choose(row, "2", 0) == 0


def test_the_grid_is_every_pair() -> None:
    assert len(Options().grid()) == 20
    assert Options(alphas="0.1,0.5", temperatures="2,4,2").grid() == ((0.1, 2), (0.1, 4), (0.5, 2), (0.5, 4))
    assert set(table1.GRID) <= {*Options().grid()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"alphas": "few"}, "alphas must be numbers parted by commas, such as 0.1,0.5, got 'few'"),
        ({"alphas": "1.5"}, "alpha must lie in 0..1, got 1.5"),
        ({"storage": "nowhere"}, "storage must be an Optuna storage URL that opens"),
        ({"trails": "3"}, "settings are alphas, temperatures, trials, storage; got trails"),
    ],
)
def test_wrong_words_are_refused(tiny: Path, tmp_path: Path, words: dict[str, str], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        sensitivity.analyse(Lab(tmp_path, tiny), asked(tmp_path, words=words))
    assert not list(tmp_path.glob("low_rate-*"))


def test_one_backbone_and_one_rate() -> None:
    with pytest.raises(HearlessError, match=r"one backbone and one rate, got 1 and \[1000, 2000\]"):
        sensitivity.analyse(Lab(Path(), Path()), asked(Path(), rates=(1000, 2000)))


def test_the_door_knows_it_as_an_analysis() -> None:
    assert door.is_analysis("low_rate/sensitivity")
    assert sensitivity.WORDS == ("alphas", "temperatures", "trials", "storage")
