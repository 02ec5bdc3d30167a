"""The loop: its schedule, its determinism, its resume to the same bits, its stages, and that it learns."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor, nn

from hearless import evaluate, spec
from hearless.augmentations.freq_mixstyle import FreqMixStyle
from hearless.augmentations.mixup import Mixup
from hearless.augmentations.spec_augment import SpecAugment
from hearless.augmentations.spectrogram_noise import SpectrogramNoise
from hearless.augmentations.time_frequency_mask import TimeFrequencyMask
from hearless.augmentations.time_roll import TimeRoll
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.heads.score_mlp import ScoreMLP
from hearless.interfaces import HearlessError
from hearless.loading import Loader, Table, generator, open_store, read_table
from hearless.objectives.attention_transfer import AttentionTransfer
from hearless.objectives.contrastive_representation import ContrastiveRepresentation
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.cross_model_distillation import CrossModelDistillation
from hearless.objectives.hints import Hints
from hearless.objectives.review import Review
from hearless.objectives.self_distillation import SelfDistillation
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.quantize import Quantized
from hearless.recipe import Recipe, Stage
from hearless.resting import Kept
from hearless.run import Run, load_tensors, save_tensors
from hearless.teachers import Trained
from hearless.teaching import Running
from hearless.train import Tick, Training, check_select, final, learning_rate, load_parts

pytestmark = pytest.mark.usefixtures("cached")

STUDENT = PipelineSpec(
    spec.spec(LowRate, rate_hz=1000),
    spec.spec(PreEmphasisMel, input_rate_hz=1000, path="native", bands=24),
    spec.spec(MobileNetV3, width=0.2, dropout=0.2),
)
LOSS = (spec.spec(CrossEntropy),)


def recipe_of(*stages: Stage, teacher: Trained | None = None, **changes: str) -> Recipe:
    return Recipe(
        dataset=spec.spec(CsvLabels, table="meta.csv"), student=STUDENT, stages=stages or (Stage(LOSS, 3),),
        teacher=teacher, batch_size=6, **changes,
    )  # fmt: skip


def student(seed: int = 0, n_classes: int = 3) -> Pipeline:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return STUDENT.build(n_classes)


@pytest.fixture(scope="module")
def table(tiny: Path) -> Table:
    return read_table(CsvLabels(table="meta.csv"), tiny)


@pytest.fixture
def training(tiny: Path, table: Table, tmp_path: Path) -> Callable[..., Training]:
    """Return a maker of trainings on fold 2's clips, validated on fold 1's; all of one test share a run folder."""

    def make(
        recipe: Recipe | None = None, seed: int = 0, run: str = "run", pipeline: Pipeline | None = None,
        labelled: Table = table, **more: object,
    ) -> Training:  # fmt: skip
        recipe = recipe or recipe_of()
        store = open_store(table, 8000)
        sides = [tuple(c for c in labelled.clips if c.fold == fold) for fold in ("2", "1")]
        loaders = [Loader(labelled, store, clips, 0.5, recipe.batch_size) for clips in sides]
        loaders[0] = replace(loaders[0], augmentations=tuple(item.build() for item in recipe.augmentations))
        return Training(recipe, pipeline or student(seed), *loaders, Run(tmp_path / run), seed, **more)

    return make


def weights(made: Training) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in made.pipeline.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def without_seconds(run: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]


class KilledError(Exception):
    """A kill, as a test stages it."""


def stop_at(epoch: int, clips: int) -> Callable[[Tick], None]:
    def tick(at: Tick) -> None:
        if (at.epoch, at.clips) == (epoch, clips):
            raise KilledError

    return tick


# --- the schedule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak", [1e-3, 0.05])
def test_one_cycle_is_torchs_one_cycle(peak: float) -> None:
    n = 5000
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, n, pct_start=0.3, div_factor=25, final_div_factor=1e4
    )
    theirs = []
    for _ in range(n):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(theirs) < n:
            reference.step()
    stage = Stage(LOSS, 1, peak, "one_cycle")
    ours = [learning_rate(stage, i / (n - 1)) for i in range(n)]
    np.testing.assert_allclose(ours, theirs, atol=2e-3 * peak, rtol=0)
    assert ours[0] == pytest.approx(peak / 25)
    assert ours[-1] == pytest.approx(peak / 25e4)
    assert max(ours) == pytest.approx(peak, rel=1e-5)


def test_constant_schedule_keeps_the_rate() -> None:
    stage = Stage(LOSS, 1, 0.007, "constant")
    assert {learning_rate(stage, done) for done in (0, 0.2, 0.3, 0.99, 1)} == {0.007}


@pytest.mark.parametrize(("every", "epochs"), [(5, 23), (1, 12), (3, 9)])
def test_the_step_schedule_is_multi_step_lr(every: int, epochs: int) -> None:
    """Paper 002: ×0.85 every five epochs, or after each epoch from the fifth on; all steps of an epoch alike."""
    stage = Stage(LOSS, epochs, 0.01, "step", decay_every=every)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, range(5, epochs, every), gamma=0.85)
    for epoch in range(epochs):
        steps = [learning_rate(stage, (epoch + step / 7) / epochs) for step in range(7)]
        assert steps == pytest.approx([optimizer.param_groups[0]["lr"]] * 7)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_each_optimiser_is_torchs(
    training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch, name: str, kind: type[torch.optim.Adam]
) -> None:
    """Decay that is added to the gradient (Adam) or decoupled from it (AdamW)."""
    seen: list[tuple[type, float]] = []
    step = kind.step

    def watched(self: torch.optim.Adam, *arguments: object, **options: object) -> object:
        seen.append((type(self), self.param_groups[0]["weight_decay"]))
        return step(self, *arguments, **options)

    monkeypatch.setattr(kind, "step", watched)
    training(recipe_of(Stage(LOSS, 1, optimizer=name, weight_decay=0.1))).fit()
    assert set(seen) == {(kind, 0.1)}


def test_the_loop_follows_the_schedule(training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    step = torch.optim.AdamW.step

    def watched(self: torch.optim.AdamW, *arguments: object, **options: object) -> object:
        seen.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    stages = (Stage(LOSS, 2, 1e-3), Stage(LOSS, 1, 5e-4, "constant"))
    training(recipe_of(*stages)).fit()
    assert seen == pytest.approx([*(learning_rate(stages[0], i / 4) for i in range(4)), 5e-4, 5e-4])


# --- determinism and resume -----------------------------------------------------------------------------------------


def test_a_seed_decides_every_bit(training: Callable[..., Training]) -> None:
    made = [training(seed=seed, run=f"{i}", pipeline=student(0)) for i, seed in enumerate((0, 0, 1))]
    torch.manual_seed(99)
    for one in made:
        one.fit()
        torch.rand(7)  # what others draw changes nothing
    assert same(weights(made[0]), weights(made[1]))
    assert without_seconds(made[0].run) == without_seconds(made[1].run)
    assert not same(weights(made[0]), weights(made[2]))


def test_training_leaves_global_randomness_alone(training: Callable[..., Training]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    training(recipe_of(Stage(LOSS, 1))).fit()
    assert torch.equal(torch.rand(3), expected)


TWO_STAGES = (Stage(LOSS, 2), Stage(LOSS, 1, 5e-4, "constant"))


@pytest.mark.parametrize(
    ("select", "stops"),
    [
        ("min:loss", [(1, 6)]),
        ("min:loss", [(2, 12)]),
        ("min:loss", [(3, 6)]),
        ("last", [(1, 12), (2, 6), (3, 12)]),
    ],
)
def test_a_killed_training_resumes_to_the_same_bits(
    training: Callable[..., Training], select: str, stops: list[tuple[int, int]]
) -> None:
    check_resumes(training, recipe_of(*TWO_STAGES, select=select), stops)


def check_resumes(
    training: Callable[..., Training], recipe: Recipe, stops: list[tuple[int, int]], **more: object
) -> Training:
    """Train in one go, and again killed at each of ``stops``; nothing may differ.  Return the former."""
    whole = training(recipe, run="whole", **more)
    whole.fit()
    for stop in stops:
        with pytest.raises(KilledError):
            training(recipe, run="killed", tick=stop_at(*stop), **more).fit()
    resumed = training(recipe, run="killed", **more)
    resumed.fit()
    assert same(weights(resumed), weights(whole))
    assert without_seconds(resumed.run) == without_seconds(whole.run)
    for name in ("best", "last"):
        assert same(load_tensors(resumed.run.checkpoint(name))[0], load_tensors(whole.run.checkpoint(name))[0])
    return whole


AUGMENTED = (
    spec.spec(Mixup), spec.spec(TimeFrequencyMask, max_time_s=0.1, high_hz=500.0), spec.spec(SpectrogramNoise),
    spec.spec(TimeRoll), spec.spec(FreqMixStyle, probability=0.5), spec.spec(SpecAugment, max_time_s=0.1),
)  # fmt: skip


def augmented(*augmentations: spec.Spec, epochs: int) -> Recipe:
    """Return a recipe that distils, on augmented features where there are any."""
    stage = Stage((spec.spec(CrossModelDistillation),), epochs)
    return replace(recipe_of(stage, teacher=Trained(recipe_of())), augmentations=augmentations)


def test_a_killed_training_on_augmented_features_beside_a_teacher_resumes_to_the_same_bits(
    training: Callable[..., Training],
) -> None:
    listening = Running((student(7).on("cpu").eval(),))
    check_resumes(training, augmented(*AUGMENTED, epochs=3), [(1, 6), (2, 6), (3, 12)], explain=listening)


def test_each_augmentation_of_features_reaches_the_weights(training: Callable[..., Training]) -> None:
    found = []
    for i, chosen in enumerate([(), *((one,) for one in AUGMENTED)]):
        made = training(augmented(*chosen, epochs=1), run=f"{i}", explain=Running((student(7).on("cpu").eval(),)))
        made.fit()
        found.append(weights(made))
    assert not any(same(a, b) for a, b in itertools.combinations(found, 2))


@pytest.mark.parametrize("victim", ["best", "last"])
def test_a_kill_between_two_checkpoints_changes_nothing(
    training: Callable[..., Training], victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training(run="whole")
    whole.fit()
    save, count = save_tensors, itertools.count()

    def dies(path: Path, *rest: object) -> None:
        if path.stem == victim and next(count) == 1:
            raise KilledError
        save(path, *rest)

    monkeypatch.setitem(vars(sys.modules["hearless.train"]), "save_tensors", dies)
    with pytest.raises(KilledError):
        training(run="killed").fit()
    resumed = training(run="killed")
    resumed.fit()
    assert same(weights(resumed), weights(whole))
    assert without_seconds(resumed.run) == without_seconds(whole.run)


def test_a_finished_training_runs_no_epoch_again(training: Callable[..., Training]) -> None:
    first = training()
    first.fit()
    again = training(tick=stop_at(1, 6))
    again.fit()
    assert same(weights(again), weights(first))


def test_a_process_killed_for_real_resumes_to_the_same_bits(
    training: Callable[..., Training], tiny: Path, tmp_path: Path
) -> None:
    script = dedent(f"""
        import os, signal, sys
        from pathlib import Path
        import torch
        torch.set_num_threads(1)
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_train as t
        from hearless.loading import Loader, open_store, read_table
        from hearless.run import Run
        table = read_table(t.CsvLabels(table="meta.csv"), Path({str(tiny)!r}))
        store = open_store(table, 8000)
        sides = [tuple(c for c in table.clips if c.fold == fold) for fold in ("2", "1")]
        def tick(at):
            if (at.epoch, at.clips) == (2, 6):
                os.kill(os.getpid(), signal.SIGKILL)
        loaders = [Loader(table, store, clips, 0.5, 6) for clips in sides]
        t.Training(t.recipe_of(), t.student(0), *loaders, Run(Path({str(tmp_path / "killed")!r})), 0, tick=tick).fit()
    """)
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [row["epoch"] for row in Run(tmp_path / "killed").metrics()] == [1]
    whole, resumed = training(run="whole"), training(run="killed")
    whole.fit()
    resumed.fit()
    assert same(weights(resumed), weights(whole))
    assert without_seconds(resumed.run) == without_seconds(whole.run)


# --- stages, parts and objectives -----------------------------------------------------------------------------------


class Scale(nn.Module):
    """An enhancer with statistics and a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, features: Tensor) -> Tensor:
        scaled: Tensor = self.norm(features)
        return scaled


def with_enhancer() -> Pipeline:
    plain = student()
    return Pipeline(
        capture=plain.capture, frontend=plain.frontend, enhancer=Scale(), classifier=plain.classifier
    )  # fmt: skip


def test_only_the_parts_of_a_stage_learn(training: Callable[..., Training]) -> None:
    frozen = Stage(LOSS, 1, trains=("classifier",))
    made = training(recipe_of(frozen), pipeline=with_enhancer())
    before = weights(made)
    made.fit()
    after = weights(made)
    changed = {key.partition(".")[0] for key in after if not torch.equal(before[key], after[key])}
    assert changed == {"classifier"}
    assert "enhancer.norm.running_mean" in after
    assert not any(key.startswith("model.enhancer") for key in load_tensors(made.run.checkpoint("last"))[0])


def test_a_later_stage_trains_more_parts(training: Callable[..., Training]) -> None:
    stages = (Stage(LOSS, 1, trains=("classifier",)), Stage(LOSS, 1, trains=("classifier", "enhancer")))
    seen = []
    made = training(recipe_of(*stages), pipeline=with_enhancer())
    made.tick = lambda at: seen.append((at.epoch, at.n_epochs, made.pipeline.state_dict()["enhancer.norm.bias"].item()))
    made.fit()
    assert [(epoch, n) for epoch, n, _ in seen] == [(1, 2), (1, 2), (2, 2), (2, 2)]
    assert [bias == 0 for _, _, bias in seen] == [True, True, False, False]


LEARNED = """
from __future__ import annotations
import torch
from torch import nn
from torch.nn import functional as F
class LearnedScale(nn.Module):
    needs_teacher = False
    needs = "logits"
    def __init__(self) -> None:
        super().__init__()
    def bind(self, student, teacher) -> None:
        self.scale = nn.Parameter(torch.rand(student.logits.shape[1]))
    def forward(self, student, teacher, target, weight):
        return {"learned_scale": F.cross_entropy(student.logits * self.scale, target)}
"""


def test_an_objectives_own_parameters_learn_and_resume(
    training: Callable[..., Training], on_shelf: Callable[[str, str, str], type]
) -> None:
    learned = spec.spec(on_shelf("objectives", "LearnedScale", LEARNED))
    recipe = recipe_of(Stage((learned,), 1), Stage((*LOSS, learned), 2))
    whole = training(recipe, run="whole")
    whole.fit()
    torch.manual_seed(123)
    for stop in ((1, 12), (2, 12), (3, 6)):
        with pytest.raises(KilledError):
            training(recipe, run="killed", tick=stop_at(*stop)).fit()
    resumed = training(recipe, run="killed")
    resumed.fit()
    kept = [load_tensors(made.run.checkpoint("last"))[0] for made in (whole, resumed)]
    assert same(*kept)
    assert kept[0]["objective.1.scale"].shape == (3,)
    rows = whole.run.metrics()
    assert "learned_scale" in rows[0]
    assert rows[1]["loss"] == pytest.approx(rows[1]["learned_scale"] + rows[1]["cross_entropy"])
    torch.manual_seed(int(generator("bind", 0, 1).integers(2**62)))
    assert not torch.equal(kept[0]["objective.1.scale"], torch.rand(3))


def test_a_teacher_is_heard_at_each_step(training: Callable[..., Training]) -> None:
    teacher = student(7).on("cpu").eval()
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    recipe = recipe_of(Stage(LOSS, 1))
    distilled = replace(
        recipe, stages=(Stage((spec.spec(SelfDistillation, alpha=0.0, temperature=2.0),), 1),), teacher=Trained(recipe)
    )
    made = training(distilled, pipeline=student(7), explain=Running((teacher,)))
    made.pipeline.eval()
    made.fit()
    row = made.run.metrics()[0]
    assert row["hard"] == 0
    assert row["soft"] > 0
    assert same(teacher.state_dict(), before)
    assert not any(parameter.grad is not None for parameter in teacher.parameters())


def finer_teacher(width: float = 0.3) -> Pipeline:
    """A teacher of twice the student's rate, more bands and other channels."""
    view = STUDENT.hearing(
        spec.spec(LowRate, rate_hz=2000), spec.spec(PreEmphasisMel, input_rate_hz=2000, path="native", bands=40)
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return replace(view, classifier=STUDENT.classifier.replace(width=width)).build(3).on("cpu").eval()


def taught_by_maps(*objectives: spec.Spec, epochs: int = 1, **changes: str) -> Recipe:
    return recipe_of(Stage(objectives, epochs), teacher=Trained(recipe_of()), **changes)


SOME = "features.3,features.8,features.13"
TRANSFERS = {
    "attention": spec.spec(AttentionTransfer),
    "hint": spec.spec(Hints, maps=SOME),
    "review": spec.spec(Review, maps=SOME, width=8),
    "contrast": spec.spec(ContrastiveRepresentation, dimension=8),
}


@pytest.mark.parametrize("term", TRANSFERS)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_inner_maps_and_embeddings_of_a_finer_teacher_reach_the_weights(
    training: Callable[..., Training], term: str, precision: str
) -> None:
    objective, found = TRANSFERS[term], {}
    weight = next(name for name in objective.arguments if name in ("beta", f"{term}_weight"))
    for factor in (0.0, 1.0):
        weighed = objective.replace(**{weight: factor * objective.arguments[weight]})
        made = training(
            taught_by_maps(weighed, precision=precision), run=f"{factor}", pipeline=student(0),
            explain=Running((finer_teacher(),)),
        )  # fmt: skip
        made.fit()
        found[factor] = made
    row = found[1.0].run.metrics()[0]
    assert row[term] > 0
    assert row["loss"] == pytest.approx(row["hard"] + row[term])
    assert found[0.0].run.metrics()[0][term] == 0
    assert not same(weights(found[0.0]), weights(found[1.0]))
    kept = [load_tensors(made.run.checkpoint("last"))[0] for made in found.values()]
    owned = [key for key in kept[0] if key.startswith("objective.0.")]
    assert bool(owned) == (term != "attention")
    assert not any(torch.equal(kept[0][key], kept[1][key]) for key in owned)


def test_a_killed_training_on_inner_maps_resumes_to_the_same_bits(training: Callable[..., Training]) -> None:
    listening = Running((finer_teacher(),))
    check_resumes(training, taught_by_maps(TRANSFERS["review"], epochs=2), [(1, 12), (2, 6)], explain=listening)


def test_maps_are_asked_for_only_where_they_are_compared(
    training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FitNets in its own order: hints alone, then logits; nothing above the hinted map learns at first."""
    asked: list[bool] = []
    onward = Pipeline.onward

    def watched(self: Pipeline, *arguments: Tensor, maps: bool = False) -> object:
        asked.append(maps)
        return onward(self, *arguments, maps=maps)

    monkeypatch.setattr(Pipeline, "onward", watched)
    hints = Stage((spec.spec(Hints, maps="features.6", hard_weight=0.0),), 1)
    recipe = recipe_of(hints, Stage((spec.spec(SelfDistillation),), 1), teacher=Trained(recipe_of()))
    made = training(recipe, explain=Running((finer_teacher(),)))
    made.tick = stop_at(1, 12)
    before = weights(made)
    with pytest.raises(KilledError):
        made.fit()
    parameters = [name for name, _ in made.pipeline.named_parameters()]
    still = {name for name in parameters if torch.equal(before[name], weights(made)[name])}
    assert still == {name for name in parameters if int(name.split(".")[2]) > 6 or ".classifier." in name[1:]}
    made.tick = None
    made.fit()
    assert asked == [
        *[False] * 2,  # the later stage is bound, to be refused before any epoch
        *[True] * 2, *[True] * 4,  # bound, and two steps by student and teacher, which were lost
        *[False] * 2, *[True] * 2, *[True] * 4, *[False] * 2,  # again, with validation
        *[False] * 2, *[False] * 4, *[False] * 2,
    ]  # fmt: skip


# --- what it learns, and what it refuses ----------------------------------------------------------------------------


LONG = recipe_of(Stage(LOSS, 30, 1e-2), select="last")


def test_it_learns_the_tiny_table_by_heart(training: Callable[..., Training]) -> None:
    """Five trainings vote: a machine's last digits decide what a single one on 12 clips makes of others."""
    heard, told = [], []
    for seed in range(5):
        made = training(LONG, seed, f"run{seed}")
        made.fit()
        found = evaluate.predictions(made.pipeline, made.training)
        heard.append(evaluate.measures(found, multi_label=False)["accuracy"])
        told.append(evaluate.predictions(made.pipeline, made.validation))
    assert np.median(heard) == 1
    vote = np.mean([softmax(one.logits, axis=1) for one in told], axis=0)
    assert np.mean(vote.argmax(axis=1) == told[0].true.argmax(axis=1)) >= 0.9  # by chance p = 2e-5


def test_shuffled_labels_teach_nothing(training: Callable[..., Training], table: Table) -> None:
    """Of 12 test clips in 3 classes, 9 or more by chance: p = 0.004."""
    labels = np.random.default_rng(0).permutation([clip.labels[0] for clip in table.clips])
    clips = tuple(replace(clip, labels=(str(label),)) for clip, label in zip(table.clips, labels, strict=True))
    made = training(LONG, labelled=replace(table, clips=clips))
    made.fit()
    on_test = evaluate.measures(evaluate.predictions(made.pipeline, made.validation), multi_label=False)
    assert on_test["accuracy"] <= 8 / 12


def test_selection_keeps_the_best_epoch_of_validation(training: Callable[..., Training]) -> None:
    made = training(recipe_of(Stage(LOSS, 4, 3e-2, "constant"), select="min:loss"))
    made.fit()
    losses = [row["validation_loss"] for row in made.run.metrics()]
    best = len(losses) - int(np.argmin(losses[::-1]))
    kept, state = load_tensors(made.run.checkpoint("best"))
    assert state["epoch"] == best
    assert same({f"model.{k}": v for k, v in made.pipeline.classifier.state_dict(prefix="classifier.").items()}, kept)
    found = evaluate.predictions(made.pipeline, made.validation)
    assert evaluate.measures(found, multi_label=False)["loss"] == pytest.approx(min(losses))


def test_selecting_last_keeps_the_last_epoch(training: Callable[..., Training]) -> None:
    made = training(recipe_of(Stage(LOSS, 3, 3e-2, "constant"), select="last"))
    made.fit()
    found = evaluate.predictions(made.pipeline, made.validation)
    assert evaluate.measures(found, multi_label=False)["loss"] == pytest.approx(
        made.run.metrics()[-1]["validation_loss"]
    )


def test_bf16_trains_float32_weights(training: Callable[..., Training]) -> None:
    made = training(recipe_of(Stage(LOSS, 1), precision="bf16-mixed"), run="bf16")
    plain = training(recipe_of(Stage(LOSS, 1)), run="fp32")
    made.fit()
    plain.fit()
    loss, expected = (one.run.metrics()[0]["loss"] for one in (made, plain))
    assert loss != expected
    assert loss == pytest.approx(expected, rel=0.05)
    assert {value.dtype for value in made.pipeline.state_dict().values()} == {torch.float32, torch.int64}


def test_a_loss_that_is_not_finite_stops_the_training(training: Callable[..., Training]) -> None:
    with pytest.raises(HearlessError, match=r"loss must stay finite, got (nan|inf) in epoch \d, step \d; lower learn"):
        training(recipe_of(Stage(LOSS, 3, 1e30, "constant"))).fit()


def test_terms_of_one_name_are_refused_before_any_epoch(
    training: Callable[..., Training], on_shelf: Callable[[str, str, str], type]
) -> None:
    """Of two, one would be lost; of one called loss, the sum."""
    learned = spec.spec(on_shelf("objectives", "LearnedScale", LEARNED.replace('"learned_scale"', '"loss"')))
    soft, hint = spec.spec(SelfDistillation), TRANSFERS["hint"]
    for objectives, said in (
        ((soft, hint), "must differ in name, got 'hard' again from Hints; leave one out, as hard_weight=0 does"),
        ((*LOSS, *LOSS), "got 'cross_entropy' again from CrossEntropy"),
        ((learned,), "got 'loss' again from LearnedScale"),
    ):
        recipe = taught_by_maps(*objectives)
        for stages in (recipe.stages, (Stage(LOSS, 1), *recipe.stages)):
            made = training(replace(recipe, stages=stages), explain=Running((finer_teacher(),)), tick=stop_at(1, 6))
            with pytest.raises(HearlessError, match=said):
                made.fit()
            assert made.run.metrics() == []
    beside = taught_by_maps(soft, hint.replace(hard_weight=0.0))
    made = training(beside, explain=Running((finer_teacher(),)))
    made.fit()
    row = made.run.metrics()[0]
    assert row["loss"] == pytest.approx(row["hard"] + row["soft"] + row["hint"])


def test_a_map_that_is_not_there_is_refused_before_any_epoch(training: Callable[..., Training]) -> None:
    named = taught_by_maps(spec.spec(Hints, maps="stage2"))
    with pytest.raises(HearlessError, match=r"Hints: the student has no map 'stage2'; it has features\.0, features\.1"):
        training(named, explain=Running((finer_teacher(),)), tick=stop_at(1, 6)).fit()


def test_selecting_by_no_measure_is_refused_before_any_epoch(training: Callable[..., Training]) -> None:
    with pytest.raises(HearlessError, match=r"select must be .* accuracy, .*, got 'max:mAP'"):
        training(recipe_of(select="max:mAP"), tick=stop_at(1, 6)).fit()
    check_select(recipe_of(select="min:loss"), multi_label=True)
    with pytest.raises(HearlessError, match="one of mAP, loss"):
        check_select(recipe_of(select="max:accuracy"), multi_label=True)


def test_a_checkpoint_of_another_network_is_refused(training: Callable[..., Training]) -> None:
    made = training(recipe_of(Stage(LOSS, 1)))
    made.fit()
    with pytest.raises(HearlessError, match="does not fit this pipeline"):
        load_parts(student(n_classes=4), made.run, "best")
    made.run.checkpoint("last").write_bytes(b"torn")
    with pytest.raises(HearlessError, match="no readable checkpoint"):
        training(recipe_of(Stage(LOSS, 1))).fit()


def test_ticks_tell_clips_speed_and_loss(training: Callable[..., Training]) -> None:
    seen: list[Tick] = []
    training(recipe_of(Stage(LOSS, 2)), tick=seen.append).fit()
    assert [(at.epoch, at.clips, at.n_clips) for at in seen] == [(1, 6, 12), (1, 12, 12), (2, 6, 12), (2, 12, 12)]
    assert all(at.clips_per_s > 0 for at in seen)
    assert all(at.metrics["loss"] == pytest.approx(at.metrics["cross_entropy"]) for at in seen)


# --- int8 -----------------------------------------------------------------------------------------------------------

SMALL = """
from __future__ import annotations
from torch import nn
from hearless.interfaces import Prediction
class Small(nn.Module):
    min_bands, min_frames = 8, 8
    def __init__(self, *, n_classes: int = 3) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Conv2d(8, n_classes, 1)
    def forward(self, features, keep=None, *, maps=False):
        inner = self.body(features if keep is None else features * keep)
        return Prediction(self.last(inner).mean((2, 3)), inner.mean((2, 3)), features, {"body": inner} if maps else {})
"""
INT8 = Stage((spec.spec(CrossModelDistillation),), 3, 3e-3, quantized="onnx", norms_until=0.3, ranges_until=0.6)


@pytest.fixture
def small(on_shelf: Callable[[str, str, str], type]) -> PipelineSpec:
    pytest.importorskip("torchao", reason="needs hearless[onnx]")
    return replace(STUDENT, classifier=spec.spec(on_shelf("classifiers", "Small", SMALL)))


def fresh(small: PipelineSpec) -> Pipeline:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return small.build(3)


def buffer(tensors: dict[str, Tensor], name: str) -> Tensor:
    return next(value for key, value in tensors.items() if key.endswith(name))


def test_a_killed_training_in_int8_resumes_to_the_same_bits_and_is_judged_in_int8(
    training: Callable[..., Training], small: PipelineSpec
) -> None:
    masks = (spec.spec(Mixup), spec.spec(SpecAugment, max_time_s=0.1), spec.spec(FreqMixStyle, probability=0.5))
    recipe = replace(
        recipe_of(Stage(LOSS, 1), INT8, teacher=Trained(recipe_of()), select="min:loss"), augmentations=masks
    )  # fmt: skip
    explain = Running((student(7).on("cpu").eval(),))
    stopped: list[dict[str, Tensor]] = []

    def make(run: str, stop: tuple[int, int] | None = None) -> Training:
        made = training(recipe, run=run, pipeline=fresh(small), explain=explain)
        made.tick = stop_at(*stop) if stop else lambda at: stopped.append(weights(made))
        return made

    whole = make("whole")
    whole.fit()
    flags = [[bool(buffer(one, f"classifier.{what}_frozen")) for what in ("norms", "ranges")] for one in stopped[3::2]]
    assert flags == [[False, False], [True, False], [True, True]]
    means, scales = ([buffer(one, name) for one in stopped[2:]] for name in ("running_mean", "process_0.scale"))
    assert [torch.equal(a, b) for a, b in itertools.pairwise(means)] == [False, True, True, True, True]
    assert [torch.equal(a, b) for a, b in itertools.pairwise(scales)] == [False, False, False, True, True]
    with pytest.raises(KilledError):
        make("killed", (3, 6)).fit()
    resumed = make("killed")
    resumed.fit()
    assert same(weights(resumed), weights(whole))
    assert without_seconds(resumed.run) == without_seconds(whole.run)
    assert same(load_tensors(resumed.run.checkpoint("last"))[0], load_tensors(whole.run.checkpoint("last"))[0])
    check_int8(whole)


def check_int8(made: Training) -> None:
    """Check that the network left is int8, of the best epoch of its own stage, and what validation judged."""
    network = made.pipeline.classifier
    assert isinstance(network, Quantized)
    assert network.stage == "int8"
    assert sum(value.numel() for value in weights(made).values() if value.dtype == torch.int8) == 72 + 24
    rows = made.run.metrics()
    best = min(rows[1:], key=lambda row: (row["validation_loss"], -row["epoch"]))
    assert load_tensors(made.run.checkpoint("best"))[1]["epoch"] == best["epoch"]
    again = evaluate.predictions(made.pipeline, made.validation)
    assert evaluate.measures(again, multi_label=False)["loss"] == pytest.approx(best["validation_loss"], abs=1e-6)
    assert final(made.pipeline) is made.pipeline
    assert [row["soft"] > 0 for row in rows[1:]] == [True] * 3


def test_a_finished_training_in_int8_runs_no_epoch_again(
    training: Callable[..., Training], small: PipelineSpec
) -> None:
    recipe = recipe_of(replace(INT8, objectives=LOSS, epochs=1))
    first = training(recipe, pipeline=fresh(small))
    first.fit()
    again = training(recipe, pipeline=fresh(small), tick=stop_at(1, 6))
    again.fit()
    assert same(weights(again), weights(first))
    assert [row["epoch"] for row in again.run.metrics()] == [1]


def test_what_int8_cannot_do_is_refused_before_any_epoch(
    training: Callable[..., Training], small: PipelineSpec
) -> None:
    made = training(recipe_of(Stage(LOSS, 1), replace(INT8, objectives=LOSS)), pipeline=fresh(small))
    made.recipe = replace(made.recipe, select="min:loss")
    object.__setattr__(made.recipe.stages[1], "quantized", "tflite")
    with pytest.raises(HearlessError, match="backend must be one of onnx, executorch, got 'tflite'"):
        made.fit()
    assert made.run.metrics() == []


# --- what rests is heard once ---------------------------------------------------------------------------------------


def with_head(calls: list[int]) -> Pipeline:
    """Return a pipeline with a head, whose classifier notes the size of each batch that it hears."""
    plain = student()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = ScoreMLP(n_classes=3, n_scores=3, hidden=4)
    plain.classifier.register_forward_pre_hook(lambda module, heard: calls.append(len(heard[0])))
    return Pipeline(capture=plain.capture, frontend=plain.frontend, classifier=plain.classifier, head=head)


HEAD = replace(
    recipe_of(Stage(LOSS, 4)), stages=(Stage(LOSS, 4, trains=("head",)),),
    student=replace(STUDENT, head=spec.spec(ScoreMLP, n_scores=3, hidden=4)),
)  # fmt: skip


def test_a_head_learns_the_same_from_what_its_classifier_said_once(
    training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    once, always = list[int](), list[int]()
    kept = training(HEAD, run="once", pipeline=with_head(once))
    kept.fit()
    monkeypatch.setattr(sys.modules[Training.__module__], "known", lambda *arguments: None)
    monkeypatch.setattr(sys.modules[Training.__module__], "Kept", lambda: Kept(limit=0))
    fresh = training(HEAD, run="always", pipeline=with_head(always))
    fresh.fit()
    assert (sum(once), sum(always)) == (2 + 12 + 12, 2 + 4 * (12 + 12))  # a look, clips, validation
    for key, value in weights(fresh).items():
        torch.testing.assert_close(weights(kept)[key], value, rtol=1e-5, atol=1e-6)
    assert not torch.equal(weights(kept)["head.output.weight"], with_head([]).state_dict()["head.output.weight"])


def test_a_killed_training_of_a_head_resumes_to_the_same_bits(
    training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = (training(HEAD, run=name, pipeline=with_head([])) for name in ("whole", "killed"))
    whole.fit()
    killed.tick = stop_at(3, 6)
    with pytest.raises(KilledError):
        killed.fit()
    resumed = training(HEAD, run="killed", pipeline=with_head([]))
    resumed.fit()
    assert same(weights(resumed), weights(whole))
    assert without_seconds(resumed.run) == without_seconds(whole.run)


def test_clips_that_change_are_heard_anew_in_each_epoch(training: Callable[..., Training]) -> None:
    calls = list[int]()
    recipe = replace(HEAD, augmentations=(spec.spec(TimeRoll),))
    training(recipe, pipeline=with_head(calls)).fit()
    assert sum(calls) >= 4 * 12 + 12


def test_a_teacher_hears_the_validation_clips_once(training: Callable[..., Training]) -> None:
    heard = list[int]()
    teacher = student(1).eval()
    teacher.classifier.register_forward_pre_hook(lambda module, features: heard.append(len(features[0])))
    recipe = replace(recipe_of(Stage(LOSS, 3), teacher=Trained(recipe_of())), classes="yamnet", select="last")
    made = training(recipe, explain=Running((teacher,)))
    made.fit()
    assert sum(heard) == 2 + 3 * 12 + 12  # a look, each step, validation
    again = evaluate.predictions(made.pipeline, made.validation, explain=Running((teacher,)))
    assert made.run.metrics()[-1]["validation_kl"] == evaluate.measures(again, multi_label=False)["kl"]
