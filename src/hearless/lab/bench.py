"""The bench of one run: its clips, their sound, and how they are served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hearless import splits
from hearless.augmentations.device_impulse_response import DeviceImpulseResponse
from hearless.captures.simulated_device import SimulatedDevice
from hearless.interfaces import Clip, HearlessError
from hearless.lab.checks import listed
from hearless.lab.named import captures
from hearless.labels import label_names
from hearless.loading import AudioStore, Loader, Table
from hearless.pipeline import Pipeline
from hearless.plural import plural
from hearless.quantize import check_backend
from hearless.recipe import Recipe
from hearless.responses import check_apart
from hearless.train import check_select

if TYPE_CHECKING:
    from hearless.lab.lab import Lab


@dataclass(frozen=True)
class Part:
    """One share of the training recordings left out, for cross-fitted teachers."""

    number: int
    of: int


@dataclass(frozen=True)
class Bench:
    """What one run works with: its clips, their sound, and how they are served."""

    recipe: Recipe
    table: Table
    store: AudioStore
    training: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    fold: str
    seed: int
    clip_s: float

    @classmethod
    def prepare(cls, lab: Lab, recipe: Recipe, fold: str, seed: int, part: Part | None) -> Bench:
        """Return what a recipe works with on a fold with a seed."""
        table = lab.table(recipe.dataset)
        sides = splits.parts(table.clips, fold)
        training, validation = sides.train, sides.validation
        if not validation:
            drawn = seed if recipe.validation_seed is None else recipe.validation_seed
            training, validation = splits.hold_out(sides.train, recipe.validation, drawn)
        if recipe.train_on_validation:
            training = [*training, *validation]
        training = splits.share(training, recipe.training_share)
        if part:
            held = {c.id for c in _dealt(training, part.of, seed)[part.number]}
            training = [clip for clip in training if clip.id not in held]
        store = lab.store(table, [spec.build() for spec in captures(recipe)])
        clip_s = recipe.clip_s or max(store.seconds(clip) for clip in training)
        return cls(recipe, table, store, tuple(training), tuple(validation), tuple(sides.test), fold, seed, clip_s)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that the student tells apart."""
        return label_names(self.recipe.classes) if self.recipe.classes else self.table.labels

    def loader(self, clips: tuple[Clip, ...]) -> Loader:
        """Return what serves some clips as the recipe wants them."""
        augmentations = tuple(spec.build() for spec in self.recipe.augmentations)
        recipe = self.recipe
        return Loader(
            self.table, self.store, clips, self.clip_s, recipe.batch_size, recipe.balance, augmentations,
            recipe.peak_normalised, recipe.background,
        )  # fmt: skip

    def check(self, pipeline: Pipeline) -> None:
        """Refuse what could not be trained, before any epoch, the teacher's included, runs."""
        check_select(self.recipe, multi_label=self.table.multi_label)
        for made in (*self.recipe.augmentations, *(o for stage in self.recipe.stages for o in stage.objectives)):
            made.build()
        if self.recipe.quantized:
            check_backend(self.recipe.quantized)
        self._check_devices(pipeline)
        self._check_lengths(pipeline)

    def _check_devices(self, pipeline: Pipeline) -> None:
        """Refuse to augment with the response of a device that is tested."""
        capture, made = pipeline.capture, [spec.build() for spec in self.recipe.augmentations]
        tested = sorted({clip.device for clip in self.test if clip.device})
        for augmentation in made:
            if isinstance(capture, SimulatedDevice) and isinstance(augmentation, DeviceImpulseResponse):
                check_apart(augmentation.pool(capture.rate_hz), capture.responses_of(tested))

    def _check_lengths(self, pipeline: Pipeline) -> None:
        """Refuse clips that give the classifier too few frames, all of them listed."""
        clips = (*self.training, *self.validation, *self.test)
        lengths = {c.id: self.clip_s if self.recipe.clip_s else self.store.seconds(c) for c in clips}
        wrong = []
        for clip in clips:
            try:
                pipeline.check_length(lengths[clip.id])
            except HearlessError as error:
                wrong.append(f"{clip.id}: {error}")
        if wrong:
            raise HearlessError(f"{plural(len(wrong), 'clip is', 'clips are')} too short:{listed(wrong)}")


def _dealt(clips: Sequence[Clip], n: int, seed: int) -> list[list[Clip]]:
    """Deal clips into ``n`` parts, recordings together."""
    dealt = splits.draw_folds([replace(c, fold=None, split=None) for c in clips], n, seed)
    names = sorted({str(c.fold) for c in dealt}, key=splits.natural)
    return [[c for c in dealt if c.fold == name] for name in names]
