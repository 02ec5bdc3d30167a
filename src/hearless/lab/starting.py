"""The weights that a pipeline starts from: drawn by the seed, pretrained, or those of another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from hearless.lab.named import recipe_of, seed_of, selected
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.recipe import Recipe
from hearless.run import Run
from hearless.teachers import Pretrained, Trained
from hearless.train import final, load_parts, noise, quantize
from hearless.weights import load_pretrained

if TYPE_CHECKING:
    from hearless.lab.lab import Lab


def fresh(student: PipelineSpec, labels: Sequence[str], seed: int) -> Pipeline:
    """Build a pipeline whose random weights come from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return student.build(len(labels), labels)


def load_initial(lab: Lab, pipeline: Pipeline, recipe: Recipe, fold: str, seed: int) -> None:
    """Give a student the weights that its recipe starts from."""
    initial = recipe.initial
    if isinstance(initial, Pretrained):
        foreign = recipe.student.head is None and not recipe.classes  # the file's classes are not the student's
        load_pretrained(pipeline, initial.weights, initial.sha256, replace_output=foreign)
    elif isinstance(initial, Trained):
        run = start_of(lab, initial, fold, seed)
        load_trained(lab, pipeline, run, recipe_of(initial), initial.fold_beside(fold), seed_of(initial, seed))


def start_of(lab: Lab, initial: Trained, fold: str, seed: int) -> Run:
    """Return the run that a student starts from."""
    return lab.with_weights(recipe_of(initial), initial.fold_beside(fold), seed_of(initial, seed))


def load_trained(lab: Lab, pipeline: Pipeline, run: Run, recipe: Recipe, fold: str, seed: int) -> None:
    """Give a pipeline a finished run's weights: what it trained, on what it started from."""
    if not set(pipeline.parts()) <= {part for stage in recipe.stages for part in stage.trains}:
        load_initial(lab, pipeline, recipe, fold, seed)
    if recipe.quantized:
        quantize(pipeline, noise(pipeline, run.measured["clip_s"]), recipe.quantized)
    if recipe.stages:
        load_parts(pipeline, run, selected(recipe))
        pipeline.classifier = final(pipeline).classifier


def has_weights(run: Run, recipe: Recipe) -> bool:
    """Say whether a run's trained weights are at hand; one without stages has none."""
    return not recipe.stages or run.checkpoint(selected(recipe)).is_file()
