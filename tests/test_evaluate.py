"""Pipeline + clips → predictions → measures → table, against scikit-learn and sums by hand."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from hearless import evaluate
from hearless.calibration import Calibration
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.evaluate import Evaluated
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import Batch, HearlessError, Prediction
from hearless.loading import Loader, open_store, read_table
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.run import Predictions, Run
from hearless.spec import spec
from hearless.study import Row, Study
from hearless.teachers import Pretrained

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

    def hear(self, batch: Batch, torch_device: str = "cpu") -> tuple[Tensor, None]:
        return batch.waveform, None

    def before(self, part: str, features: Tensor, keep: None) -> Tensor:
        return features

    def onward(self, part: str, entering: Tensor) -> Prediction:
        assert not self.training
        assert not torch.is_grad_enabled()
        logits = torch.stack([entering.sum(-1), entering.square().sum(-1)], -1)
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


@pytest.mark.parametrize(
    ("n_recordings", "words"), [(1, "of one source recording: no intervals, no paired tests"),
                                (2, "resample 2 source recordings; with fewer than 20"), (24, "")]
)  # fmt: skip
def test_few_source_recordings_are_told(n_recordings: int, words: str) -> None:
    rows = [evaluated("a", PLACES), evaluated("b", PLACES)]
    for done in rows:
        for (fold, seed), found in [*done.found.items()]:
            groups = np.array([f"{(12 * int(fold) + i) % n_recordings}" for i in range(len(found.ids))])
            done.found[fold, seed] = replace(found, groups=groups)
    report = evaluate.tabulate(study(*rows, compare=(("a", "b"),)), rows, LABELS, False)
    notes = [note for note in report.notes if "source recording" in note]
    assert len(notes) == (1 if words else 0)
    assert all(words in note for note in notes)
    assert len(report.tests) == (0 if n_recordings == 1 else 1)
    assert np.isnan(report.rows[0].metrics["accuracy"].low) == (n_recordings == 1)


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


# --- how far scores can be trusted ----------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a finished run of old: no calibration, predictions of logits five times too large."""
    made, rng = Run(tmp_path / "r" / "fold1-seed0"), np.random.default_rng(0)
    for side, n in (("validation", 300), ("test", 200)):
        logits = rng.standard_normal((n, 3))
        true = np.eye(3, dtype=np.float32)[[rng.choice(3, p=row) for row in softmax(logits, axis=1)]]
        ids = np.array([f"{side}{i}" for i in range(n)])
        Predictions(ids, true, (5 * logits).astype(np.float32), ids).save(made.predictions(side))
    made.write("measured.json", {"labels": ["a", "b", "c"], "multi_label": False, "fold": "1", "seed": 0})
    return made


def test_the_calibration_of_an_old_run_is_fitted_and_kept_only_by_who_makes_it(run: Run) -> None:
    rule = evaluate.calibration_of(run)
    assert rule is not None
    assert rule.temperature == pytest.approx(5, rel=0.25)
    assert "temperature" not in run.measured
    assert evaluate.keep_calibration(run) == rule
    assert run.measured["temperature"] == rule.temperature
    assert run.measured["none_below"] == rule.none_below
    assert run.measured["labels"] == ["a", "b", "c"]
    run.predictions("validation").unlink()
    assert evaluate.calibration_of(run) == rule
    run.write("measured.json", {"labels": ["a", "b", "c"], "multi_label": False})
    assert evaluate.keep_calibration(run) is None


def test_a_temperature_mends_what_it_should(run: Run) -> None:
    rule, found = evaluate.calibration_of(run), Predictions.load(run.predictions("test"))
    assert rule is not None
    said = evaluate.trust(found, rule, multi_label=False)
    true = found.true.argmax(1)
    assert said["log_loss_raw"] == pytest.approx(sklearn.metrics.log_loss(true, softmax(found.logits, axis=1)))
    assert said["log_loss"] == pytest.approx(
        sklearn.metrics.log_loss(true, softmax(found.logits / rule.temperature, axis=1))
    )
    assert said["log_loss"] < 0.6 * said["log_loss_raw"]
    assert said["ece"] < 0.1 < said["ece_raw"]
    assert 0.9 < said["named"] <= 1.0


def test_predictions_beside_a_teacher_are_not_calibrated(run: Run) -> None:
    found = Predictions.load(run.predictions("validation"))
    assert evaluate.fitted(replace(found, reference=found.logits), multi_label=False) is None


def test_a_report_tells_trust_only_where_each_run_has_a_rule(run: Run) -> None:
    rule = evaluate.keep_calibration(run)
    assert rule is not None
    done = Evaluated(row("a"), {("1", 0): Predictions.load(run.predictions("test"))}, seconds=[1.0])
    (plain,) = evaluate.tabulate(study(done), [done], ["a", "b", "c"], False).rows
    assert not {"ece", "temperature"} & plain.metrics.keys()
    done.rules["1", 0] = rule
    done.noises["1", 0] = 0.25
    report = evaluate.tabulate(study(done), [done], ["a", "b", "c"], False)
    measures = {name: measure.value for name, measure in report.rows[0].metrics.items()}
    assert measures["temperature"] == rule.temperature
    assert measures["noise_named"] == 0.25
    assert measures["ece"] < measures["ece_raw"]
    assert report.unit("log_loss") == "nats"


class Loudness(nn.Module):
    """Hears how loud a sound is: class 1 with logits of 8 where it is louder than -30 dB, else all equal."""

    def observe(self, waveform: Tensor, rate_hz: int, devices: object = ()) -> Tensor:
        return waveform

    def forward(self, observation: Tensor) -> Prediction:
        loud = (observation.square().mean(1) > 1e-3).double()
        logits = torch.stack([0 * loud, 8 * loud], 1)
        return Prediction(logits, logits)


def test_noise_that_is_given_a_class_is_counted() -> None:
    rule = Calibration(none_below=0.9)
    listening = Loudness()
    shares = evaluate.noise_named(listening, 800, 8000, rule, multi_label=False)
    assert shares == pytest.approx({"silence": 0.0, "white": 1 / 3, "pink": 1 / 3, "brown": 1 / 3})
    assert listening.training
    all_of_them = evaluate.noise_named(listening, 800, 8000, Calibration(), multi_label=False)
    assert set(all_of_them.values()) == {1.0}


def test_training_time_is_a_column_where_a_study_asks_for_it() -> None:
    done = evaluated("x", PLACES, published={"paper": 0.5}, published_more={"training time": 14456.0})
    other = evaluated("y", PLACES[:1])
    other.seconds = [1234.4]
    other.row = replace(other.row, options=(replace(RECIPE, stages=(), initial=Pretrained("a.pt")),))
    report = evaluate.tabulate(study(done, other, training_time=True), [done, other], LABELS, False)
    assert report.columns[-1] == "training time"
    assert [row.metrics["training time"].value for row in report.rows] == [2.0, 0.0]
    assert report.rows[0].published == {"accuracy": 0.5, "training time": 14456.0}
    assert report.cells()[0][-2:] == ["2", "14456"]
    assert report.header()[-2:] == ["training time (s)", "paper (other task): training time"]
    plain = evaluate.tabulate(study(done), [done], LABELS, False)
    assert "training time" not in (*plain.columns, *plain.rows[0].metrics)


def test_a_row_that_never_ran_took_no_time() -> None:
    done = evaluated("x", [])
    assert not evaluate.tabulate(study(done, training_time=True), [done], LABELS, False).rows[0].metrics


def test_a_model_that_names_one_class_only_is_told_with_every_verdict_on_it() -> None:
    rng = np.random.default_rng(5)
    true = np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    names = np.array([f"r{i}" for i in range(60)])

    def predicted(logits: np.ndarray) -> Predictions:
        return Predictions(names, true, logits.astype(np.float32), names)

    asleep, awake = predicted(rng.random((60, 3)) + np.array([0, 0, 2])), predicted(true + rng.random((60, 3)))
    assert evaluate.names_one_class(asleep)
    assert not evaluate.names_one_class(awake)
    assert not evaluate.names_one_class(Predictions(names[::3], true[::3], asleep.logits[::3], names[::3]))  # is right
    epochs = np.stack([asleep.logits, asleep.logits[:, ::-1]])
    assert evaluate.names_one_class(predicted(epochs))
    assert not evaluate.names_one_class(predicted(np.stack([asleep.logits, awake.logits])))
    rows = [Row(label, {}, (RECIPE,)) for label in ("dull", "keen", "alone")]
    done = [evaluate.Evaluated(row) for row in rows]
    for one, runs in zip(done, ((asleep, awake), (awake, awake), (asleep, asleep)), strict=True):
        for seed, found in enumerate(runs):
            one.add("1", seed, found, 1.0)
    study = Study("s", "t", "", tuple(rows), seeds=(0, 1), compare=(("keen", "dull"),))
    report = evaluate.tabulate(study, done, ["a", "b", "c"], False)
    (test,) = report.tests
    assert "keen is better than dull, but 1 of 2 runs of dull names one class only: not trained; " in test.words
    assert [note for note in report.notes if note.startswith("Beware")] == [
        "Beware: 1 of 2 runs of dull names one class only: not trained.",
        "Beware: 2 of 2 runs of alone name one class only: not trained.",
    ]
