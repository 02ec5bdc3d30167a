"""A CSSD training step at 1 kHz, mn04 on 24 bands: the real loop against a plain one; layout and kernels by themselves.

A plain step is taken after each of ours, inside the loop's own progress call, so that both live through the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import soundfile
import torch
from hearing import CLIP_S, LOW_HZ, noise
from measure import Row, faster, in_turn
from plain import RATE_HZ, Loop, update
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.datasets.folder_labels import FolderLabels
from hearless.interfaces import Frontend
from hearless.loading import Loader, Table, open_store, read_table
from hearless.pipeline import Pipeline
from hearless.recipe import Recipe
from hearless.recipes._shared import TEACHER_RATE_HZ
from hearless.recipes.low_rate import cssd
from hearless.recipes.low_rate.settings import Settings, from_words
from hearless.run import Run
from hearless.small_maps import CutKernels
from hearless.spec import spec
from hearless.teaching import Explain, Running, store
from hearless.train import Tick, Training

CLASSES = 10


def settings(batch_size: int = 32) -> Settings:
    """Return one epoch of mn04 from random weights, everything else as users have it."""
    return from_words(
        spec(FolderLabels), backbone="mn04", weights="none", epochs=1, batch_size=batch_size, stored_draws=1
    )


def student() -> Pipeline:
    """Return the 1 kHz student."""
    return settings().view(LOW_HZ).build(CLASSES)


def teacher() -> Pipeline:
    """Return the 16 kHz teacher."""
    return settings().view(TEACHER_RATE_HZ).build(CLASSES)


def recordings(folder: Path, n_clips: int, clip_s: float = CLIP_S) -> Table:
    """Write 16 kHz FLAC files of noise, a folder a class, and return their table."""
    for i, clip in enumerate(noise(n_clips, clip_s).numpy()):
        path = folder / f"class{i % CLASSES}" / f"{i}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, RATE_HZ)
    return read_table(FolderLabels(n_folds=2), folder)


@dataclass
class Alternating:
    """Takes a plain step after each of ours and keeps the seconds of both.

    Ours are the seconds from one progress call to the next: batch, capture, features, teacher, update.
    """

    plain_step: Callable[[], None]
    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    left: float = field(default_factory=time.perf_counter)

    def __call__(self, tick: Tick) -> None:
        """Note our step and take a plain one."""
        entered = time.perf_counter()
        self.ours.append(entered - self.left)
        self.plain_step()
        self.left = time.perf_counter()
        self.plain.append(self.left - entered)


def rows(folder: Path, steps: int, batch_size: int = 32, clip_s: float = CLIP_S) -> Iterator[Row]:
    """Measure the step with stored teacher logits and with the teacher listening, then the student's update."""
    table = recordings(folder / "sounds", (steps + 1) * batch_size, clip_s)
    sound = open_store(table, RATE_HZ, cache=folder / "cache")
    recipe = cssd.recipe(settings(batch_size), LOW_HZ)
    augmentations = tuple(augmentation.build() for augmentation in recipe.augmentations)
    loader = Loader(table, sound, table.clips, clip_s, batch_size, augmentations=augmentations)
    listening = Running((teacher().on("cpu").eval(),))
    stored = store(listening, loader, 1, folder / "logits")
    known: tuple[tuple[str, Explain, str], ...] = (("stored logits", stored, "≥ 5"), ("teacher listens", listening, ""))
    for what, explain, aim in known:
        timed = alternate(recipe, loader, explain, folder / what)
        what = f"CSSD step at 1 kHz, {what} / plain loop, s a clip"
        yield faster(what, timed.ours[1:], timed.plain[1:], 1.0 / batch_size, aim)
    yield from updates(steps, batch_size, clip_s)


def alternate(recipe: Recipe, loader: Loader, explain: Explain, folder: Path) -> Alternating:
    """Train one epoch of CSSD with the real loop, a plain step after each; the first of both only warms up."""
    pipeline = student()
    timed = Alternating(plain_loop(loader, cast(Frontend, pipeline.frontend).n_bands).step)
    validation = replace(loader, clips=loader.clips[:2], augmentations=())
    Training(recipe, pipeline, loader, validation, Run(folder), 0, explain, tick=timed).fit()
    return timed


def plain_loop(loader: Loader, bands: int) -> Loop:
    """Return the plain loop on a loader's clips, with the same two networks."""
    files, targets = [clip.path for clip in loader.clips], torch.from_numpy(loader.table.targets(loader.clips))
    return Loop(files, targets, student().classifier, teacher().classifier, loader.batch_size, bands)


def updates(repeats: int, batch_size: int, clip_s: float) -> Iterator[Row]:
    """Measure the student's update alone: channels last against the default layout, kernels cut against whole ones."""
    hears = student()
    features = hears.features(hears.observe(noise(batch_size, clip_s), RATE_HZ))
    target = torch.eye(CLASSES)[torch.arange(batch_size) % CLASSES]

    def stepping(network: nn.Module, context: AbstractContextManager[object]) -> Callable[[], None]:
        def loss(logits: Tensor) -> Tensor:
            return F.cross_entropy(logits, target)

        def step() -> None:
            with context:
                update(network.train(), features, loss, optimizer)

        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        return step

    def ours() -> Callable[[], None]:
        return stepping(student().on("cpu").classifier, CutKernels())

    rivals = {
        "channels last / default layout": stepping(student().classifier, CutKernels()),
        "depthwise kernels cut to the map / whole": stepping(student().on("cpu").classifier, nullcontext()),
    }  # fmt: skip
    for what, rival in rivals.items():
        times = in_turn(ours(), rival, repeats)
        yield faster(f"mn04 update, {what}, s a clip", *times, scale=1.0 / batch_size)
