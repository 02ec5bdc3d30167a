"""What all recipes of this folder share: data, backbone, schedule.  Paper 000 §4; readings in §"choices" of the README.

Differences from the paper where it is silent: one-cycle learning rate, a roll in time heard by both ears, bands cropped
to what the sensor hears.  `Settings.paper()` is the paper's own reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hearless.augmentations.roll import Roll
from hearless.augmentations.spec_augment import SpecAugment
from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.objectives.binary_distillation import BinaryDistillation
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.self_distillation import SelfDistillation
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.recipes._shared import TEACHER_RATE_HZ, Backbone, from_file, value_of, with_words
from hearless.spec import Spec, spec
from hearless.teachers import Pretrained, Teacher, Trained

BANDS = 40
WINDOW_MS, HOP_MS, FFT_MS = 100.0, 20.0, 128.0
"""A bin is 7.8 Hz wide: at 1 kHz the lowest of 40 bands is 19 Hz wide."""


@dataclass(frozen=True)
class Settings:
    """What every recipe of a table shares.

    Attributes:
        dataset: the corpus.
        backbone: the classifier, its front end and weights.
        multi_label: sigmoid outputs and mAP instead of softmax and accuracy.
        epochs, learning_rate, schedule, batch_size: of each training.
        full_band_epochs: of the 16 kHz generation, which needs fewer (0: as many).
        path: "native" (low-rate samples straight to Mel) or "upsample" (paper 000 §4.3).
        bands: bands a low-rate student hears; None: what its sensor can hear plus a margin; 0: all.
        axis: "reference" (the Mel axis of the backbone's weights, cropped by ``bands``) or "own", one made for the
            student's rate, see `own_axis`; where ``bands`` are asked for by number it is the reference axis.
        roll: roll clips in time.
        spec_augment: PANNs' masks on students and teachers in training.
        initial: students start from "pretrained" weights (paper) or from their "teacher".
        stored_draws: draws a clip of stored teacher logits; 0: the teacher listens at each step.
        alpha, temperature: of eq. 1–2.
        background: share of the training clips in whose place background of no class is heard.
        validation, clip_s, balance, protocol: as in `Recipe`.
        like: whose numbers of paper 000 stand beside ours: "esc50", "tau2019_mobile" or "user" (its authors' own
            recordings); empty: by the data set's name, else ESC-50.
    """

    dataset: Spec
    backbone: Backbone
    multi_label: bool = False
    epochs: int = 30
    full_band_epochs: int = 0
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    batch_size: int = 32
    path: str = "native"
    bands: int | None = None
    axis: str = "reference"
    roll: bool = True
    spec_augment: bool = False
    initial: str = "pretrained"
    stored_draws: int = 0
    alpha: float = 0.5
    temperature: float = 4.0
    validation: float = 0.25
    clip_s: float | None = None
    balance: str = "none"
    background: float = 0.0
    protocol: str = "honest"
    like: str = ""

    def paper(self) -> Settings:
        """Return paper 000's own reading: all bands by up-sampling, Adam at a constant rate, batch 64, SpecAugment."""
        return replace(
            self, path="upsample", bands=0, schedule="constant", batch_size=64, roll=False, spec_augment=True,
            epochs=50, protocol="paper",
        )  # fmt: skip

    def view(self, rate_hz: int, bands: int | None = None) -> PipelineSpec:
        """Return the backbone hearing at this rate; ``bands`` as in the attribute (default: the attribute's)."""
        if rate_hz > TEACHER_RATE_HZ:
            raise HearlessError(f"rate must be at most {TEACHER_RATE_HZ} Hz, which the networks hear, got {rate_hz}.")
        low = rate_hz < TEACHER_RATE_HZ
        capture = spec(LowRate, rate_hz=rate_hz) if low else spec(FullBand, rate_hz=TEACHER_RATE_HZ)
        frontend = self.backbone.frontend.replace(input_rate_hz=min(rate_hz, TEACHER_RATE_HZ), path=self.path)
        wanted = self.bands if bands is None else bands
        if low and wanted is None and self._has_own_axis():
            return on_own_axis(rate_hz, self.backbone.classifier)
        if low and wanted != 0:
            frontend = frontend.replace(bands=wanted or audible_bands(frontend, rate_hz, self.backbone.classifier))
        return PipelineSpec(capture, frontend, self.backbone.classifier)

    def _has_own_axis(self) -> bool:
        if self.axis not in ("reference", "own"):
            raise HearlessError(f"axis must be 'reference' or 'own', got {self.axis!r}.")
        heard = self.backbone.frontend.name
        if self.axis == "own" and (heard != "PreEmphasisMel" or self.path != "native"):
            raise HearlessError(
                "axis=own is for networks that hear PreEmphasisMel (mn04 and the like) by path=native, got "
                f"{self.backbone.name}, which hears {heard}, and path={self.path}; leave axis out."
            )
        return self.axis == "own"

    def recipe(self, name: str, rate_hz: int, teacher: Teacher | None = None) -> Recipe:
        """Return one training at a rate: by its labels alone, or with a teacher (eq. 1)."""
        if teacher is None:
            objective = spec(BinaryCrossEntropy) if self.multi_label else spec(CrossEntropy)
        else:
            kind = BinaryDistillation if self.multi_label else SelfDistillation
            objective = spec(kind, alpha=self.alpha, temperature=self.temperature)
        full = rate_hz >= TEACHER_RATE_HZ and self.full_band_epochs
        stage = Stage((objective,), self.full_band_epochs if full else self.epochs, self.learning_rate, self.schedule)
        return Recipe(
            dataset=self.dataset, student=self.view(rate_hz), stages=(stage,), teacher=teacher,
            initial=self._initial(teacher), augmentations=self._augmentations(), clip_s=self.clip_s,
            stored_draws=self.stored_draws if teacher else 0, balance=self.balance, validation=self.validation,
            protocol=self.protocol, select="max:mAP" if self.multi_label else "max:accuracy",
            batch_size=self.batch_size, background=self.background, name=name,
        )  # fmt: skip

    def refuse_multi_label(self, what: str) -> None:
        """Raise, where the data hold clips of several classes, that ``what`` takes clips of one."""
        if self.multi_label:
            raise HearlessError(
                f"{what} takes clips of one class each, and the data hold clips of several; take cssd, or other labels."
            )

    def _initial(self, teacher: Teacher | None) -> Pretrained | Trained | None:
        if self.initial not in ("pretrained", "teacher"):
            raise HearlessError(f"initial must be 'pretrained' or 'teacher', got {self.initial!r}.")
        if self.initial == "teacher" and isinstance(teacher, Trained):
            return teacher
        return self.backbone.initial

    def _augmentations(self) -> tuple[Spec, ...]:
        wanted = [(self.roll, spec(Roll)), (self.spec_augment, spec(SpecAugment))]
        return tuple(made for on, made in wanted if on)


def with_objective(recipe: Recipe, objective: Spec, name: str) -> Recipe:
    """Return the same training with one objective in place of its own; teachers listen where maps are compared."""
    (stage,) = recipe.stages
    stored = 0 if objective.build().needs == "maps" else recipe.stored_draws
    return replace(recipe, stages=(replace(stage, objectives=(objective,)),), stored_draws=stored, name=name)


def own_axis(rate_hz: int) -> Spec:
    """Return a front end made for a rate: `BANDS` Mel bands up to its Nyquist frequency, longer and fewer frames."""
    return spec(
        PreEmphasisMel, input_rate_hz=rate_hz, window_ms=WINDOW_MS, hop_ms=HOP_MS, fft_ms=FFT_MS, mel_bands=BANDS,
        high_hz=rate_hz / 2,
    )  # fmt: skip


def on_own_axis(rate_hz: int, classifier: Spec) -> PipelineSpec:
    """Return a classifier hearing low-rate sound through `own_axis`."""
    return PipelineSpec(spec(LowRate, rate_hz=rate_hz), own_axis(rate_hz), classifier)


@cache
def audible_bands(frontend: Spec, rate_hz: int, classifier: Spec, margin: int = 2) -> int | None:
    """Return how many Mel bands a sensor at ``rate_hz`` fills, plus a margin, as a multiple of 8; None: all of them.

    PANNs never get fewer than their five halvings need.
    """
    full = frontend.replace(bands=None).build()
    heard = sum(hz < rate_hz / 2 for hz in full.axes(rate_hz).band_hz)
    with torch.device("meta"):
        least = classifier.build().min_bands
    bands = max(-(-(heard + margin) // 8) * 8, least)
    return bands if bands < full.n_bands else None


def from_words(
    dataset: Spec, *, backbone: str = "mn04", weights: str | Path | None = None, paper: bool | str = False,
    **words: Any,
) -> Settings:  # fmt: skip
    """Return settings from plain words, as the command line has them.

    Args:
        dataset: the corpus.
        backbone: short name of a network.
        weights: a weights file in place of the published one, ``"none"`` for random weights, or None.
        paper: start from the paper's own reading.
        words: any field of `Settings`, as a value or as text (``epochs="30"``).

    Raises:
        HearlessError: an unknown field, a value that does not fit it, or a weights file that is not there.
    """
    made = Settings(dataset, from_file(backbone, weights))
    chosen: Settings = with_words(made.paper() if value_of("paper", paper, "bool") else made, words, by=from_words)
    return chosen
