"""Models of finished runs and of published weights, found by folder or file; and what they say of sounds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hearless import evaluate
from hearless import predict as predicting
from hearless.calibration import Calibration
from hearless.door.model import TRANSCODER, Model, Say
from hearless.door.recipes import recipe_names
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipe import Recipe
from hearless.run import Run
from hearless.splits import natural
from hearless.teachers import Pretrained
from hearless.weights import as_listener

WINDOW_S = 10.0
"""How much a published network hears at once: the length of AudioSet's clips."""

Listening = Model | Run | str | Path
"""A model, a run or its folder."""


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


def load(run: Run | str | Path, *, torch_device: str = "cpu", say: Say = _warn) -> Model:
    """Return the model of a run, of its folder (``runs/…/fold1-seed0``), or of the first run in a recipe's folder.

    ``say`` is told which one was taken of a recipe's several; a warning says so where it is left out.

    Raises:
        HearlessError: no finished run is there.
    """
    found = first_run(run, say)
    lab = Lab(found.path.parent.parent, None, torch_device=torch_device)
    measured = found.measured
    name = f"{found.path.parent.name}/{found.path.name}"
    median_db = tuple(math.nan if level is None else level for level in measured.get("median_db", ()))
    return Model(
        lab.pipeline(found), tuple(measured["labels"]), measured["multi_label"], measured["clip_s"], name, median_db,
        _trained_by(found.recipe), evaluate.calibration_of(found) or Calibration(), _beside(found.recipe),
        measured["source_rate_hz"] / 2,
    )  # fmt: skip


def _beside(recipe: Recipe) -> Pretrained | None:
    """Return the frozen classifier that a recipe's student is judged beside, where it has the student's classes."""
    return recipe.teacher if recipe.classes and isinstance(recipe.teacher, Pretrained) else None


def _trained_by(recipe: Recipe) -> str:
    """Return the command that trains a recipe's like for levels of another interval or of octaves."""
    system, _, rest = recipe.name.partition("/")
    method, backbone = ([*rest.split("-"), ""])[:2] if rest.count("-") == 2 else ("", "")
    if f"{system}/{method}" not in recipe_names():
        return TRANSCODER
    command = TRANSCODER.replace("spectral_transcoder/light", f"{system}/{method}").replace("yamnet", backbone)
    bands = recipe.student.capture.arguments.get("bands", "published")
    return command if bands == "published" else f"{command} --set bands={bands}"


def finished(folder: Path) -> list[Run]:
    """Return the finished runs of a folder: itself, or a recipe's runs over folds and seeds.

    Raises:
        HearlessError: there is none.
    """
    if (folder / "done.json").is_file():
        return [Run(folder)]
    inside = sorted((path.parent for path in folder.glob("*/done.json")), key=lambda path: natural(path.name))
    runs = [run for run in map(Run, inside) if run.predictions("test").is_file()]
    if not runs:
        if (folder / "report.json").is_file():
            raise HearlessError(f"{folder} holds a study's table and no runs; read {folder / 'report.md'}.")
        _check_finished(folder)
        below = sorted({path.parent.parent.name for path in folder.glob("*/*/done.json")}, key=natural)
        remedy = f"one of its own: {', '.join(below[:5])} …" if below else "runs/low_rate-cssd-…/fold1-seed0"
        raise HearlessError(f"{folder} holds no finished run; name a folder such as {remedy}.")
    return runs


def unfinished(folder: Path) -> list[Run]:
    """Return the runs of a folder, or the one that it is, whose training is not over."""
    each = map(Run, [folder, *sorted(folder.glob("*"), key=lambda path: natural(path.name))])
    return [run for run in each if (run.path / "recipe.json").is_file() and not run.done]


def _check_finished(folder: Path) -> None:
    """Refuse a folder that is, or holds, a run whose training is not over."""
    for run in unfinished(folder):
        over = f"{run.epochs_over} of {sum(stage.epochs for stage in run.recipe.stages)} epochs"
        raise HearlessError(
            f"{folder} holds no finished run, {run.path.name} is unfinished: {over}; the same train command goes on."
        )


def first_run(run: Run | str | Path, say: Say) -> Run:
    """Return a run, that of its folder, or a recipe's first one; of others ``say`` is told, and how to choose.

    Raises:
        HearlessError: as `finished`.
    """
    runs = _runs(run)
    if len(runs) > 1:
        folder, one = runs[0].path.parent, runs[0].path.name
        say(f"{folder} holds {len(runs)} runs, this is {one}; for another name its folder: {runs[1].path}")
    return runs[0]


def only_run(run: Run | str | Path) -> Run:
    """Return a run, or that of its folder, where nothing but this one may be meant.

    Raises:
        HearlessError: as `finished`, or a recipe's folder with several runs.
    """
    runs = _runs(run)
    if len(runs) > 1:
        names = ", ".join(one.path.name for one in runs)
        folder = runs[0].path.parent
        raise HearlessError(
            f"{folder} holds {len(runs)} runs and this takes one; name one of them, as {runs[0].path}: {names}."
        )
    return runs[0]


def _runs(run: Run | str | Path) -> list[Run]:
    return finished(run.path if isinstance(run, Run) else Path(run))


def load_weights(weights: str | Path, backbone: str | None = None, *, torch_device: str = "cpu") -> Model:
    """Return a published weights file as a model of its own label set (AudioSet's 527 classes)."""
    path = Path(weights)
    pipeline, labels, _ = as_listener(path, backbone)
    return Model(pipeline.on(torch_device), labels, True, WINDOW_S, path.name)


def model_of(model: Listening) -> Model:
    """Return a model as it is, and that of a run or of its folder."""
    return model if isinstance(model, Model) else load(model)


def predict(
    model: Listening, paths: str | Path | Sequence[str | Path], **options: Any
) -> Iterator[predicting.FilePrediction]:
    """Classify files and folders with a model or run folder: see `hearless.predict.predict`."""
    return predicting.predict(model_of(model).listener, paths, **options)
