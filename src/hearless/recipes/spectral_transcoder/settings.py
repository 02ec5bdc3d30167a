"""What all recipes of this folder share: data, frozen classifier, levels, schedule.  Paper 003 §3–4.

The paper's readings: one second of sound at a time, Adam at 1e-3 (1e-4 where the classifier itself is retrained, 1e-5
for EfficientNets), batches of 64, 200 epochs, the state of the least validation loss kept.  What differs: one random
second of each clip an epoch, instead of every second of every file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hearless.captures.full_band import FullBand
from hearless.captures.third_octave import ThirdOctave
from hearless.classifiers._official import backbone as published
from hearless.datasets.several_tables import SeveralTables
from hearless.dsp.octave_bands import interval_of
from hearless.enhancers._folding import require_target
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.frontends.band_levels import BandLevels
from hearless.interfaces import HearlessError
from hearless.objectives.transcoding import Transcoding
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.recipes._shared import Backbone, digest_of, value_of, with_words
from hearless.spec import Spec, checked, spec
from hearless.teachers import Pretrained

TARGETS = {"resnet38": "pann", "cnn14": "pann", "mobilenetv2": "pann", "yamnet": "yamnet", "mn04": "mn04"}
"""Whose features a transcoder makes for each frozen classifier."""


@dataclass(frozen=True)
class Settings:
    """What every recipe of a table shares.

    Attributes:
        dataset: the corpus.
        backbone: the frozen classifier, its front end at its own rate and its weights.
        labels: the label set it was trained on.
        multi_label: of the data set; for heads.
        interval: of the levels: "fast" (125 ms) or "slow" (1 s).
        bands: how the levels shared out the bins: "published" or "iec61260" (real meters).
        octaves: "1/3" (29 bands) or "1/1" (ten).
        epochs, learning_rate, batch_size, clip_s: of each transcoder's training.
        channels, layers, kernel_frames, kernel_bands, dilation: of the CNN transcoder.
        light_channels, light_blocks: of the light one.
        mix: weight of the Mel's squared difference, in units of its spread, beside the scores in the light one and in
            CNN-mix.
        head_epochs, head_learning_rate, head_batch_size: of each head's training.
        head_clip_s: seconds that a head hears at a time, shorter clips filled up with silence; None: the longest
            training clip, and a clip too short for the classifier is refused.
        background: share of a head's training clips in whose place background of no class is heard.
        transcoder_tables: tables of recordings, parted by ``;``, that table 3's transcoders are trained on in place of
            the data set, relative to its folder; its own table must be among them.
        transcoder_fold: their fold that holds the test recordings, as in "city/{fold}".
        aggregation: how the classifier's classes make up the data set's by hand in table 3, "urbansound8k" or
            "sonyc_ust"; empty: as the data set is called.
        rows: which rows of a table to make, parted by commas; empty: all.
        once: rows of table 2, and the heads behind them, that are trained with the first seed alone.
        validation, precision, protocol: as in `Recipe`; protocol "as_released" repeats the quirks of the paper's code.
    """

    dataset: Spec
    backbone: Backbone
    labels: str
    multi_label: bool = False
    interval: str = "fast"
    bands: str = "published"
    octaves: str = "1/3"
    epochs: int = 200
    learning_rate: float = 1e-3
    batch_size: int = 64
    clip_s: float = 1.0
    channels: int = 64
    layers: int = 5
    kernel_frames: int = 3
    kernel_bands: int = 5
    dilation: int = 1
    light_channels: int = 64
    light_blocks: int = 4
    mix: float = 0.1
    head_epochs: int = 30
    head_learning_rate: float = 1e-3
    head_batch_size: int = 32
    head_clip_s: float | None = None
    background: float = 0.0
    transcoder_tables: str = ""
    transcoder_fold: str = ""
    aggregation: str = ""
    rows: str = ""
    once: str = ""
    validation: float = 0.25
    precision: str = "32-true"
    protocol: str = "honest"

    @property
    def start(self) -> Pretrained:
        """The frozen classifier's weights."""
        if self.backbone.initial is None:
            raise HearlessError("a frozen classifier needs its weights; give --weights FILE, or leave it out.")
        return self.backbone.initial

    @property
    def as_released(self) -> bool:
        """Whether the quirks of the paper's code are asked for."""
        return self.protocol == "as_released"

    @property
    def data(self) -> Spec:
        """The corpus, less what the paper's code leaves out where that is asked for."""
        shorter = self.as_released and self.dataset.name == "UrbanSound8K"
        return self.dataset.replace(min_duration_s=1.0) if shorter else self.dataset

    def true_view(self) -> PipelineSpec:
        """Return the classifier hearing the sound itself."""
        rate_hz = int(self.backbone.frontend.arguments["input_rate_hz"])
        return PipelineSpec(spec(FullBand, rate_hz=rate_hz), self.backbone.frontend, self.backbone.classifier)

    def levels_view(self, enhancer: Spec | None = None) -> PipelineSpec:
        """Return the classifier behind a transcoder of levels (default: PINV)."""
        transcoder = enhancer or spec(PINVTranscoder)
        heard = {"interval": self.interval, "bands": self.bands, "octaves": self.octaves}
        made = transcoder.replace(target=TARGETS[self.backbone.name], **heard)
        rate_hz = interval_of(self.interval, "Settings").rate_hz
        frontend = spec(BandLevels, input_rate_hz=rate_hz, octaves=self.octaves)
        capture = spec(ThirdOctave, **heard)
        return PipelineSpec(capture, frontend, self.backbone.classifier, enhancer=made)

    def recipe(
        self, name: str, student: PipelineSpec, stage: Stage | None = None, *, select: str = "min:loss",
        initial: Pretrained | None = None,
    ) -> Recipe:  # fmt: skip
        """Return one training beside the classifier that hears the sound; without a stage it is judged as it is."""
        levels = self.interval if self.octaves == "1/3" else f"{self.interval}_octaves"
        return Recipe(
            dataset=self.data, student=student, stages=(stage,) if stage else (), classes=self.labels,
            teacher=Pretrained(self.start.weights, self.start.sha256, self.true_view()), initial=initial or self.start,
            clip_s=self.clip_s, validation=self.validation, protocol=self.protocol, select=select,
            batch_size=self.batch_size, precision=self.precision, peak_normalised=self.as_released,
            name=f"spectral_transcoder/{name}-{self.backbone.name}-{levels}",
        )  # fmt: skip

    @property
    def of_transcoders(self) -> Settings:
        """The settings by which table 3's transcoders are trained: on other tables, where some are named."""
        if bool(self.transcoder_tables) != bool(self.transcoder_fold):
            raise HearlessError(
                "transcoder_tables and transcoder_fold come together, got one of them; name both, such as "
                "transcoder_tables='meta.csv;../home/meta.csv' and transcoder_fold='city/{fold}', or neither."
            )
        tables = self.transcoder_tables
        return replace(self, dataset=spec(SeveralTables, tables=tables)) if tables else self

    @property
    def mapping(self) -> str:
        """Which classes make up the data set's by hand; empty: nobody mapped them."""
        return self.aggregation or {"UrbanSound8K": "urbansound8k", "SONYCUST": "sonyc_ust"}.get(self.dataset.name, "")

    def wanted(self, known: Iterable[str]) -> list[str]:
        """Return which of these rows to make.

        Raises:
            HearlessError: one is asked for that is not known.
        """
        names = list(known)
        asked = _among("rows", self.rows, names)
        return [name for name in names if name in (asked or names)]

    def seeds_of(self, label: str, known: Iterable[str], seeds: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the first seed for a row that is trained ``once``, None (all of them) for another.

        Raises:
            HearlessError: ``once`` names a row that is not known.
        """
        return seeds[:1] if label in _among("once", self.once, list(known)) else None

    @property
    def mixed(self) -> float:
        """The weight of the Mel's squared difference where it stands beside the scores."""
        return round(self.mix / require_target(TARGETS[self.backbone.name], "Settings").spread ** 2, 6)

    def stage(
        self, *, logits: float = 1.0, features: float = 0.0, trains: str = "enhancer", share: float = 1.0,
        schedule: str = "constant",
    ) -> Stage:  # fmt: skip
        """Return the paper's training with these weights of its losses; ``share`` scales the learning rate."""
        objective = spec(Transcoding, logits=logits, features=features)
        return Stage((objective,), self.epochs, self.learning_rate * share, schedule, trains=(trains,))


def _among(name: str, words: str, known: list[str]) -> list[str]:
    """Return words parted by commas, all of them known."""
    asked = [word.strip() for word in words.split(",") if word.strip()]
    if unknown := [word for word in asked if word not in known]:
        raise HearlessError(f"{name} must be among {', '.join(known)}, got {', '.join(unknown)}.")
    return asked


def listener(name: str, weights: str | Path | None) -> tuple[Backbone, str]:
    """Return a frozen classifier at its own rate, as published, and its label set.

    Raises:
        HearlessError: an unknown one, one that no transcoder has features for, or a file that is not there.
    """
    class_name, row = published(name)
    if name not in TARGETS:
        raise HearlessError(f"backbone must be one of {', '.join(TARGETS)}, got {name!r}; no transcoder makes its Mel.")
    frontend = checked(row.view)
    if frontend.accepts("patched"):
        frontend = frontend.replace(patched=True)
    start = Pretrained(str(weights), digest_of(weights)) if weights else Pretrained(name, row.remote.sha256)
    return Backbone(name, checked(Spec("classifiers", class_name, row.arguments)), frontend, start), row.labels


def from_words(
    dataset: Spec, *, backbone: str = "resnet38", weights: str | Path | None = None, paper: bool | str = False,
    **words: Any,
) -> Settings:  # fmt: skip
    """Return settings from plain words, as the command line has them.

    Args:
        dataset: the corpus.
        backbone: the frozen classifier: ``"resnet38"`` (the paper's PANN), ``"yamnet"``, ``"mn04"``, ``"cnn14"`` ….
        weights: its weights file in place of the published one.
        paper: the paper's protocol: nothing else differs from the defaults.
        words: any other field of `Settings`, as a value or as text.

    Raises:
        HearlessError: an unknown field, a value that does not fit, or a file that is not there.
    """
    frozen, labels = listener(backbone, weights)
    made = Settings(dataset, frozen, labels, protocol="paper" if value_of("paper", paper, "bool") else "honest")
    chosen: Settings = with_words(made, words, ("dataset", "backbone", "labels"), released=True, by=from_words)
    return chosen
