"""Pipeline + clips → predictions → measures → table, against scikit-learn and sums by hand."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hearless import evaluate
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.evaluate import Evaluated
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError, Prediction
from hearless.loading import Loader, open_store, read_table
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.run import Predictions
from hearless.spec import spec
from hearless.study import Row, Study

RECIPE = Recipe(
    dataset=spec(CsvLabels),
    student=PipelineSpec(spec(LowRate), spec(PreEmphasisMel, input_rate_hz=1000), spec(MobileNetV3, width=0.2)),
    stages=(Stage((spec(CrossEntropy),)),),
)
LABELS = ("a", "b", "c")


def said(fold: str, seed: int, *, multi: bool = False, n: int = 12, better: float = 1.0) -> Predictions:
    """Return made-up predictions of a fold: right more often with ``better``; two clips a recording."""
    rng = np.random.default_rng([ord(fold), seed])
    true = np.eye(3, dtype=np.float32)[np.arange(n) % 3]
    if multi:
        true = np.maximum(true, np.roll(true, 1, axis=0) * (np.arange(n) % 2)[:, None]).astype(np.float32)
    ids = np.array([f"{fold}-{i}" for i in range(n)])
    logits = (better * true + rng.standard_normal(true.shape)).astype(np.float32)
    return Predictions(ids, true, logits, np.array([f"{fold}-{i // 2}" for i in range(n)]))


def row(label: str, options: int = 1, **more: object) -> Row:
    made = tuple(RECIPE.named(f"{label}{i}") for i in range(options))
    return Row(label, {"method": label}, made, **more)


def evaluated(
    label: str, places: list[tuple[str, int]], *, multi: bool = False, better: float = 1.0, **more: object
) -> Evaluated:
    done = Evaluated(row(label, **more))
    for fold, seed in places:
        done.add(fold, seed, said(fold, seed, multi=multi, better=better), 2.0)
    return done


PLACES = [("1", 0), ("1", 1), ("2", 0), ("2", 1)]


def study(*rows: Evaluated, **more: object) -> Study:
    return Study("s", "Title", "task", tuple(done.row for done in rows), seeds=(0, 1), **more)


# --- predictions ----------------------------------------------------------------------------------------------------


class Power(nn.Module):
    """A pipeline whose two logits are a window's sum and its sum of squares."""

    n_classes = 2

    def observe(self, waveform: Tensor, rate_hz: int, devices: object = ()) -> Tensor:
        return waveform

    def forward(self, observation: Tensor) -> Prediction:
        assert not self.training
        assert not torch.is_grad_enabled()
        logits = torch.stack([observation.sum(-1), observation.square().sum(-1)], -1)
        return Prediction(logits, logits)


def loader(tiny: Path, clip_s: float, batch_size: int = 4) -> Loader:
    table = read_table(CsvLabels(table="meta.csv"), tiny)
    return Loader(table, open_store(table, 8000), table.clips[:5], clip_s, batch_size)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("clip_s", [0.2, 0.5, 0.7])
def test_long_clips_are_windows_weighed_by_their_sound(tiny: Path, clip_s: float) -> None:
    served = loader(tiny, clip_s)
    found = evaluate.predictions(Power().train(), served)
    size = round(clip_s * 8000)
    for i, clip in enumerate(served.clips):
        heard = np.array(served.store.waveform(clip), np.float64)
        parts = [heard[s : s + size] for s in range(0, len(heard), size)]
        expected = sum(len(p) / len(heard) * np.array([p.sum(), (p**2).sum()]) for p in parts)
        np.testing.assert_allclose(found.logits[i], expected, rtol=1e-4, atol=1e-3)
    assert found.ids.tolist() == [clip.id for clip in served.clips]
    assert found.groups.tolist() == [clip.recording for clip in served.clips]
    assert found.true.argmax(1).tolist() == [LABELS.index("a")] * 5


@pytest.mark.usefixtures("cached")
def test_predicting_does_not_change_the_mode(tiny: Path) -> None:
    for training in (True, False):
        pipeline = Power().train(training)
        evaluate.predictions(pipeline, loader(tiny, 0.5))
        assert pipeline.training is training


@pytest.mark.usefixtures("cached")
def test_batch_size_changes_no_prediction(tiny: Path) -> None:
    torch.manual_seed(0)
    pipeline = RECIPE.student.build(3).eval()
    logits = [evaluate.predictions(pipeline, loader(tiny, 0.3, size)).logits for size in (1, 4)]
    np.testing.assert_allclose(*logits, atol=1e-5)


# --- measures -------------------------------------------------------------------------------------------------------


def test_measures_are_scikit_learns() -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

    found = said("1", 3)
    true, chosen = found.true.argmax(1), found.logits.argmax(1)
    shares = torch.softmax(torch.from_numpy(found.logits).double(), -1).numpy()
    expected = {
        "accuracy": accuracy_score(true, chosen),
        "macro_accuracy": balanced_accuracy_score(true, chosen),
        "macro_f1": f1_score(true, chosen, average="macro"),
        "loss": log_loss(true, shares),
    }
    assert evaluate.measures(found, multi_label=False) == pytest.approx(expected)
    assert tuple(expected) == evaluate.CHOSEN_BY[False]


def test_multi_label_measures_are_scikit_learns_and_torchs() -> None:
    from sklearn.metrics import average_precision_score

    found = said("1", 3, multi=True)
    logits, true = torch.from_numpy(found.logits).double(), torch.from_numpy(found.true).double()
    expected = {
        "mAP": average_precision_score(found.true, found.logits, average="macro"),
        "loss": torch.nn.functional.binary_cross_entropy_with_logits(logits, true).item(),
    }
    assert evaluate.measures(found, multi_label=True) == pytest.approx(expected)
    assert tuple(expected) == evaluate.CHOSEN_BY[True]


# --- rows and tables ------------------------------------------------------------------------------------------------


def by_hand(metric: object, folds: list[str], seeds: list[int]) -> float:
    """Return a metric of all folds' clips together, averaged over seeds."""
    values = []
    for seed in seeds:
        parts = [said(fold, seed) for fold in folds]
        true: NDArray[np.int64] = np.concatenate([p.true.argmax(1) for p in parts])
        values.append(metric(true, np.concatenate([p.logits.argmax(1) for p in parts])))
    return float(np.mean(values))


def test_a_table_pools_folds_and_averages_seeds() -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    done = evaluated("x", PLACES)
    report = evaluate.tabulate(study(done), [done], LABELS, False)
    assert report.columns == ("accuracy", "std_over_seeds", "macro_f1")
    line = report.rows[0]
    folds, seeds = ["1", "2"], [0, 1]
    assert line.metrics["accuracy"].value == pytest.approx(by_hand(accuracy_score, folds, seeds))
    assert line.metrics["macro_accuracy"].value == pytest.approx(by_hand(balanced_accuracy_score, folds, seeds))
    f1 = by_hand(lambda true, chosen: f1_score(true, chosen, average="macro"), folds, seeds)
    assert line.metrics["macro_f1"].value == pytest.approx(f1)
    for fold in folds:
        assert line.per_fold[fold].value == pytest.approx(by_hand(accuracy_score, [fold], seeds))
    for i, label in enumerate(LABELS):
        of_class = [
            (p.logits.argmax(1) == i)[p.true.argmax(1) == i] for p in (said(fold, seed) for fold, seed in PLACES)
        ]
        assert line.per_class[label].value == pytest.approx(np.mean(np.concatenate(of_class)))
    assert all(m.low <= m.value <= m.high for name, m in line.metrics.items() if name != "std_over_seeds")
    each = [by_hand(accuracy_score, folds, [seed]) for seed in seeds]
    assert line.metrics["std_over_seeds"].value == pytest.approx(statistics.stdev(each))
    assert line.metrics["accuracy"].n == 24
    assert report.seconds_per_run == 2.0


def test_a_multi_label_table_shows_map() -> None:
    from sklearn.metrics import average_precision_score

    done = evaluated("x", PLACES, multi=True)
    report = evaluate.tabulate(study(done), [done], LABELS, True)
    pooled = [[said(fold, seed, multi=True) for fold in "12"] for seed in (0, 1)]
    scores = [
        average_precision_score(
            np.concatenate([p.true for p in parts]), np.concatenate([p.logits for p in parts]), average=None
        )
        for parts in pooled
    ]
    assert report.columns == ("mAP", "std_over_seeds")
    assert report.rows[0].metrics["mAP"].value == pytest.approx(np.mean(scores))
    assert report.rows[0].per_class["b"].value == pytest.approx(np.mean([s[1] for s in scores]))


def test_only_folds_that_every_seed_has_are_pooled() -> None:
    done = evaluated("x", [("1", 0), ("1", 1), ("2", 0)])
    assert done.folds == ["1"]
    assert done.pooled(done.folds).logits.shape == (2, 12, 3)


def test_a_paired_test_uses_the_folds_and_seeds_that_both_have() -> None:
    a = evaluated("a", PLACES, better=3.0)
    b = evaluated("b", [("2", 0), ("3", 0)])
    paired, p = evaluate.paired_test(a, b, multi_label=False)
    right = [
        (x.logits.argmax(1) == x.true.argmax(1)).mean() for x in (said("2", 0, better=3.0), said("2", 0))
    ]  # fmt: skip
    assert (paired.value_a, paired.value_b) == pytest.approx(right)
    assert paired.difference == pytest.approx(right[0] - right[1])
    assert (paired.n, paired.n_recordings) == (12, 6)
    assert p is not None
    assert 0 < p <= 1


def test_a_multi_label_pair_is_compared_by_map() -> None:
    a, b = evaluated("a", PLACES, multi=True, better=3.0), evaluated("b", PLACES, multi=True)
    paired, p = evaluate.paired_test(a, b, multi_label=True)
    assert p is None
    whole = evaluate.tabulate(study(a, b, compare=(("a", "b"),)), [a, b], LABELS, True)
    assert paired.value_a == pytest.approx(whole.rows[0].metrics["mAP"].value)
    assert whole.tests[0].paired == paired


def test_other_clips_are_not_compared() -> None:
    a, b = evaluated("a", [("1", 0)]), evaluated("b", [("1", 0)])
    b.found["1", 0] = replace(b.found["1", 0], ids=b.found["1", 0].ids[::-1])
    with pytest.raises(HearlessError, match="a and b must be tested on the same clips"):
        evaluate.paired_test(a, b, multi_label=False)
    with pytest.raises(HearlessError, match="must share a fold and a seed"):
        evaluate.paired_test(a, evaluated("c", [("2", 0)]), multi_label=False)


def test_a_table_goes_on_around_holes() -> None:
    whole, half, none = evaluated("whole", PLACES), evaluated("half", [("1", 0)]), evaluated("none", [])
    half.hole, none.hole = "fold 2: the disk is full", "fold 1: the disk is full"
    other = evaluated("other", [("3", 5)])
    pairs = (("whole", "half"), ("whole", "none"), ("whole", "other"))
    rows = [whole, half, none, other]
    report = evaluate.tabulate(study(*rows, compare=pairs), rows, LABELS, False)
    assert [row.hole for row in report.rows] == ["", half.hole, none.hole, ""]
    assert [(t.name_a, t.name_b) for t in report.tests] == [("whole", "half")]
    assert not report.rows[2].metrics
    assert "the disk is full" in report.to_markdown()


def test_a_row_that_was_never_run_says_so() -> None:
    done = evaluated("x", [])
    assert evaluate.tabulate(study(done), [done], LABELS, False).rows[0].hole == "no run"


def test_notes_tell_choices_seconds_and_other_published_values() -> None:
    done = evaluated("x", PLACES, options=2, published={"paper, A": 0.5, "paper, B": 0.25})
    done.choices = {"1": 0, "2": 1}
    report = evaluate.tabulate(study(done, notes=("a note",)), [done], LABELS, False, command="c", commit="k")
    assert report.rows[0].published == {"accuracy": 0.5}
    assert report.rows[0].source == "paper, A"
    text = " ".join(report.notes)
    assert "a note" in text
    assert "1: x0, 2: x1" in text
    assert "4 runs of 2 s" in text
    assert "also published: 25.0 (paper, B)" in text
    assert (report.command, report.commit) == ("c", "k")
