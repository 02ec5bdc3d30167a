"""DS-FlexiNet taught by twelve teachers: a step with their stored logits against one in which they listen.

They listen each for itself, as public code has it, or, as `hearless` has it, those of one view share its features.  Six
CP-ResNets and six mn04s of random weights; the pass that stores is left out.  Beside it: what the impulse responses of
other devices take of the step with stored logits; 66 of them as long as MicIRP's, half of the clips convolved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
import torch
from measure import Row, Way, cost, faster, in_turn

from hearless.datasets.folder_labels import FolderLabels
from hearless.interfaces import Augmentation, Batch, Prediction
from hearless.loading import Loader, Table, open_store, read_table
from hearless.pipeline import Pipeline
from hearless.recipe import Recipe
from hearless.recipes.ds_flexinet import student
from hearless.recipes.ds_flexinet.settings import Settings, from_words
from hearless.spec import digest, spec
from hearless.teachers import Fused, Trained
from hearless.teaching import Explain, Running, Together, store_each, stored_together

RATE_HZ, CLIP_S, CLASSES = 32000, 1.0, 10
RESPONSES, RESPONSE_S = 66, 0.373


def settings(folder: Path, batch_size: int) -> Settings:
    """Return sm2 with twelve teachers of random weights, devices simulated by the folder's responses."""
    return from_words(
        spec(FolderLabels), backbone="sm2", teachers="cp_resnet,mn04", teacher_weights="none", batch_size=batch_size,
        responses=str(folder),
    )  # fmt: skip


def impulses(folder: Path) -> Path:
    """Write decaying noises, each with its own colour, in the place of MicIRP's responses."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    time_s = np.arange(round(44100 * RESPONSE_S)) / 44100
    for number in range(RESPONSES):
        noise = rng.standard_normal(len(time_s)) * np.exp(-time_s / 0.01)
        soundfile.write(folder / f"{number:02d}.wav", 0.3 * np.tanh(noise), 44100, subtype="PCM_24")
    return folder


def recordings(folder: Path, n_clips: int) -> Table:
    """Write FLAC files of noise, a folder a class, and return their table."""
    for i in range(n_clips):
        path = folder / f"class{i % CLASSES}" / f"{i}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(i).standard_normal(round(CLIP_S * RATE_HZ)), RATE_HZ)
    return read_table(FolderLabels(n_folds=2), folder)


def teachers(recipe: Recipe) -> tuple[Running, ...]:
    """Return the recipe's teachers at work, with random weights."""
    assert isinstance(recipe.teacher, Fused)
    named = [one.recipe for one in recipe.teacher.teachers if isinstance(one, Trained)]
    specs = [one.student for one in named if isinstance(one, Recipe)]
    views = [digest([one.capture.to_json(), one.frontend.to_json()]) for one in specs]
    return tuple(
        Running((made.build(CLASSES).on("cpu").eval(),), None, "cpu", (view,))
        for made, view in zip(specs, views, strict=True)
    )  # fmt: skip


def rows(folder: Path, repeats: int, batch_size: int = 32) -> Iterator[Row]:
    """Measure the step with stored and with listening teachers, then the impulse responses' share of it."""
    recipe = student.recipe(settings(impulses(folder / "responses"), batch_size))
    table = recordings(folder / "clips", max(2 * batch_size, 2 * CLASSES))
    augmentations: tuple[Augmentation, ...] = tuple(one.build() for one in recipe.augmentations)
    sound = open_store(table, RATE_HZ, cache=folder / "cache")
    loader = Loader(table, sound, table.clips, CLIP_S, batch_size, augmentations=augmentations)
    at_work = teachers(recipe)
    folders = [folder / "logits" / str(number) for number in range(len(at_work))]
    store_each(dict(zip(folders, at_work, strict=True)), loader, 1)
    stored = stored_together(loader, 1, folders, None)
    pipeline = recipe.student.build(CLASSES).on("cpu")
    ours = stepping(recipe, pipeline, loader, stored)
    alone = Together(tuple(replace(one, views=()) for one in at_work))
    known = (("listening each for itself", alone, "≥ 5"), ("listening together", Together(at_work), ""))
    for how, explain, aim in known:
        times = in_turn(ours, stepping(recipe, pipeline, loader, explain), repeats)
        what = f"DS-FlexiNet sm2 step, {len(at_work)} stored teachers / {how}, ms a clip"
        yield faster(what, *times, scale=1000.0 / batch_size, aim=aim)
    times = in_turn(convolving(loader), ours, repeats)
    what = "impulse responses of devices / the whole step of sm2 with stored teachers, ms a clip"
    yield cost(what, *times, scale=1000.0 / batch_size, aim="≤ 0.1")


def batches(loader: Loader) -> Iterator[Batch]:
    """Yield training batches without end, each epoch with the stored draws."""
    return (batch for epoch in cycle((0,)) for batch in loader.epoch(epoch, epoch, (0, 0)))


def stepping(recipe: Recipe, pipeline: Pipeline, loader: Loader, explain: Explain) -> Way:
    """Return a training step: batch, augmentation, features, teachers, loss, update."""
    optimizer = torch.optim.Adam(pipeline.train_only(("classifier",)), fused=True)
    objective, served = recipe.stages[0].objectives[0].build(), batches(loader)

    def step() -> None:
        batch = next(served)
        with torch.no_grad():
            features, keep = pipeline.hear(batch)
        taught: Prediction = explain(batch)
        terms = objective(pipeline.judge(features, keep), taught, batch.target, batch.weight)
        optimizer.zero_grad()
        torch.autograd.backward(sum(terms.values()))
        optimizer.step()

    return step


def convolving(loader: Loader) -> Way:
    """Return what is done to a batch's waveforms by impulse responses: draws and convolution."""
    (place, augmentation), *_ = [
        (i, one) for i, one in enumerate(loader.augmentations) if type(one).__name__ == "DeviceImpulseResponse"
    ]
    plain = next(Loader(loader.table, loader.store, loader.clips, CLIP_S, loader.batch_size).in_order())
    rng = np.random.default_rng(place)

    def way() -> None:
        draws = [augmentation.draw(rng, clip, CLIP_S) | {"heard": float(i % 2)} for i, clip in enumerate(plain.clips)]
        augmentation.apply(plain.waveform, draws, plain.rate_hz)

    return way
