"""What all recipes of this folder share: data, student, teacher, schedule.  Paper 002 §IV and Table I.

Where the paper is silent, its lineage (AST's and CMKD's published recipes) is followed: Adam with betas (0.95, 0.999)
and 5e-7 weight decay; noise of a random strength up to the printed maximum; the AST teacher fine-tuned at 1e-5 on
ESC-50 and 2.5e-4 on Speech Commands, there from weights of images.  The paper does not say which epoch counts: here the
best on validation, never on test clips.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hearless.augmentations.mixup import Mixup
from hearless.augmentations.spectrogram_noise import SpectrogramNoise
from hearless.augmentations.time_frequency_mask import TimeFrequencyMask
from hearless.augmentations.time_roll import TimeRoll
from hearless.captures.full_band import FullBand
from hearless.classifiers._official import weights_table
from hearless.classifiers.efficientnetv2 import SCALES, EfficientNetV2
from hearless.frontends.kaldi_fbank import STATISTICS, KaldiFbank
from hearless.interfaces import HearlessError
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.cross_model_distillation import CrossModelDistillation
from hearless.pipeline import PipelineSpec
from hearless.recipe import Stage
from hearless.recipes._shared import TEACHER_RATE_HZ, Backbone, digest_of, from_file, value_of, with_words
from hearless.spec import Spec, spec
from hearless.teachers import Pretrained

LIKE: dict[str, dict[str, Any]] = {
    "esc50": {},
    "speech_commands_v2": {
        "epochs": 30, "learning_rate": 5e-4, "batch_size": 128, "decay_every": 1, "frames": 128,
        "mean": STATISTICS["speech_commands_v2"][0], "deviation": STATISTICS["speech_commands_v2"][1],
        "mask_time_s": 0.48, "mask_bands": 0.375, "noise": 0.1, "mixup": 0.6, "label_smoothing": 0.0,
        "hard": "binary_cross_entropy", "teacher_learning_rate": 2.5e-4,
    },
}  # fmt: skip
"""The columns of Table I; the first is the defaults of `Settings`."""

OWN_FRONTEND: dict[str, Any] = {"teacher_epochs": 15, "teacher_learning_rate": 1e-3, "teacher_schedule": "one_cycle"}
"""How a teacher other than AST is fine-tuned: as the 16 kHz generation of `low_rate`."""

VARIANTS = {f"efficientnetv2_{variant}": variant for variant in SCALES}


@dataclass(frozen=True)
class Settings:
    """What every recipe of a table shares; the defaults are Table I's column for ESC-50.

    Attributes:
        dataset: the corpus.
        backbone: the student's classifier, front end and weights.
        teacher: the teacher's.
        multi_label: sigmoid outputs and mAP instead of softmax and accuracy.
        epochs, learning_rate, schedule, decay_every, batch_size: the student's; the paper's schedule "step" is ×0.85
            after five epochs, then every so many.
        frames: of 10 ms that a spectrogram is padded or cut to.
        mean, deviation: of the data set's log-Mel power.
        mask_time_s, mask_bands: the widest masked stripes (s; share of the Mel axis); both 0: none.
        noise: largest noise on the normalised spectrogram; 0: none.
        roll_s: largest roll in time; 0: none.
        mixup: share of the clips mixed; 0: none.
        label_smoothing, hard: of the hard loss, "cross_entropy" or "binary_cross_entropy".
        alpha, temperature: λ and τ of eq. 3.
        width: of the student's channels, 1 as published.
        initialisation: of the enhancer: "torch", or "signal", which lets its mask hear the sound from the start.
        teacher_epochs, teacher_learning_rate, teacher_schedule: of the teacher's fine-tuning.
        gradient_checkpointing: recompute AST's blocks when going back, to save memory.
        background: share of the training clips in whose place background of no class is heard.
        validation, clip_s, balance, precision, protocol: as in `Recipe`.
    """

    dataset: Spec
    backbone: Backbone
    teacher: Backbone
    multi_label: bool = False
    epochs: int = 100
    learning_rate: float = 1e-4
    schedule: str = "step"
    decay_every: int = 5
    batch_size: int = 48
    frames: int = 512
    mean: float = STATISTICS["esc50"][0]
    deviation: float = STATISTICS["esc50"][1]
    mask_time_s: float = 0.96
    mask_bands: float = 0.1875
    noise: float = 0.05
    roll_s: float = 0.1
    mixup: float = 0.0
    label_smoothing: float = 0.1
    hard: str = "cross_entropy"
    alpha: float = 0.5
    temperature: float = 5.0
    width: float = 1.0
    initialisation: str = "torch"
    teacher_epochs: int = 5
    teacher_learning_rate: float = 1e-5
    teacher_schedule: str = "step"
    gradient_checkpointing: bool = False
    validation: float = 0.25
    clip_s: float | None = None
    balance: str = "none"
    background: float = 0.0
    precision: str = "32-true"
    protocol: str = "honest"

    def view(self, listener: Backbone) -> PipelineSpec:
        """Return a backbone hearing 16 kHz, through this table's spectrogram where it is one of Kaldi's."""
        frontend, classifier = listener.frontend, listener.classifier
        if frontend.name == "KaldiFbank":
            frontend = frontend.replace(frames=self.frames, mean=self.mean, deviation=self.deviation)
        if classifier.name == "AST":
            classifier = classifier.replace(frames=self.frames, gradient_checkpointing=self.gradient_checkpointing)
        if classifier.name == "EfficientNetV2":
            classifier = classifier.replace(width=self.width)
        return PipelineSpec(spec(FullBand, rate_hz=TEACHER_RATE_HZ), frontend, classifier)

    def stage(self, objective: Spec, epochs: int, learning_rate: float, schedule: str = "step") -> Stage:
        """Return one training with the paper's optimiser."""
        return Stage(
            (objective,), epochs, learning_rate, schedule, betas=(0.95, 0.999), weight_decay=5e-7, optimizer="adam",
            decay=0.85, decay_after=5, decay_every=self.decay_every,
        )  # fmt: skip

    def hard_loss(self) -> Spec:
        """Return the loss on labels alone."""
        if self.hard == "cross_entropy" and not self.multi_label:
            return spec(CrossEntropy, label_smoothing=self.label_smoothing)
        return spec(BinaryCrossEntropy)

    def distillation(self) -> Spec:
        """Return eq. 3."""
        hard = "binary_cross_entropy" if self.multi_label else self.hard
        smoothing = self.label_smoothing if hard == "cross_entropy" else 0.0
        return spec(
            CrossModelDistillation, alpha=self.alpha, temperature=self.temperature, hard=hard, label_smoothing=smoothing
        )

    def augmentations(self, *, only_masks: bool = False) -> tuple[Spec, ...]:
        """Return Table I's: mixup, masks, noise, roll, in AST's order; ``only_masks`` as its ESC-50 teacher."""
        widths = {"max_time_s": self.mask_time_s, "max_band_fraction": self.mask_bands}
        masks = (spec(TimeFrequencyMask, **widths),) if any(widths.values()) else ()
        mixup = (spec(Mixup, probability=self.mixup),) if self.mixup else ()
        noise = (spec(SpectrogramNoise, maximum=self.noise),) if self.noise else ()
        roll = (spec(TimeRoll, max_s=self.roll_s),) if self.roll_s else ()
        return masks if only_masks else (*mixup, *masks, *noise, *roll)

    def common(self) -> dict[str, Any]:
        """Return the fields that teacher and student recipes share."""
        return {
            "dataset": self.dataset, "clip_s": self.clip_s, "validation": self.validation, "balance": self.balance,
            "precision": self.precision, "protocol": self.protocol, "batch_size": self.batch_size,
            "select": "max:mAP" if self.multi_label else "max:accuracy", "background": self.background,
        }  # fmt: skip


def student(name: str, weights: str | Path | None) -> Backbone:
    """Return the student of this name: an EfficientNetV2 behind Kaldi's spectrogram, or a published listener.

    Weights of images (None) exist for B2 alone.
    """
    if name not in VARIANTS:
        return from_file(name, weights)
    known = {short: row for short, (_, row) in weights_table().items() if short == f"{name}_imagenet"}
    initial = None
    if weights is None:
        if not known:
            raise HearlessError(
                f"{name} has no published weights here; give --weights FILE, --weights none (random), or take "
                "efficientnetv2_b2."
            )
        short, row = next(iter(known.items()))
        initial = Pretrained(short, row.remote.sha256)
    elif str(weights) != "none":
        initial = Pretrained(str(weights), digest_of(weights))
    return Backbone(name, spec(EfficientNetV2, variant=VARIANTS[name]), spec(KaldiFbank), initial)


def from_words(
    dataset: Spec, *, backbone: str = "efficientnetv2_b2", weights: str | Path | None = None, paper: bool | str = False,
    like: str = "", teacher: str = "ast", teacher_weights: str | Path | None = None, **words: Any,
) -> Settings:  # fmt: skip
    """Return settings from plain words, as the command line has them.

    Args:
        dataset: the corpus.
        backbone: the student: ``"efficientnetv2_b0"`` … ``"_b3"``, or a published listener such as ``"mn04"``.
        weights: a weights file in place of the published one, ``"none"`` for random weights, or None.
        paper: no other reading than the defaults; taken for symmetry with the other folders.
        like: which column of Table I: ``"esc50"`` or ``"speech_commands_v2"``; default: by the data set's name.
        teacher: ``"ast"``, or a published listener such as ``"mn04"``.
        teacher_weights: as ``weights``, for the teacher.
        words: any other field of `Settings`, as a value or as text.

    Raises:
        HearlessError: an unknown field, column or network, a value that does not fit, or a file that is not there.
    """
    value_of("paper", paper, "bool")
    column = like or ("speech_commands_v2" if dataset.name == "SpeechCommandsV2" else "esc50")
    if column not in LIKE:
        raise HearlessError(f"like must be one of {', '.join(LIKE)}, got {like!r}.")
    own = {} if teacher == "ast" else OWN_FRONTEND
    explaining = from_file(teacher, teacher_weights)
    if teacher == "ast" and column == "speech_commands_v2" and teacher_weights is None:
        explaining = replace(explaining, initial=Pretrained("ast_imagenet"))
    made = Settings(dataset, student(backbone, weights), explaining)
    made = replace(made, **{**LIKE[column], **own})
    chosen: Settings = with_words(made, words, ("dataset", "backbone", "teacher"), by=from_words)
    return chosen
