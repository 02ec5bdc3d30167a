"""What a study tells beside its table: against sums by hand, scikit-learn's log loss, laws, and the report's JSON."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from hearless import evaluate, metrics
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.details import calibration_error, detailed, entropies, gains_by_class, gains_by_fold, same_answers
from hearless.evaluate import Evaluated
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.report import Report
from hearless.run import Predictions
from hearless.spec import spec
from hearless.study import ALSO, Row, Study

RECIPE = Recipe(
    dataset=spec(CsvLabels),
    student=PipelineSpec(spec(LowRate), spec(PreEmphasisMel, input_rate_hz=1000), spec(MobileNetV3, width=0.2)),
    stages=(Stage((spec(CrossEntropy),)),),
)
LABELS = ("a", "b", "c", "never heard")
PLACES = [(fold, seed) for fold in ("1", "2") for seed in (0, 1)]


def said(fold: str, seed: int, better: float, n: int = 60) -> Predictions:
    """Return made-up predictions of a fold, right more often with ``better``; two clips a recording."""
    rng = np.random.default_rng([int(fold), seed, round(10 * better)])
    true = np.eye(4, dtype=np.float32)[np.arange(n) % 3]
    logits = (better * true + rng.standard_normal(true.shape)).astype(np.float32)
    ids = np.array([f"{fold}-{i}" for i in range(n)])
    return Predictions(ids, true, logits, np.array([f"{fold}-{i // 2}" for i in range(n)]))


def evaluated(label: str, better: float, places: list[tuple[str, int]] = PLACES) -> Evaluated:
    done = Evaluated(Row(label, {"method": label}, (RECIPE.named(label),)))
    for fold, seed in places:
        done.add(fold, seed, said(fold, seed, better), 2.0)
    return done


GOOD, BAD = evaluated("good", 3.0), evaluated("bad", 0.5)


def table(*also: str, taught: dict[str, dict[tuple[str, int], Predictions]] | None = None) -> Report:
    rows = (GOOD, BAD)
    study = Study(
        "s", "Title", "task", tuple(done.row for done in rows), seeds=(0, 1), compare=(("good", "bad"),), also=also
    )
    report = evaluate.tabulate(study, rows, LABELS, multi_label=False)
    return detailed(report, study, rows, LABELS, taught)


def right(done: Evaluated, fold: str, seed: int) -> np.ndarray:
    found = done.found[fold, seed]
    return np.asarray(found.logits.argmax(1) == found.true.argmax(1), dtype=float)


def test_gains_by_fold_are_the_differences_of_accuracy() -> None:
    found = gains_by_fold(GOOD, BAD)
    for fold in ("1", "2"):
        expected = np.mean([right(GOOD, fold, s).mean() - right(BAD, fold, s).mean() for s in (0, 1)])
        assert found[fold].value == pytest.approx(expected)
        assert found[fold].low < expected < found[fold].high


def test_gains_by_class_are_those_of_its_clips_and_add_up() -> None:
    found = gains_by_class(GOOD, BAD, LABELS)
    assert list(found) == ["a", "b", "c"]
    each = [right(GOOD, f, s).reshape(-1, 3).mean(0) - right(BAD, f, s).reshape(-1, 3).mean(0) for f, s in PLACES]
    np.testing.assert_allclose([one.value for one in found.values()], np.mean(each, 0))
    paired, _ = evaluate.paired_test(GOOD, BAD, multi_label=False)
    assert np.mean([one.value for one in found.values()]) == pytest.approx(paired.difference)


def test_the_other_way_round_gains_are_losses() -> None:
    there, back = gains_by_class(GOOD, BAD, LABELS), gains_by_class(BAD, GOOD, LABELS)
    for name, one in there.items():
        assert (one.value, one.low, one.high) == pytest.approx((-back[name].value, -back[name].high, -back[name].low))


def test_a_row_agrees_with_itself_and_two_seldom_as_often() -> None:
    assert same_answers(GOOD, GOOD).value == 1.0
    found = same_answers(GOOD, BAD)
    each = [GOOD.found[p].logits.argmax(1) == BAD.found[p].logits.argmax(1) for p in PLACES]
    assert found.value == pytest.approx(np.mean(each))
    assert found.low < found.value < found.high < 1


def test_only_folds_and_seeds_that_both_have_are_compared() -> None:
    part = evaluated("bad", 0.5, [("2", 1)])
    assert list(gains_by_fold(GOOD, part)) == ["2"]
    each = right(GOOD, "2", 1).mean() - right(part, "2", 1).mean()
    assert gains_by_fold(GOOD, part)["2"].value == pytest.approx(each)


def test_entropies_are_scipys() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (2, 7, 4)).astype(np.float32)
    np.testing.assert_allclose(entropies(logits), entropy(softmax(logits.astype(float), -1), axis=-1), rtol=1e-6)


@pytest.mark.parametrize(("logits", "expected"), [([0.0, 0, 0, 0], np.log(4)), ([1000.0, 0, 0, 0], 0.0)])
def test_entropy_at_both_ends(logits: list[float], expected: float) -> None:
    assert entropies(np.array([logits], np.float32))[0] == pytest.approx(expected)


def test_calibration_errors_are_averaged_over_seeds() -> None:
    pooled = GOOD.pooled(GOOD.folds)
    true = pooled.true.argmax(1)
    each = [metrics.expected_calibration_error(true, softmax(run.astype(float), -1)) for run in pooled.logits]
    found = calibration_error(pooled)
    assert found.value == pytest.approx(np.mean(each))
    assert np.isnan(found.low)


def test_a_report_tells_only_what_is_asked() -> None:
    plain = table()
    assert plain.tests[0].agreement is None
    assert not plain.tests[0].per_fold
    assert not plain.tests[0].per_class
    assert "entropy" not in plain.to_markdown()
    full = table(*ALSO, taught={"good": dict(GOOD.found), "bad": dict(BAD.found)})
    assert full.columns == (*plain.columns, "entropy", "teaching_entropy", "ece_raw")
    assert set(full.tests[0].per_fold) == {"1", "2"}
    text = full.to_markdown()
    for part in (
        "entropy (nats)",
        "ece_raw (%)",
        "same answer (%)",
        "## Difference per fold",
        "## Difference per class",
    ):
        assert part in text


def test_teaching_entropy_is_of_the_clips_that_were_trained_on() -> None:
    sure = {place: replace(found, logits=100 * found.true) for place, found in GOOD.found.items()}
    found = table("teaching_entropy", taught={"good": sure})
    assert found.rows[0].metrics["teaching_entropy"].value == pytest.approx(0, abs=1e-9)
    assert "teaching_entropy" not in found.rows[1].metrics


def test_it_is_said_in_words_who_gains() -> None:
    said_of = " ".join(table("fold", "class").notes)
    assert "good is above bad on 2 of 2 folds, on 2 of them with an interval above 0." in said_of
    assert "good against bad: of 3 classes, 3 gain (" in said_of
    assert "none surely loses; the intervals of the others hold 0. About 0.2 of 3" in said_of


def test_a_report_is_read_back_as_it_was() -> None:
    full = table(*ALSO, taught={"good": dict(GOOD.found), "bad": dict(BAD.found)})
    again = Report.from_json(full.to_json())
    assert (again.tests, again.columns, again.to_markdown()) == (full.tests, full.columns, full.to_markdown())


def test_an_older_report_without_them_is_read() -> None:
    data = table().to_json()
    for test in data["tests"]:
        for late in ("agreement", "per_fold", "per_class"):
            del test[late]
    assert Report.from_json(data).tests == table().tests


def test_several_classes_a_clip_are_left_as_they_are() -> None:
    study = Study("s", "T", "t", (GOOD.row,), also=("fold", "ece_raw"))
    report = Report("T", "t", ("mAP",), evaluate.tabulate(study, [GOOD], LABELS, multi_label=False).rows)
    found = detailed(report, study, [GOOD], LABELS)
    assert found.notes[-1] == "Not told here, as it takes one class a clip: fold, ece raw."
    assert found.columns == ("mAP",)


def test_a_row_without_runs_stays_a_hole() -> None:
    hole = Evaluated(Row("bad", {"method": "bad"}, (RECIPE.named("x"),)), hole="no run")
    study = Study("s", "T", "t", (GOOD.row, hole.row), seeds=(0, 1), compare=(("good", "bad"),), also=ALSO)
    rows = [GOOD, hole]
    found = detailed(evaluate.tabulate(study, rows, LABELS, multi_label=False), study, rows, LABELS)
    assert found.rows[1].hole == "no run"
    assert not found.rows[1].metrics
    assert found.tests == ()


def test_unknown_wishes_are_refused() -> None:
    with pytest.raises(HearlessError, match=r"also must be among fold, class, .*, got sureness"):
        Study("s", "T", "t", (GOOD.row,), also=("sureness",))


def test_a_choice_must_name_an_option() -> None:
    with pytest.raises(HearlessError, match="row 'x' has 1 options, chosen names number 1"):
        Row("x", {}, (RECIPE,), chosen={"1": 1})
    assert Row("x", {}, (RECIPE,), chosen={"1": 0}).chosen == {"1": 0}
