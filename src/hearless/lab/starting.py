"""The weights that a pipeline starts from: drawn by the seed, pretrained, or those of another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from hearless.interfaces import HearlessError
from hearless.lab.named import Start, has_fresh_output, recipe_of, seed_of, selected
from hearless.labels import label_names
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.recipe import Recipe
from hearless.run import Run
from hearless.teachers import Pretrained, Trained
from hearless.train import final, load_parts, noise, quantize
from hearless.weights import find, load_pretrained

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
        load_pretrained(pipeline, initial.weights, initial.sha256, replace_output=has_fresh_output(recipe))
    elif isinstance(initial, Trained):
        run = start_of(lab, initial, fold, seed)
        load_trained(lab, pipeline, run, recipe_of(initial), initial.fold_beside(fold), seed_of(initial, seed))


def check_start(lab: Lab, start: Start) -> None:
    """Refuse weights that are not there, have changed or do not fit their network; each file is loaded once a network.

    Raises:
        HearlessError: names the file and what is wrong.
    """
    recipe, network, weights = start.recipe, start.network, start.weights
    labels = label_names(recipe.classes) if recipe.classes else lab.table(recipe.dataset).labels
    view = (network.frontend, network.enhancer) if network.classifier.accepts("n_bands") else ()
    key = (weights, network.classifier, view, bool(network.head), start.fresh_output, len(labels))
    if key in lab.started:
        return
    find(weights.weights, weights.sha256)
    pipeline = fresh(network, labels, 0)
    try:
        load_pretrained(pipeline, weights.weights, weights.sha256, replace_output=start.fresh_output)
    except HearlessError as error:
        raise HearlessError(f"weights {weights.weights!r} of {recipe.name} cannot be loaded: {error}") from error
    lab.started.add(key)


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
