"""How a run is made: trained, heard on its test clips, calibrated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hearless import evaluate
from hearless.interfaces import Clip
from hearless.lab.bench import Bench, Part
from hearless.lab.checks import check_teacher_leak
from hearless.lab.facts import write_facts
from hearless.lab.starting import fresh, load_initial, start_of
from hearless.lab.teachers import Teachers
from hearless.pipeline import Pipeline
from hearless.recipe import Recipe
from hearless.run import Predictions, Run
from hearless.teachers import Trained
from hearless.teaching import Stored, Together
from hearless.train import Training

if TYPE_CHECKING:
    from hearless.lab.lab import Lab


def make(lab: Lab, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
    """Make a run of a recipe on a fold with a seed; one that was stopped goes on."""
    bench = Bench.prepare(lab, recipe, fold, seed, part)
    pipeline = fresh(recipe.student, bench.labels, seed)
    bench.check(pipeline)
    training = bench.loader(bench.training)
    listen = Teachers(lab, bench).listening(training)
    load_initial(lab, pipeline, recipe, fold, seed)
    if isinstance(recipe.initial, Trained):
        check_teacher_leak(start_of(lab, recipe.initial, fold, seed), bench.test, bench.table.hashes_of(bench.test))
    lab.say(_begins(run, recipe))
    if run.done:
        run.begin_again()
    earlier, began = _seconds(run), time.perf_counter()
    write_facts(run, recipe, bench, pipeline)
    explain = listen()
    if isinstance(explain, Together | Stored) and explain.fusion:
        run.write("measured.json", {**run.measured, "fusion": explain.fusion.to_json()})
    work = Training(
        recipe, pipeline, training, bench.loader(bench.validation), run, seed, explain,
        lab.torch_device, lambda tick: lab.tick(f"{recipe.name} {run.path.name}", tick),
        lambda student, epoch: heard(lab, student, bench, bench.test, None).save(_after(run, epoch)),
    )  # fmt: skip
    work.fit()
    found = heard(lab, pipeline, bench, bench.validation, work.beside)
    found.save(run.predictions("validation"))
    scores = evaluate.measures(found, multi_label=bench.table.multi_label)
    if part is None:
        heard(lab, pipeline, bench, bench.test, work.beside).save(run.predictions("test"))
        _keep_last(run, [*range(work.n_epochs - recipe.average_last + 1, work.n_epochs + 1)])
    _calibrate(lab, run, pipeline, bench)
    run.write("done.json", {"seconds": earlier + time.perf_counter() - began, "validation": scores})


def _calibrate(lab: Lab, run: Run, pipeline: Pipeline, bench: Bench) -> None:
    """Write into a run's measured.json how far its scores can be trusted, and how much noise it gives a class."""
    rule, rate_hz = evaluate.keep_calibration(run), bench.store.rate_hz
    if rule is None:
        return
    shares = evaluate.noise_named(
        pipeline, round(bench.clip_s * rate_hz), rate_hz, rule, multi_label=bench.table.multi_label,
        torch_device=lab.torch_device,
    )  # fmt: skip
    evaluate.keep_calibration(run, noise_named=shares)


def heard(
    lab: Lab, pipeline: Pipeline, bench: Bench, clips: tuple[Clip, ...], beside: evaluate.Explain | None
) -> Predictions:
    """Return what a pipeline says of some clips, and which of them come from devices it was trained on."""
    found = evaluate.predictions(pipeline, bench.loader(clips), torch_device=lab.torch_device, explain=beside)
    trained = sorted({clip.device for clip in bench.training if clip.device})
    return found if found.devices is None else replace(found, seen=np.isin(found.devices, trained))


def _begins(run: Run, recipe: Recipe) -> str:
    """Say that a run is trained, or once more, or where a stopped one goes on."""
    over, n_epochs = run.epochs_over, sum(stage.epochs for stage in recipe.stages)
    name = f"{run.path.parent.name}/{run.path.name}"
    if run.done:
        return (
            f"trains {name} again, which kept its results but not its weights; made on another machine it may differ a "
            "little, so make the tables it stands in anew"
        )
    return f"resumes {name} (epoch {min(over + 1, n_epochs)} of {n_epochs})" if over else f"trains {name}"


def _seconds(run: Run) -> float:
    """Return how long the epochs took that a resumed run has behind it."""
    return sum(row["seconds"] for row in run.metrics()) if run.checkpoint("last").is_file() else 0.0


def _after(run: Run, epoch: int) -> Path:
    """Return where the test predictions after one of the last epochs lie until all are there."""
    return run.predictions(f"test-epoch{epoch}")


def _keep_last(run: Run, epochs: Sequence[int]) -> None:
    """Put the test predictions of the last epochs into one file, logits ``[epoch, clip, class]``."""
    each = [Predictions.load(_after(run, epoch)) for epoch in epochs]
    if each:
        replace(each[0], logits=np.stack([one.logits for one in each])).save(run.predictions("test-last"))
    for epoch in epochs:
        _after(run, epoch).unlink()
