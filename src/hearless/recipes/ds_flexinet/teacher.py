"""A teacher: CP-ResNet, PaSST, mn04 or another published listener, with impulse responses and Freq-MixStyle or without.

The paper takes six CP-ResNets and six PaSSTs; its lineage trains three of each kind with both augmentations and three
with Freq-MixStyle alone, and so do we.  Rates and probabilities are the lineage's; mn04, which it has not, is
fine-tuned like `low_rate`'s 16 kHz generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hearless.augmentations.device_impulse_response import names_in
from hearless.augmentations.freq_mixstyle import FreqMixStyle
from hearless.augmentations.frequency_mask import FrequencyMask
from hearless.augmentations.roll import Roll
from hearless.augmentations.time_frequency_mask import TimeFrequencyMask
from hearless.classifiers._official import listeners
from hearless.classifiers.cp_resnet import CPResNet
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe
from hearless.recipes._shared import SCRATCH, Backbone, from_file
from hearless.recipes.ds_flexinet.settings import HIGH_HZ, Settings
from hearless.spec import Spec, spec
from hearless.teachers import Trained

AUGMENTED = {"dir_fms": "DIR, FMS", "fms": "FMS"}
"""How the copies of a kind differ, beside their seeds."""

WIDE: dict[str, Any] = {"window_ms": 96.0, "fft_ms": 128.0, "mel_bands": 256, "high_hz": HIGH_HZ}
"""The front end of CP-ResNet and DS-FlexiNet, but for its hop."""


@dataclass(frozen=True)
class Kind:
    """How a kind of teacher is trained.

    Attributes:
        epochs, learning_rate, weight_decay, batch_size: as published.
        mixstyle, impulses: probabilities of Freq-MixStyle and of an impulse response.
        roll_s: largest roll.
        masks: on its features.
        edge: its Mel axis's upper edge moves.
    """

    epochs: int = 20
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 32
    mixstyle: float = 0.4
    impulses: float = 0.6
    roll_s: float = 0.125
    masks: tuple[Spec, ...] = ()
    edge: bool = False


KINDS = {
    "cp_resnet": Kind(150, 1e-3, 1e-3, 256, 0.8, 0.4, 0.125, (spec(FrequencyMask),), edge=True),
    "passt": Kind(
        25, 1e-5, 1e-3, 80, 0.4, 0.6, 0.3125,
        (spec(TimeFrequencyMask, max_time_s=0.2, max_band_fraction=0.375, low_hz=0.0, high_hz=15000.0),),
    ),
}  # fmt: skip
"""The lineage's; any other kind is fine-tuned as `Kind()` says."""


def recipe(settings: Settings, fold: str = "", kind: str = "", augmented: str = "dir_fms") -> Recipe:
    """Return one teacher's training on the labels (default: the first kind)."""
    if augmented not in AUGMENTED:
        raise HearlessError(f"augmented must be one of {', '.join(AUGMENTED)}, got {augmented!r}.")
    name = kind or kinds(settings)[0]
    how, backbone = KINDS.get(name, Kind()), listener(settings, name)
    epochs = settings.teacher_epochs or how.epochs
    impulses = (settings.impulses(how.impulses),) if augmented == "dir_fms" else ()
    common = settings.common(fold) | ({"select": "max:mAP" if settings.multi_label else "max:accuracy"})
    return Recipe(
        student=PipelineSpec(settings.capture(), backbone.frontend, backbone.classifier),
        stages=(settings.stage(settings.hard_loss(), epochs, how.learning_rate, how.weight_decay),),
        initial=backbone.initial, batch_size=settings.teacher_batch_size or how.batch_size,
        augmentations=(
            spec(Roll, max_s=how.roll_s), *impulses, *(settings.edge() if how.edge else ()),
            spec(FreqMixStyle, probability=how.mixstyle, alpha=0.4), *how.masks,
        ),
        name=f"ds_flexinet/teacher-{name}-{augmented}", **common,
    )  # fmt: skip


def kinds(settings: Settings) -> list[str]:
    """Return the kinds of teachers.

    Raises:
        HearlessError: an unknown kind, or a weights file that none of them starts from, or several.
    """
    named, published = names_in(settings.teachers), ("passt", *sorted(listeners()))
    known = ("cp_resnet", *published, *SCRATCH)
    if unknown := [name for name in named if name not in known]:
        raise HearlessError(f"teachers must be among {', '.join(known)}, got {', '.join(unknown)}.")
    starting = [name for name in named if name in published]
    if settings.teacher_weights in ("", "none") or len(starting) == 1:
        return named
    if starting:
        raise HearlessError(f"teacher_weights is of one kind, got {', '.join(starting)}; fetch their weights instead.")
    raise HearlessError(
        f"no teacher of {settings.teachers} starts from teacher_weights, got {settings.teacher_weights!r}; leave it "
        "out, or name the kind that the file is of among teachers."
    )


def listener(settings: Settings, kind: str) -> Backbone:
    """Return the classifier, front end and weights of one of `kinds`."""
    if kind == "cp_resnet":
        frontend = spec(PreEmphasisMel, input_rate_hz=settings.rate_hz, hop_ms=23.4375, **WIDE)
        return Backbone(kind, spec(CPResNet), frontend, None)
    made = from_file("passt_s" if kind == "passt" else kind, settings.teacher_weights or None)
    classifier = made.classifier.replace(frequency_patchout=6) if kind == "passt" else made.classifier
    return Backbone(kind, classifier, made.frontend.replace(input_rate_hz=settings.rate_hz), made.initial)


def every(settings: Settings, fold: str = "") -> dict[str, Trained]:
    """Return all teachers by what a table calls them."""
    found = {}
    for kind in kinds(settings):
        for augmented, words in AUGMENTED.items():
            made = recipe(settings, fold, kind, augmented)
            for seed in range(settings.teacher_seeds):
                found[f"{kind}, {words}, seed {seed}"] = Trained(made, seed=seed)
    return found
