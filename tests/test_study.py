"""Studies: rows and options as data, and what does not pair is refused."""

from __future__ import annotations

import pytest

from hearless.captures.full_band import FullBand
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.synthetic import Synthetic
from hearless.frontends.log_mel import LogMel
from hearless.interfaces import HearlessError
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.spec import spec
from hearless.study import Row, Study

EAR = PipelineSpec(spec(FullBand), spec(LogMel), spec(MobileNetV3))


def recipe(epochs: int = 1) -> Recipe:
    return Recipe(spec(Synthetic), EAR, (Stage((spec(CrossEntropy),), epochs),))


def row(label: str = "a", n: int = 1) -> Row:
    return Row(label, {"rate": "16 kHz"}, tuple(recipe(i + 1) for i in range(n)))


def test_a_row_is_judged_by_its_options_unless_others_are_named() -> None:
    assert row(n=2).judges == row(n=2).options
    judges = (recipe(5), recipe(6))
    assert Row("a", {}, row(n=2).options, chosen_by=judges).judges == judges


@pytest.mark.parametrize(("n_options", "n_judges"), [(0, 0), (2, 1), (1, 2), (0, 1)])
def test_options_and_judges_must_pair(n_options: int, n_judges: int) -> None:
    with pytest.raises(HearlessError, match=f"row 'a' needs options, .* got {n_options} and {n_judges}"):
        Row("a", {}, row(n=9).options[:n_options], row(n=9).options[:n_judges])


def test_a_study_keeps_what_it_is_given() -> None:
    made = Study("s", "t", "u", (row("a"), row("b")), compare=(("a", "b"), ("b", "a")))
    assert [r.label for r in made.rows] == ["a", "b"]
    assert (made.seeds, made.folds, made.judged_on) == ((0,), (), "test")
    assert Study("s", "t", "u", (row(),), judged_on="validation").judged_on == "validation"


def test_some_rows_of_a_study_keep_its_order_and_their_tests() -> None:
    made = Study("s", "t", "u", tuple(map(row, "abc")), compare=(("a", "b"), ("a", "c")), notes=("n",)).only(["c", "a"])
    assert [r.label for r in made.rows] == ["a", "c"]
    assert made.compare == (("a", "c"),)
    assert made.notes == ("n", "2 of the study's 3 rows were asked for.")
    whole = Study("s", "t", "u", (row("fine-tuned"), row("CSSD")))
    with pytest.raises(
        HearlessError, match=r"rows of s are fine-tuned; CSSD; got fine-tune \(did you mean 'fine-tuned'\?\)"
    ):
        whole.only(["CSSD", "fine-tune"])


def test_labels_must_differ() -> None:
    with pytest.raises(HearlessError, match=r"row labels must differ, got \['a', 'b', 'a'\]"):
        Study("s", "t", "u", (row("a"), row("b"), row("a")))


def test_comparisons_name_rows() -> None:
    with pytest.raises(HearlessError, match="compare names rows that do not exist: c, d"):
        Study("s", "t", "u", (row("a"), row("b")), compare=(("a", "c"), ("d", "b")))


def test_judged_on_the_training_part_is_refused() -> None:
    with pytest.raises(HearlessError, match="judged_on must be test or validation, got 'train'"):
        Study("s", "t", "u", (row(),), judged_on="train")


def test_a_study_of_nothing_is_refused() -> None:
    with pytest.raises(HearlessError, match="study 's' needs at least one row and one seed, got 0 and 1"):
        Study("s", "t", "u", ())
    with pytest.raises(HearlessError, match="got 1 and 0"):
        Study("s", "t", "u", (row(),), seeds=())
