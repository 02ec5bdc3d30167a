"""Several teachers in the lab: stored apart, heard in one pass, shared by students and seeds, fused as fitted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearless import teaching
from hearless.augmentations.gain import Gain
from hearless.augmentations.roll import Roll
from hearless.captures.full_band import FullBand
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.fusion import Fusion
from hearless.interfaces import HearlessError
from hearless.lab import Bench, Lab, Part
from hearless.lab.teachers import Teachers
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.objectives.binary_distillation import BinaryDistillation
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.self_distillation import SelfDistillation
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.run import Run
from hearless.spec import spec
from hearless.teachers import Fused, Trained

pytestmark = pytest.mark.usefixtures("cached")

NETWORK = spec(MobileNetV3, width=0.2)
TABLE = spec(CsvLabels, table="meta.csv")
VIEW = PipelineSpec(spec(FullBand, rate_hz=8000), spec(PreEmphasisMel, input_rate_hz=8000), NETWORK)
HARD = Stage((spec(CrossEntropy),), 1)
SOFT = Stage((spec(SelfDistillation),), 1)
TEACHER = Recipe(TABLE, VIEW, (HARD,), batch_size=8, validation=0.3, validation_seed=0, name="x/teacher")
TWO = (Trained(TEACHER, seed=0), Trained(TEACHER, seed=1))


def student(how: str = "mean", **more: Any) -> Recipe:
    return replace(
        TEACHER, **{"stages": (SOFT,), "teacher": Fused(TWO, how), "stored_draws": 2, "name": f"x/{how}", **more}
    )


class Watched(Lab):
    """A lab that remembers what it trained."""

    made: list[str]

    def _make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        super()._make(run, recipe, fold, seed, part)
        self.made.append(f"{recipe.name} {run.path.name}")


@pytest.fixture
def watched(tiny: Path, tmp_path: Path) -> Watched:
    made = Watched(tmp_path / "runs", tiny)
    made.made = []
    return made


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """How many teachers listened in each pass, and to which draw."""
    found: list[tuple[int, Any]] = []
    listen = teaching._listen

    def spied(teachers: Any, loader: Any, key: Any, kinds: Any) -> Any:
        if teachers:
            found.append((len(teachers), key))
        return listen(teachers, loader, key, kinds)

    monkeypatch.setattr(teaching, "_listen", spied)
    return found


def measured_fusion(run: Run) -> Fusion:
    said = run.measured["fusion"]
    return Fusion(tuple(said["alpha"]), tuple(said["beta"]), said["n_clips"], said["loss"], said["loss_of_mean"])


def test_one_pass_serves_students_seeds_and_both_fusions(watched: Watched, passes: list[tuple[int, Any]]) -> None:
    watched.run(student(), "1", 0)
    assert passes == [(2, (0, 0)), (2, (0, 1))]
    watched.run(student(), "1", 5)
    watched.run(student(name="x/other", stages=(replace(SOFT, learning_rate=1e-4),)), "1", 0)
    assert len(passes) == 2
    fused = watched.run(student("fitted"), "1", 0)
    assert passes[2:] == [(2, None)]  # the validation part as it is, once
    watched.run(student("fitted"), "1", 5)
    assert len(passes) == 3
    assert sum(name.startswith("x/teacher") for name in watched.made) == 2
    made = measured_fusion(fused)
    assert (len(made.alpha), len(made.beta)) == (2, 3)
    assert made.n_clips == fused.measured["n_clips"]["validation"]
    assert made.loss < made.loss_of_mean
    assert "fusion" not in watched.run(student(), "1", 0).measured


def test_a_further_teacher_listens_alone_and_what_the_student_alone_hears_is_shared(
    watched: Watched, passes: list[tuple[int, Any]]
) -> None:
    both = (spec(Gain),)
    watched.run(student(augmentations=both, stored_draws=1), "1", 0)
    watched.run(student(augmentations=(*both, spec(Roll, student_only=True)), stored_draws=1), "1", 0)
    assert passes == [(2, (0, 0))]
    third = Fused((*TWO, Trained(TEACHER, seed=2)))
    watched.run(student(augmentations=both, stored_draws=1, teacher=third), "1", 0)
    assert passes == [(2, (0, 0)), (1, (0, 0))]
    watched.run(student(augmentations=(spec(Gain, max_db=2.0),), stored_draws=1), "1", 0)
    assert passes[2:] == [(2, (0, 0))]  # they hear otherwise


def test_fitted_logits_are_equation_4_of_the_stored_ones(watched: Watched) -> None:
    recipe = student("fitted", augmentations=(spec(Gain),))
    bench = Bench.prepare(watched, recipe, "1", 0, None)
    training = bench.loader(bench.training)
    explain = Teachers(watched, bench).listening(training)()
    assert isinstance(explain, teaching.Stored)
    assert explain.fusion is not None
    running = Teachers(watched, bench).running(recipe.teacher)
    assert isinstance(running, teaching.Together)
    assert running.fusion == explain.fusion
    for epoch in (0, 1, 2):
        for batch in training.epoch(0, epoch, explain.draw_key(epoch)):
            np.testing.assert_allclose(explain(batch, epoch).logits, running(batch).logits, atol=5e-3)
            each = [one(batch).logits.numpy() for one in running.teachers]
            np.testing.assert_allclose(running(batch).logits, explain.fusion(each), atol=1e-5)


def test_teachers_of_one_view_hear_a_batch_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench.prepare(watched, student(), "1", 0, None)
    running = Teachers(watched, bench).running(student().teacher)
    assert isinstance(running, teaching.Together)
    batch = next(bench.loader(bench.training).in_order())
    heard: list[int] = []
    for number, one in enumerate(running.teachers):
        pipeline = one.pipelines[0]
        hear = pipeline.hear

        def spied(*given: Any, hear: Callable[..., Any] = hear, number: int = number, **more: Any) -> Any:
            heard.append(number)
            return hear(*given, **more)

        monkeypatch.setattr(pipeline, "hear", spied)
    running(batch)
    assert heard == [0]


def test_logits_of_an_early_run_are_found(watched: Watched, passes: list[tuple[int, Any]]) -> None:
    """Early runs kept the mean of all teachers in one folder."""
    recipe = student()
    bench = Bench.prepare(watched, recipe, "1", 0, None)
    training = bench.loader(bench.training)
    running = Teachers(watched, bench).running(recipe.teacher)
    assert isinstance(running, teaching.Together)
    early = teaching.store(running, training, 2, Teachers(watched, bench).logits_folder())
    passes.clear()
    found = Teachers(watched, bench).listening(training)()
    assert passes == []
    assert isinstance(found, teaching.Stored)
    np.testing.assert_array_equal(found.logits, early.logits)


def test_an_interrupted_pass_goes_on_and_damage_is_said(watched: Watched, passes: list[tuple[int, Any]]) -> None:
    run = watched.run(student(), "1", 0)
    folders = sorted((watched.runs / "logits").iterdir())
    assert [sorted(path.name for path in folder.glob("*.npy")) for folder in folders] == [
        ["draw0.npy", "draw1.npy"]
    ] * 2
    (folders[0] / "draw1.npy").unlink()
    shutil.rmtree(run.path)
    watched.run(student(), "1", 0)
    assert passes[2:] == [(1, (0, 1))]
    whole = (folders[1] / "draw0.npy").read_bytes()
    (folders[1] / "draw0.npy").write_bytes(whole[:-5])
    shutil.rmtree(run.path)
    with pytest.raises(HearlessError, match=r"draw0\.npy are damaged; delete that file and run again"):
        watched.run(student(), "1", 0)


def test_fitting_on_what_a_teacher_trained_on_is_refused(watched: Watched) -> None:
    loose = replace(TEACHER, validation_seed=None)
    teacher = Fused((Trained(loose, seed=0), Trained(loose, seed=7)), "fitted")
    with pytest.raises(HearlessError, match=r"how='fitted' needs validation recordings that no teacher has trained on"):
        watched.run(student(teacher=teacher, validation_seed=None), "1", 0)


def test_several_labels_are_fused_too(watched: Watched) -> None:
    table = spec(CsvLabels, table="multi.csv")
    multi = replace(TEACHER, dataset=table, select="max:mAP", stages=(Stage((spec(BinaryCrossEntropy),), 1),))
    teacher = Fused((Trained(multi, seed=0), Trained(multi, seed=1)), "fitted")
    taught = replace(multi, stages=(Stage((spec(BinaryDistillation),), 1),), teacher=teacher, stored_draws=1)
    made = measured_fusion(watched.run(taught, "1", 0))
    assert made.loss < made.loss_of_mean < 1.0


def test_seeds_of_one_validation_seed_share_their_clips(watched: Watched) -> None:
    sides = [Bench.prepare(watched, TEACHER, "1", seed, None).validation for seed in (0, 1, 2)]
    assert sides[0] == sides[1] == sides[2]
    own = [Bench.prepare(watched, replace(TEACHER, validation_seed=None), "1", seed, None) for seed in (0, 1, 2)]
    assert own[0].validation == sides[0]
    assert len({one.validation for one in own}) > 1
