"""What all recipes of this folder share: data and devices, students, teachers, augmentation.  Paper 004 §II–III.

The defaults are the paper's where it speaks and else its lineage's (CP-JKU DCASE23): Adam, peaks of the learning rate,
probabilities, Freq-MixStyle, λ 0.02 and T 2.  One cycle stands for the lineage's warm-up, plateau and ramp.  TAU 2022
Mobile has its own devices; any other data set gets simulated ones, its clips cut into pieces of a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hearless import responses
from hearless.augmentations.device_impulse_response import DeviceImpulseResponse, names_in
from hearless.augmentations.freq_mixstyle import FreqMixStyle
from hearless.augmentations.frequency_mask import FrequencyMask
from hearless.augmentations.roll import Roll
from hearless.augmentations.upper_edge import UpperEdge
from hearless.captures.full_band import FullBand
from hearless.captures.simulated_device import DEVICES, SimulatedDevice
from hearless.classifiers.ds_flexinet import NORMS, WIDTHS
from hearless.datasets.simulated_devices import SimulatedDevices
from hearless.interfaces import HearlessError
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.recipe import Stage
from hearless.recipes._shared import value_of, with_words
from hearless.spec import Spec, spec

DEVICED = ("TAU2020Mobile", "TAU2022Mobile")
"""Data sets with recording devices of their own; all others get simulated ones."""

RATE_HZ = 32000
"""The paper's rate."""
HIGH_HZ = 15500.0
"""Where the DCASE front end's Mel axis ends."""

DIRS = ("none", "dir", "adir")


@dataclass(frozen=True)
class Settings:
    """What every recipe of a table shares; the defaults are the paper's, or its lineage's where it is silent.

    Attributes:
        dataset: the corpus, before any device is simulated.
        size: of the student: "sm1" … "sm4".
        multi_label: sigmoid outputs and mAP instead of softmax and accuracy.
        norm: of the student: "residual", "residual_frequency", "batch" or "none".
        epochs, learning_rate, weight_decay, batch_size: of each student's training.
        int8_epochs, int8_learning_rate, backend: of the int8 training that goes on from it, and its runtime.
        weight_of_labels, temperature, rule, last_weight: λ, T and λ's rule of eq. 5 (see `FusedDistillation`).
        how: "fitted" (eq. 4), "mean" or "none", without teachers.
        teachers: kinds of teachers, parted by commas: "cp_resnet", "passt", "mn04" or another published listener.
        teacher_seeds: copies of each kind and augmentation.
        teacher_weights: a weights file of the one published kind in place of the published one, "none" (random), or
            empty.
        teacher_epochs, teacher_batch_size: of each teacher; 0: as published for its kind.
        stored_draws: draws a clip of stored teacher logits; 0: the teachers listen at each step.
        impulse_responses: "adir", "dir" or "none", of students.
        impulse_share, energy_threshold: the share of device a's clips convolved, ADIR's threshold.
        mixstyle: share of the batches with Freq-MixStyle; 0: none.
        roll_s, mask_bands, edge_hz: largest roll in time; the widest masked share of the Mel axis; how far its upper
            edge moves; 0: none.
        rate_hz: what all of them sample at.
        responses, content: a folder of impulse responses and its content (see `hearless.responses`); empty: made up.
        devices: files of s1 … s6, parted by commas; empty: six spread over the folder.
        fold, training_folds: tested and trained on; empty: the first, and all others.  For simulated devices.
        rows: some rows of a table by their labels, parted by ";"; empty: all.
        share, piece_s: of the training clips that each of s1, s2, s3 gets; seconds of a piece.
        background: share of the training clips in whose place background of no class is heard.
        validation, validation_seed, clip_s, protocol, average_last, precision: as in `Recipe`.
    """

    dataset: Spec
    size: str = "sm2"
    multi_label: bool = False
    norm: str = "residual"
    epochs: int = 250
    learning_rate: float = 9e-4
    weight_decay: float = 1e-4
    batch_size: int = 256
    int8_epochs: int = 24
    int8_learning_rate: float = 5e-5
    backend: str = "onnx"
    weight_of_labels: float = 0.02
    temperature: float = 2.0
    rule: str = "fixed"
    last_weight: float = 0.5
    how: str = "fitted"
    teachers: str = "cp_resnet,passt"
    teacher_seeds: int = 3
    teacher_weights: str = ""
    teacher_epochs: int = 0
    teacher_batch_size: int = 0
    stored_draws: int = 10
    impulse_responses: str = "adir"
    impulse_share: float = 0.6
    energy_threshold: float = 323.0
    mixstyle: float = 0.4
    roll_s: float = 0.125
    mask_bands: float = 0.1875
    edge_hz: float = 500.0
    rate_hz: int = RATE_HZ
    responses: str = ""
    content: str = ""
    devices: str = ""
    fold: str = ""
    training_folds: str = ""
    rows: str = ""
    share: float = 0.05
    piece_s: float = 1.0
    background: float = 0.0
    validation: float = 0.25
    validation_seed: int = 0
    clip_s: float = 1.0
    protocol: str = "honest"
    average_last: int = 0
    precision: str = "32-true"

    def __post_init__(self) -> None:
        known = (
            ("size", WIDTHS), ("norm", NORMS), ("impulse_responses", DIRS), ("how", ("fitted", "mean", "none")),
        )  # fmt: skip
        for name, values in known:
            if getattr(self, name) not in values:
                raise HearlessError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}.")
        if self.teacher_seeds < 1 or not names_in(self.teachers):
            raise HearlessError(
                f"teachers must name a kind or more and teacher_seeds be at least 1, got {self.teachers!r} and "
                f"{self.teacher_seeds}; how=none leaves teachers out."
            )

    def paper(self) -> Settings:
        """Return the paper's reading: the last ten epochs averaged, nothing chosen; a tenth held out to fit eq. 4."""
        return replace(self, protocol="paper", average_last=10, validation=0.1)

    @property
    def simulated(self) -> bool:
        """Say whether devices are simulated."""
        return self.dataset.name not in DEVICED

    def data(self, fold: str = "") -> Spec:
        """Return the corpus with devices; ``fold`` is the tested one where they are simulated."""
        if not self.simulated:
            return self.dataset
        return spec(
            SimulatedDevices, dataset=self.dataset, fold=fold or self.fold or "1", training_folds=self.training_folds,
            share=self.share, piece_s=self.piece_s or None,
        )  # fmt: skip

    def capture(self) -> Spec:
        """Return what everybody's sensor is: full band, behind the clip's device where that is simulated."""
        if not self.simulated:
            return spec(FullBand, rate_hz=self.rate_hz)
        told = {"folder": self.responses, "content": self._content(self.devices), "names": self.devices}
        return spec(SimulatedDevice, rate_hz=self.rate_hz, **(told if self.responses else {}))

    def _content(self, names: str = "") -> str:
        return responses.content(self.responses, names_in(names)) if self.responses else ""

    def impulses(self, probability: float, threshold: float | None = None) -> Spec:
        """Return DIR, or ADIR with a threshold, from the responses of no tested device."""
        return spec(
            DeviceImpulseResponse, folder=self.responses, content=self.content, probability=probability,
            energy_threshold=threshold,
            left_out=left_out(self.responses, self.content, self.devices) if self.simulated else "",
        )  # fmt: skip

    def augmentations(self) -> tuple[Spec, ...]:
        """Return the student's: what the teachers hear too comes first, so that their logits serve with and without."""
        thresholds = {"adir": self.energy_threshold, "dir": None}
        roll = (spec(Roll, max_s=self.roll_s),) if self.roll_s else ()
        kind = self.impulse_responses
        impulses = (self.impulses(self.impulse_share, thresholds[kind]),) if kind in thresholds else ()
        mixed = (spec(FreqMixStyle, probability=self.mixstyle, alpha=0.3),) if self.mixstyle else ()
        masks = (spec(FrequencyMask, max_fraction=self.mask_bands),) if self.mask_bands else ()
        return (*roll, *impulses, *self.edge(), *mixed, *masks)

    def edge(self) -> tuple[Spec, ...]:
        """Return the jitter of the DCASE front end's upper edge, or nothing."""
        return (spec(UpperEdge, high_hz=HIGH_HZ, max_shift_hz=self.edge_hz),) if self.edge_hz else ()

    def hard_loss(self) -> Spec:
        """Return the loss on labels alone."""
        return spec(BinaryCrossEntropy) if self.multi_label else spec(CrossEntropy)

    def stage(self, objective: Spec, epochs: int, learning_rate: float, weight_decay: float, **more: Any) -> Stage:
        """Return one training with the lineage's optimiser."""
        return Stage((objective,), epochs, learning_rate, weight_decay=weight_decay, optimizer="adam", **more)

    def common(self, fold: str = "") -> dict[str, Any]:
        """Return the fields that teacher and student recipes share."""
        return {
            "dataset": self.data(fold), "clip_s": self.clip_s, "validation": self.validation,
            "validation_seed": self.validation_seed, "precision": self.precision, "protocol": self.protocol,
            "select": self._select(), "background": self.background,
        }  # fmt: skip

    def _select(self) -> str:
        if self.average_last:
            return "last"
        return "max:mAP" if self.multi_label else "max:accuracy"


@cache
def left_out(folder: str, content: str, devices: str) -> str:
    """Return the responses that are of tested devices: the six, and whatever is one of them in disguise."""
    every = responses.read(folder, RATE_HZ, expected=content)
    tested = [one for one in every if one.name in names_in(devices)]
    return ",".join(one.name for one in every if any(responses.same_device(one, other) for other in tested))


def spread(names: list[str], n: int) -> list[str]:
    """Return ``n`` of these names, at even distances."""
    if len(names) < n + 1:
        raise HearlessError(f"responses must be a folder of {n + 1} or more impulse responses, got {len(names)}.")
    return [names[place * len(names) // n] for place in range(n)]


def with_devices(made: Settings) -> Settings:
    """Return settings with the responses of s1 … s6 named and the folder's content told."""
    if not made.responses:
        return replace(made, devices=made.devices or ",".join(one.name for one in responses.made_up()[: len(DEVICES)]))
    names = [path.name for path in responses.files(made.responses)]
    devices = made.devices or ",".join(spread(names, len(DEVICES)))
    return replace(made, devices=devices, content=responses.content(made.responses))


def from_words(
    dataset: Spec, *, backbone: str = "sm2", weights: str | Path | None = None, paper: bool | str = False,
    **words: Any,
) -> Settings:  # fmt: skip
    """Return settings from plain words, as the command line has them.

    Args:
        dataset: the corpus.
        backbone: the student's size, ``"sm1"`` … ``"sm4"``.
        weights: ``"none"`` or None: no weights of DS-FlexiNet are published.
        paper: start from the paper's own reading.
        words: any other field of `Settings`, as a value or as text.

    Raises:
        HearlessError: an unknown field or size, a value that does not fit, or a folder of responses that is not there.
    """
    if backbone not in WIDTHS:
        raise HearlessError(f"backbone must be one of {', '.join(WIDTHS)} (DS-FlexiNet's sizes), got {backbone!r}.")
    if weights not in (None, "none"):
        raise HearlessError(f"DS-FlexiNet starts from random weights, got {weights}; see --set teacher_weights=FILE.")
    made = Settings(dataset, backbone)
    chosen: Settings = with_words(
        made.paper() if value_of("paper", paper, "bool") else made, words, ("dataset", "size", "content"), by=from_words
    )
    return with_devices(chosen)
