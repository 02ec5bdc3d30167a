"""The lab: what it trains, what it finds again, which teachers it refuses, and how a study goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from hearless import evaluate, splits
from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.download import sha256
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.lab import Bench, Lab, Part, captures, check_classes, check_rates, check_teacher_leak, teachers
from hearless.lab.named import run_name
from hearless.lab.studies import missing, row_of
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.self_distillation import SelfDistillation
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.run import Predictions, Run, load_tensors
from hearless.spec import Spec, spec
from hearless.study import Row, Study
from hearless.teachers import CrossFitted, Fused, Pretrained, Teacher, Trained
from hearless.teaching import Running
from hearless.train import Tick

pytestmark = pytest.mark.usefixtures("cached")

NETWORK = spec(MobileNetV3, width=0.2)
TABLE = spec(CsvLabels, table="meta.csv")
UPPER_VIEW = PipelineSpec(spec(FullBand, rate_hz=8000), spec(PreEmphasisMel, input_rate_hz=8000), NETWORK)
LOW_VIEW = PipelineSpec(
    spec(LowRate, rate_hz=1000), spec(PreEmphasisMel, input_rate_hz=1000, path="native", bands=24), NETWORK
)
RAW_VIEW = PipelineSpec(spec(LowRate, rate_hz=1000), spec(PreEmphasisMel, input_rate_hz=1000), NETWORK)
HARD = Stage((spec(CrossEntropy),), 1)
SOFT = Stage((spec(SelfDistillation, alpha=0.5, temperature=2.0),), 1)

UPPER = Recipe(TABLE, UPPER_VIEW, (HARD,), batch_size=8, validation=0.3, name="x/upper")
LOW = Recipe(TABLE, LOW_VIEW, (HARD,), batch_size=8, validation=0.3, name="x/low")


def taught(teacher: Teacher = Trained(UPPER), name: str = "x/student", **more: Any) -> Recipe:  # noqa: B008 (frozen)
    return replace(LOW, **{"stages": (SOFT,), "teacher": teacher, "name": name, **more})


class Watched(Lab):
    """A lab that remembers what it trained."""

    made: list[str]

    def _make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        super()._make(run, recipe, fold, seed, part)
        self.made.append(f"{recipe.name} {run.path.name}")


@pytest.fixture
def make(tiny: Path, tmp_path: Path) -> Callable[..., Watched]:
    def made(root: Path = tiny, runs: Path = tmp_path / "runs") -> Watched:
        one = Watched(runs, root)
        one.made = []
        return one

    return made


@pytest.fixture
def watched(make: Callable[..., Watched]) -> Watched:
    return make()


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_tensors(run.checkpoint("best"))[0]


# --- found, resumed or made -----------------------------------------------------------------------------------------


def test_a_teacher_is_trained_once_for_all_students(watched: Watched, make: Callable[..., Watched]) -> None:
    run = watched.run(taught(), "1", 0)
    assert watched.made == ["x/upper fold1-seed0", "x/student fold1-seed0"]
    assert run.done
    watched.run(taught(stages=(replace(SOFT, epochs=2),)), "1", 0)
    assert watched.made[2:] == ["x/student fold1-seed0"]
    again = make()
    assert again.run(taught(), "1", 0).path == run.path
    assert again.run(taught().named("y/called otherwise"), "1", 0).path == run.path
    assert again.made == []


def test_each_fold_and_seed_has_a_teacher_of_its_own(watched: Watched) -> None:
    watched.run(taught(), "2", 3)
    watched.run(taught(Trained(UPPER, seed=0)), "2", 3)
    assert watched.made[::2] == ["x/upper fold2-seed3", "x/upper fold2-seed0"]


def test_a_run_tells_what_it_was_made_of(watched: Watched, tiny: Path) -> None:
    run = watched.run(taught(), "1", 0)
    assert run.recipe == taught()
    clips = run.read("clips.json")
    table = watched.table(TABLE)
    training, validation = splits.hold_out(splits.parts(table.clips, "1").train, 0.3, 0)
    assert clips["test"] == sorted({c.group for c in table.clips if c.fold == "1"})
    assert clips["training"] == sorted({c.group for c in training})
    assert clips["validation"] == sorted({c.group for c in validation})
    measured = run.measured
    assert (measured["labels"], measured["clip_s"], measured["source_rate_hz"]) == (["hiss", "hum", "tick"], 0.5, 8000)
    assert measured["n_clips"] == {"training": len(training), "validation": len(validation), "test": 12}
    assert str(tiny) not in "".join(path.read_text() for path in run.path.glob("*.json"))


def test_a_training_share_leaves_validation_and_test_alone(watched: Watched) -> None:
    loudness = replace(LOW, dataset=spec(CsvLabels, table="meta.csv", label="kind"))  # both labels in each recording
    whole, half, quarter = (
        Bench.prepare(watched, replace(loudness, training_share=part), "1", 0, None) for part in (1.0, 0.5, 0.25)
    )
    assert [len(one.training) for one in (whole, half, quarter)] == [8, 4, 2]
    assert {c.id for c in quarter.training} <= {c.id for c in half.training} <= {c.id for c in whole.training}
    assert whole.validation == half.validation == quarter.validation
    assert whole.test == half.test == quarter.test


def test_validation_may_be_trained_on_as_well(watched: Watched) -> None:
    plain, both = (
        Bench.prepare(watched, replace(LOW, select="last", train_on_validation=also), "1", 0, None)
        for also in (False, True)
    )
    assert both.validation == plain.validation
    assert {c.id for c in both.training} == {c.id for c in (*plain.training, *plain.validation)}
    assert both.test == plain.test


def test_the_peak_reaches_the_loader(watched: Watched) -> None:
    bench = Bench.prepare(watched, replace(LOW, peak_normalised=True), "1", 0, None)
    batch = next(bench.loader(bench.test).in_order())
    np.testing.assert_allclose(batch.waveform.abs().amax(1), 1.0, rtol=1e-6)


def test_a_cross_fitted_teacher_of_a_share_explains_its_student(watched: Watched) -> None:
    part = replace(UPPER, training_share=0.7)
    run = watched.run(taught(CrossFitted(part, n_parts=2), training_share=0.7), "1", 0)
    copies = [watched.run(part, "1", 0, Part(n, 2)) for n in range(2)]
    clips = Bench.prepare(watched, run.recipe, "1", 0, None).training
    assert set(teachers._explainers(clips, copies)) == {c.id for c in clips}


def test_what_is_stored_is_what_the_loaded_pipeline_says(watched: Watched) -> None:
    run = watched.run(LOW, "1", 0)
    bench = Bench.prepare(watched, LOW, "1", 0, None)
    again = evaluate.predictions(watched.pipeline(run), bench.loader(bench.test))
    stored = Predictions.load(run.predictions("test"))
    np.testing.assert_array_equal(again.logits, stored.logits)
    assert again.ids.tolist() == [clip.id for clip in bench.test]


def test_a_run_without_checkpoints_serves_tables_and_is_trained_again_as_a_teacher(
    watched: Watched, make: Callable[..., Watched]
) -> None:
    first = watched.run(UPPER, "1", 0)
    before, stored = weights(first), first.predictions("test").read_bytes()
    shutil.rmtree(first.path / "checkpoints")
    again = make()
    report = again.study(Study("s", "t", "", (Row("upper", {}, (UPPER,)),), folds=("1",)))
    assert report.notes[0] == again.extent(UPPER.dataset, ("1",), (0,))
    assert again.made == []
    assert not report.rows[0].hole
    again.run(taught(), "1", 0)
    assert again.made == ["x/upper fold1-seed0", "x/student fold1-seed0"]
    after = weights(first)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert first.predictions("test").read_bytes() == stored


def test_a_run_that_is_trained_again_is_not_done_meanwhile_and_keeps_nothing_that_old_weights_said(
    watched: Watched,
) -> None:
    run = watched.run(UPPER, "1", 0)
    watched.heard_through(UPPER, "1", 0, LOW_VIEW)
    shutil.rmtree(run.path / "checkpoints")

    def stop(name: str, tick: Tick) -> None:
        raise KeyboardInterrupt

    said: list[str] = []
    watched.say, watched.tick = said.append, stop
    with pytest.raises(KeyboardInterrupt):
        watched.run(taught(), "1", 0)
    assert not run.done
    assert not list(run.path.glob("predictions/*.npz"))
    assert f"trains {run.path.parent.name}/{run.path.name} again" in said[0]
    watched.tick = lambda name, tick: None
    watched.run(taught(), "1", 0)
    assert Run(run.path).done
    assert {path.stem for path in run.path.glob("predictions/*.npz")} == {"validation", "test"}


def test_seconds_of_a_resumed_run_add_up_and_leave_the_teacher_out(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = taught()
    run = Run(watched.folder(recipe) / "fold1-seed0")
    watched.run(UPPER, "1", 0)
    watched.run(recipe, "1", 0)
    rows = run.metrics()
    run.write_metrics([{**row, "seconds": 1000.0} for row in rows])
    (run.path / "done.json").unlink()
    assert 1000 < watched.run(recipe, "1", 0).read("done.json")["seconds"] < 1100


def test_a_run_that_was_stopped_is_said_to_go_on(watched: Watched) -> None:
    said: list[str] = []
    watched.say = said.append
    recipe = replace(LOW, stages=(replace(HARD, epochs=3),))

    def stop(name: str, tick: Tick) -> None:
        if tick.epoch == 3:
            raise KeyboardInterrupt

    watched.tick = stop
    with pytest.raises(KeyboardInterrupt):
        watched.run(recipe, "1", 0)
    watched.tick = lambda name, tick: None
    run = watched.run(recipe, "1", 0)
    folder = f"{run.path.parent.name}/fold1-seed0"
    assert [text for text in said if folder in text] == [f"trains {folder}", f"resumes {folder} (epoch 3 of 3)"]
    assert run.epochs_over == 3
    assert Run(run.path / "elsewhere").epochs_over == 0


def test_a_student_may_start_from_another_runs_weights(watched: Watched) -> None:
    frozen = replace(HARD, learning_rate=1e-12)
    run = watched.run(replace(LOW, stages=(frozen,), initial=Trained(UPPER)), "1", 0)
    assert watched.made[0] == "x/upper fold1-seed0"
    upper, student = weights(watched.run(UPPER, "1", 0)), weights(run)
    learned = [key for key in upper if "running" not in key and "tracked" not in key]
    assert all(torch.allclose(upper[key], student[key], atol=1e-6) for key in learned)


HEAD = """
from __future__ import annotations
from dataclasses import replace
from torch import nn
class TinyHead(nn.Module):
    def __init__(self, *, n_classes: int = 2) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.output = nn.Linear(527, n_classes)
    def forward(self, prediction):
        return replace(prediction, logits=self.output(prediction.logits))
"""


@pytest.mark.parametrize("initial", [None, Trained(LOW)])
def test_parts_that_never_learn_come_back_as_they_were(
    watched: Watched, on_shelf: Callable[[str, str, str], type], initial: Trained | None
) -> None:
    head = spec(on_shelf("heads", "TinyHead", HEAD))
    if initial:  # weights for a network of 527 classes, from an earlier run with a head of its own
        whole = replace(LOW, student=replace(LOW_VIEW, head=head))
        initial = Trained(whole)
    recipe = replace(
        LOW, student=replace(LOW_VIEW, head=head), stages=(replace(HARD, trains=("head",)),), initial=initial
    )
    run = watched.run(recipe, "1", 2)
    assert {key.split(".")[1] for key in weights(run) if key.startswith("model.")} == {"head"}
    bench = Bench.prepare(watched, recipe, "1", 2, None)
    again = evaluate.predictions(watched.pipeline(run), bench.loader(bench.test))
    np.testing.assert_array_equal(again.logits, Predictions.load(run.predictions("test")).logits)
    heard = watched.heard_through(recipe, "1", 2, recipe.student)
    np.testing.assert_array_equal(again.logits, heard.logits)
    elsewhere = evaluate.predictions(Lab(watched.runs, None).pipeline(run), bench.loader(bench.test))
    np.testing.assert_array_equal(again.logits, elsewhere.logits)


def test_without_data_what_a_run_started_from_must_be_there_once(watched: Watched) -> None:
    recipe = replace(LOW, initial=Trained(UPPER), name="x/later")
    run, upper = watched.run(recipe, "1", 0), watched.run(UPPER, "1", 0)
    alone = Lab(watched.runs, None)
    assert alone.folder(UPPER) == upper.path.parent
    copy = watched.runs / "x-upper-copied"
    shutil.copytree(upper.path.parent, copy)
    with pytest.raises(HearlessError, match=r"must hold the runs of x/upper once, .* got .*upper-.*, .*upper-copied"):
        alone.folder(UPPER)
    shutil.rmtree(copy)
    shutil.rmtree(upper.path / "checkpoints")
    with pytest.raises(HearlessError, match="has lost its checkpoints"):
        alone.with_weights(UPPER, "1", 0)
    shutil.rmtree(upper.path.parent)
    with pytest.raises(HearlessError, match="once, which others start from, got none"):
        alone.folder(UPPER)
    with pytest.raises(HearlessError, match="recordings of CsvLabels are asked for; name their folder"):
        alone.run(run.recipe, "2", 0)


# --- teachers -------------------------------------------------------------------------------------------------------


def test_a_teacher_that_knows_the_test_fold_is_a_leak(watched: Watched) -> None:
    drawn = replace(UPPER, dataset=spec(CsvLabels, table="meta.csv", fold="-", n_folds=2, seed=1))
    with pytest.raises(
        HearlessError, match=r"leak: the teacher fold1-seed0 was trained on \d+ recordings .*(hiss|tick)-\d"
    ):
        watched.run(taught(Trained(drawn)), "1", 0)
    assert not list(watched.runs.glob("*student*/*/metrics.jsonl"))


def test_being_chosen_by_a_test_recording_is_a_leak_too(watched: Watched) -> None:
    run = watched.run(UPPER, "1", 0)
    test = [clip for clip in watched.table(TABLE).clips if clip.fold == "1"]
    check_teacher_leak(run, test)
    run.write("clips.json", {"training": [], "validation": ["hum-0"], "test": []})
    with pytest.raises(HearlessError, match=r"leak: .* 1 recording .*\(hum-0\); train it on the student's own folds"):
        check_teacher_leak(run, test)


def test_a_teacher_of_other_classes_is_refused(watched: Watched) -> None:
    other = replace(UPPER, dataset=spec(CsvLabels, table="meta.csv", label="kind"))
    with pytest.raises(HearlessError, match=r"classes in one order, got 2 and 3: the teacher alone has loud"):
        watched.run(taught(Trained(other)), "1", 0)


@pytest.mark.parametrize(
    ("teacher", "student", "said"),
    [
        (["a", "b"], ["a", "b", "c"], r"got 2 and 3: the student alone has c\. Train"),
        (["a", "d"], ["a", "b"], "the teacher alone has d; the student alone has b; class 2 is 'd' to the teacher and"),
        (["b", "a"], ["a", "b"], r"got 2 and 2: class 1 is 'b' to the teacher and 'a' to the student\."),
    ],
)
def test_classes_that_differ_are_named(teacher: list[str], student: list[str], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        check_classes(teacher, student)


def test_no_cross_fitted_copy_explains_a_clip_it_has_trained_on(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, int]] = []
    explainers = teachers._explainers

    def spied(*arguments: Any) -> dict[str, int]:
        seen.append(explainers(*arguments))
        return seen[-1]

    monkeypatch.setattr(teachers, "_explainers", spied)
    student = watched.run(taught(CrossFitted(UPPER, 2)), "1", 0)
    assert watched.made[:2] == ["x/upper fold1-seed0-part0of2", "x/upper fold1-seed0-part1of2"]
    copies = [Run(watched.folder(UPPER) / f"fold1-seed0-part{n}of2").read("clips.json") for n in range(2)]
    training = student.read("clips.json")["training"]
    assert set(copies[0]["training"]) | set(copies[1]["training"]) == set(training)
    assert not set(copies[0]["training"]) & set(copies[1]["training"])
    group_of = {clip.id: clip.group for clip in watched.table(TABLE).clips}
    assert {group_of[clip_id] for clip_id in seen[0]} == set(training)
    for clip_id, number in seen[0].items():
        assert group_of[clip_id] not in copies[number]["training"]


def test_a_cross_fitted_teacher_of_another_seed_explains_no_clip_it_has_trained_on(watched: Watched) -> None:
    """Its parts were dealt from other training clips than the student's."""
    teacher = CrossFitted(UPPER, 2, seed=1)
    bench = Bench.prepare(watched, taught(teacher), "1", 0, None)
    running = teachers.Teachers(watched, bench).running(teacher)
    assert isinstance(running, Running)
    copies = [Run(watched.folder(UPPER) / f"fold1-seed1-part{n}of2").read("clips.json") for n in range(2)]
    group_of = {clip.id: clip.group for clip in bench.training}
    assert running.explains
    for clip_id, number in running.explains.items():
        assert group_of[clip_id] not in copies[number]["training"]
    held = set(copies[0]["validation"])
    assert held & set(group_of.values())  # else this shows nothing
    assert not held & {group_of[clip_id] for clip_id in running.explains}


def test_fused_and_stored_teachers_teach(watched: Watched) -> None:
    low = Trained(LOW)
    watched.run(taught(Fused((Trained(UPPER), low)), stored_draws=2, stages=(replace(SOFT, epochs=3),)), "1", 0)
    assert watched.made == ["x/upper fold1-seed0", "x/low fold1-seed0", "x/student fold1-seed0"]
    stored = sorted(path.name for path in (watched.runs / "logits").glob("*/*.npy"))
    assert stored == ["draw0.npy", "draw0.npy", "draw1.npy", "draw1.npy"]  # each teacher's own


def test_a_pretrained_teacher_needs_a_pipeline(watched: Watched) -> None:
    with pytest.raises(HearlessError, match="Pretrained needs pipeline="):
        watched.run(taught(Pretrained("mn04")), "1", 0)


def test_captures_of_all_generations_are_known() -> None:
    second = taught(Fused((Trained(UPPER), Pretrained("mn04", pipeline=RAW_VIEW))))
    third = replace(LOW, stages=(SOFT,), teacher=CrossFitted(second))
    assert captures(third) == [LOW_VIEW.capture, LOW_VIEW.capture, RAW_VIEW.capture, UPPER_VIEW.capture]


# --- another view, choices and studies ------------------------------------------------------------------------------


def test_the_raw_condition_is_heard_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.run(UPPER, "1", 0)
    heard = watched.heard_through(UPPER, "1", 0, RAW_VIEW)
    own = Predictions.load(watched.run(UPPER, "1", 0).predictions("test"))
    assert heard.ids.tolist() == own.ids.tolist()
    assert not np.array_equal(heard.logits, own.logits)
    monkeypatch.setattr(evaluate, "predictions", None)
    np.testing.assert_array_equal(watched.heard_through(UPPER, "1", 0, RAW_VIEW).logits, heard.logits)


def test_the_raw_condition_through_the_runs_own_view_is_the_run(watched: Watched) -> None:
    own = Predictions.load(watched.run(LOW, "1", 0).predictions("test"))
    np.testing.assert_allclose(watched.heard_through(LOW, "1", 0, LOW_VIEW).logits, own.logits, atol=1e-6)


def test_a_study_inside_the_training_folds_never_hears_the_test_fold(watched: Watched) -> None:
    rows = (Row("upper", {}, (UPPER,)), Row("raw", {}, (UPPER,), heard_through=RAW_VIEW))
    watched.study(Study("s", "t", "", rows, folds=("1",), judged_on="validation"))
    run = watched.run(UPPER, "1", 0)
    validation = set(run.read("clips.json")["validation"])
    heard = watched.heard_through(UPPER, "1", 0, RAW_VIEW, "validation")
    assert set(heard.groups) == validation
    assert sorted(path.name[:10] for path in (run.path / "predictions").glob("*-*")) == ["validation"]


def validated(scores: dict[tuple[str, str], dict[str, float]], made: Lab) -> None:
    """Write finished runs with these validation scores."""
    for (select, fold), found in scores.items():
        recipe = replace(LOW, select=select, name=select)
        Run(made.folder(recipe) / f"fold{fold}-seed0").write("done.json", {"validation": found, "seconds": 1})


@pytest.mark.parametrize(
    ("selects", "best"),
    [(("max:accuracy", "max:macro_f1"), {"1": 0, "2": 1}), (("min:loss", "last"), {"1": 1, "2": 1})],
)
def test_each_fold_chooses_by_its_own_validation(
    watched: Watched, selects: tuple[str, str], best: dict[str, int]
) -> None:
    of_fold = {
        "1": {"accuracy": 0.8, "macro_f1": 0.7, "loss": 0.4},
        "2": {"accuracy": 0.6, "macro_f1": 0.9, "loss": 0.1},
    }
    validated({(select, fold): found for select in selects for fold, found in of_fold.items()}, watched)
    row = Row("x", {}, tuple(replace(LOW, select=select, name=select) for select in selects))
    assert {fold: watched.choose(row, fold, 0) for fold in ("1", "2")} == best
    assert watched.made == []


def test_the_papers_protocol_fixes_the_first_folds_choice(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    best = {("a", "1"): 0.9, ("b", "1"): 0.1, ("a", "2"): 0.1, ("b", "2"): 0.9}
    monkeypatch.setattr(Lab, "_validated", lambda self, recipe, fold, seed: best[recipe.name, fold])
    for protocol, expected in (("honest", {"1": 0, "2": 1}), ("paper", {"1": 0, "2": 0})):
        options = tuple(replace(LOW, protocol=protocol, name=n, batch_size=8 + i) for i, n in enumerate("ab"))
        row = Row("x", {}, options)
        found = row_of(watched, Study("s", "t", "", (row,)), row, ("1", "2"), {})
        assert found.choices == expected
        assert found.hole == ""


def test_choices_may_be_judged_by_other_recipes(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "_validated", lambda self, recipe, fold, seed: {"a": 0.1, "b": 0.9}[recipe.name])
    options = (LOW.named("c"), LOW.named("d"))
    assert watched.choose(Row("x", {}, options, chosen_by=(LOW.named("a"), LOW.named("b"))), "1", 0) == 1


@pytest.mark.parametrize(
    ("folds", "seeds", "said"),
    [
        (("1",), (0,), "Made on fold 1 of 5, seed 0."),
        (("1", "3"), (0, 2), "Made on folds 1, 3 of 5, seeds 0, 2."),
        ((), (0, 1), "Made on all 5 folds, seeds 0, 1."),
    ],
)
def test_a_table_says_on_which_folds_and_seeds_it_is_made(
    watched: Watched, folds: tuple[str, ...], seeds: tuple[int, ...], said: str
) -> None:
    dataset = spec(CsvLabels, table="meta.csv", fold="-", n_folds=5)
    assert watched.extent(dataset, watched.folds(dataset, folds), seeds) == said


def test_a_table_of_one_split_says_so(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watched, "folds", lambda lab, dataset: ("split",))
    assert watched.extent(TABLE, ("split",), (0,)) == "Made on the one split, seed 0."


def test_a_failed_row_leaves_a_hole_and_the_study_goes_on(watched: Watched) -> None:
    said: list[str] = []
    watched.say = said.append
    broken = replace(LOW, stages=(replace(HARD, learning_rate=1e30, schedule="constant", epochs=2),), name="x/broken")
    rows = (Row("broken", {}, (broken,)), Row("whole", {}, (LOW,)), Row("raw", {}, (UPPER,), heard_through=RAW_VIEW))
    report = watched.study(
        Study("s", "t", "", rows, folds=("1",), seeds=(0, 1), compare=(("whole", "broken"), ("whole", "raw"))), "typed"
    )
    assert "must stay finite" in report.rows[0].hole
    assert any(text.startswith("broken, fold 1: ") and "lower learning_rate" in text for text in said)
    assert [row.hole for row in report.rows[1:]] == ["", ""]
    assert report.rows[1].metrics["accuracy"].n == 12
    assert [(test.name_a, test.name_b) for test in report.tests] == [("whole", "raw")]
    assert report.command == "typed"
    assert sorted(watched.made) == [f"x/{name} fold1-seed{seed}" for name in ("low", "upper") for seed in (0, 1)]


def test_a_rows_own_folds_and_seeds_are_narrower(watched: Watched) -> None:
    row = Row("x", {}, (LOW,), folds=("2",), seeds=(4,))
    watched.study(Study("s", "t", "", (row,), seeds=(0, 1)))
    assert watched.made == ["x/low fold2-seed4"]


def test_unknown_folds_are_refused(watched: Watched) -> None:
    assert watched.folds(TABLE) == ("1", "2")
    with pytest.raises(HearlessError, match="folds must be among 1, 2, got 9"):
        watched.folds(TABLE, ["1", "9"])


# --- bad input reaches the user before any epoch --------------------------------------------------------------------


def write_table(root: Path, lines: list[str], sounds: dict[str, tuple[float, int]]) -> Spec:
    """Write sounds (seconds, rate in Hz) and a table of them."""
    for name, (seconds, rate_hz) in sounds.items():
        samples = 0.1 * np.random.default_rng(len(name)).standard_normal(round(seconds * rate_hz))
        soundfile.write(root / name, samples, rate_hz)
    (root / "meta.csv").write_text("\n".join(["path,label,fold", *lines]) + "\n")
    return TABLE


EIGHT = [f"{label}{i}.wav,{label},{i % 2 + 1}" for label in "ab" for i in range(4)]


def test_a_sensor_above_a_files_rate_is_refused_with_all_such_files(
    make: Callable[..., Watched], tmp_path: Path
) -> None:
    sounds = {line.split(",")[0]: (0.5, 8000) for line in EIGHT} | {"a1.wav": (0.5, 500), "b2.wav": (0.5, 800)}
    made = make(tmp_path)
    write_table(tmp_path, EIGHT, sounds)
    with pytest.raises(HearlessError, match=r"got 1000 Hz, but 2 of 8 files (?s:.*)a1.wav: 500 Hz\n.*b2.wav: 800 Hz"):
        made.run(LOW, "1", 0)
    assert made.made == []
    clips = made.table(TABLE).clips
    check_rates(clips, 500)
    with pytest.raises(HearlessError, match="8 of 8 files"):
        check_rates(clips, 9000)


def test_clips_that_are_too_short_are_listed_before_the_teacher_trains(
    make: Callable[..., Watched], tmp_path: Path
) -> None:
    sounds = {line.split(",")[0]: (0.5, 8000) for line in EIGHT} | {"a1.wav": (0.02, 8000), "b2.wav": (0.03, 8000)}
    made = make(tmp_path)
    write_table(tmp_path, EIGHT, sounds)
    with pytest.raises(HearlessError, match=r"2 clips are too short:(?s:.*)8 frames(?s:.*)set clip_s") as caught:
        made.run(taught(), "1", 0)
    assert "a1.wav" in str(caught.value)
    assert "b2.wav" in str(caught.value)
    assert not list(tmp_path.glob("runs/*/*/metrics.jsonl"))
    made.run(replace(LOW, clip_s=0.5, validation=0.5), "1", 0)
    assert made.made == ["x/low fold1-seed0"]


def test_a_setting_that_no_objective_takes_is_refused_before_the_teacher_trains(watched: Watched) -> None:
    wrong = (replace(SOFT, objectives=(spec(SelfDistillation, alpha=7.0, temperature=2.0),)),)
    with pytest.raises(HearlessError, match=r"alpha must lie in 0\.\.1, got 7"):
        watched.run(taught(stages=wrong), "1", 0)
    with pytest.raises(HearlessError, match="select must be"):
        watched.run(taught(select="max:mAP"), "1", 0)
    assert not list(watched.runs.glob("*/*/metrics.jsonl"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a0.wav,a,1", "a1.wav,a,2"], "one class only"),
        (["a0.wav,a,1", "a1.wav,b,1", "b0.wav,a,2"], "fold 1: every tested class .* b is not"),
        (["a0.wav,a,1", "b0.wav,b,1", "a0.wav,a,2"], "listed 2 times"),
        (["a0.wav,a,1", "missing.wav,b,2"], r"no such file \(.*missing.wav"),
        (["a0.wav,a,1", "b0.wav,,2"], "no label"),
    ],
)
def test_bad_tables_are_refused_in_words(
    make: Callable[..., Watched], tmp_path: Path, lines: list[str], said: str
) -> None:
    write_table(tmp_path, lines, {line.split(",")[0]: (0.5, 8000) for line in EIGHT})
    made = make(tmp_path)
    with pytest.raises(HearlessError, match=said):
        made.run(LOW, "1", 0)
    assert made.made == []


def test_broken_sounds_are_listed_together(make: Callable[..., Watched], tmp_path: Path) -> None:
    write_table(tmp_path, EIGHT, {line.split(",")[0]: (0.5, 8000) for line in EIGHT})
    (tmp_path / "a1.wav").write_bytes(b"")
    (tmp_path / "b2.wav").write_text("no sound")
    made = make(tmp_path)
    with pytest.raises(HearlessError, match="2 clips cannot be used") as caught:
        made.run(LOW, "1", 0)
    assert "a1.wav" in str(caught.value)
    assert "b2.wav" in str(caught.value)


# --- what a study refuses before it trains --------------------------------------------------------------------------


def weights_file(path: Path, width: float) -> Pretrained:
    """Write the weights of a network and return them as a start."""
    torch.save(MobileNetV3(width=width, n_classes=5).state_dict(), path)
    return Pretrained(str(path), sha256(path))


def cut_short(path: Path) -> None:
    """Leave out the second half of a sound; its header still promises it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_study_names_all_wrong_weights_and_sounds_before_it_trains(
    make: Callable[..., Watched], tmp_path: Path
) -> None:
    write_table(tmp_path, EIGHT, {line.split(",")[0]: (0.5, 8000) for line in EIGHT})
    soundfile.write(tmp_path / "a1.wav", np.random.default_rng(1).standard_normal(4000) / 9, 8000, format="FLAC")
    cut_short(tmp_path / "a1.wav")
    (tmp_path / "b2.wav").write_text("no sound")
    whole, other = weights_file(tmp_path / "whole.pt", 0.2), weights_file(tmp_path / "other.pt", 0.1)
    absent = replace(UPPER, initial=Pretrained(str(tmp_path / "missing.pt")), name="x/teacher")
    rows = (
        Row("fine", {}, (replace(LOW, initial=whole),)),
        Row("other network", {}, (replace(LOW, initial=other, name="x/other"),)),
        Row("taught", {}, (taught(Trained(absent)),)),
    )
    made = make(tmp_path)
    with pytest.raises(HearlessError, match="nothing was trained, for 3 things are to be mended first") as caught:
        made.study(Study("s", "t", "", rows))
    text = str(caught.value)
    assert f"weights '{tmp_path / 'other.pt'}' of x/other cannot be loaded: MobileNetV3" in text
    assert "missing.pt' are not on this machine" in text
    assert "whole.pt" not in text
    assert "2 clips cannot be used" in text
    assert {"a1.wav", "b2.wav"} <= {line.partition(".wav")[0].rpartition("/")[2] + ".wav" for line in text.split("\n")}
    assert not list(tmp_path.glob("runs/*/*/*.json"))


def test_a_single_cause_is_said_as_it_is(watched: Watched, tmp_path: Path) -> None:
    other = replace(LOW, initial=weights_file(tmp_path / "other.pt", 0.1))
    with pytest.raises(HearlessError, match=r"^weights .*other.pt' of x/low cannot be loaded"):
        watched.study(Study("s", "t", "", (Row("upper", {}, (UPPER,)), Row("low", {}, (other,)))))
    with pytest.raises(HearlessError, match=r"^weights .*other.pt' of x/student cannot be loaded"):
        watched.run(taught(initial=other.initial), "1", 0)
    assert watched.made == []  # the teacher neither


def test_a_finished_study_needs_neither_weights_nor_sounds(
    make: Callable[..., Watched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = weights_file(tmp_path / "whole.pt", 0.2)
    rows = (Row("low", {}, (replace(LOW, initial=start),)),)
    first = make().study(Study("s", "t", "", rows, folds=("1",)))
    (tmp_path / "whole.pt").unlink()
    with monkeypatch.context() as broken:
        broken.setattr("hearless.lab.lab.open_store", None)
        assert make().study(Study("s", "t", "", rows, folds=("1",))).rows == first.rows
    with pytest.raises(HearlessError, match=r"whole.pt' are not on this machine"):
        make().study(Study("s", "t", "", rows, folds=("1",), seeds=(0, 1)))


def test_of_options_only_those_that_may_still_be_taken_are_asked_for(watched: Watched, tmp_path: Path) -> None:
    best, worst = (replace(LOW, name=name, batch_size=n) for n, name in ((10, "x/best"), (9, "x/worst")))
    gone = replace(worst, initial=Pretrained(str(tmp_path / "gone.pt")), name="x/gone")
    row = Row("x", {}, (LOW, gone), chosen_by=(best, worst))
    study = Study("s", "t", "", (row,), folds=("1",), seeds=(0, 1))
    assert [*missing(watched, study, row, ("1",))] == [best, worst, LOW, gone]
    for recipe, accuracy in ((best, 0.9), (worst, 0.1)):
        done = {"validation": {"accuracy": accuracy}, "seconds": 1}
        Run(watched.folder(recipe) / "fold1-seed0").write("done.json", done)
    assert [*missing(watched, study, row, ("1",))] == [LOW]
    assert [*missing(watched, study, replace(row, chosen={"1": 1}), ("1",))] == [gone]
    assert [*missing(watched, study, replace(row, chosen={}), ("1",))] == []
    assert watched.study(study).rows[0].hole == ""
    assert watched.made == ["x/low fold1-seed0", "x/low fold1-seed1"]


def test_a_recording_in_two_folds_is_a_leak(make: Callable[..., Watched], tmp_path: Path) -> None:
    write_table(tmp_path, EIGHT, {line.split(",")[0]: (0.5, 8000) for line in EIGHT})
    table = (tmp_path / "meta.csv").read_text().splitlines()
    grouped = [f"{line},{'same' if line.startswith('a') else line[:2]}" for line in table[1:]]
    (tmp_path / "meta.csv").write_text("\n".join([f"{table[0]},group", *grouped]) + "\n")
    with pytest.raises(HearlessError, match=r"leak: .* same in 1, 2"):
        make(tmp_path).run(LOW, "1", 0)


def test_a_torch_device_that_is_not_there_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"torch_device must be one that this machine has, got 'cdua'.*cpu always"):
        Lab(tmp_path, tiny, torch_device="cdua")


def test_recordings_below_what_a_capture_would_hear_are_told_of_once(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    lab = Lab(tmp_path, tiny, say=said.append)
    for _ in range(2):
        lab.store(lab.table(UPPER.dataset), [FullBand(rate_hz=16000)])
    assert said == ["the recordings hold 8000 Hz, not 16000: what lies above 4000 Hz stays silent."]


def test_a_fold_of_several_tables_is_one_folder() -> None:
    assert run_name("city/10", 2) == "foldcity_10-seed2"
    assert run_name("1", 0) == "fold1-seed0"
