"""View and Pipeline: how the shelves meet.

A pipeline is one listener: view (capture and frontend) → enhancer? → classifier → head?.  Student and teacher are
both pipelines; what differs between them is data (`PipelineSpec`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from hearless.interfaces import (
    Axes,
    Batch,
    Capture,
    Change,
    Classifier,
    Enhancer,
    Frontend,
    Head,
    HearlessError,
    Prediction,
)
from hearless.spec import Spec, require_shelf, spec_from_json, to_plain

PARTS = ("enhancer", "classifier", "head")
"""The parts that can learn, in order."""


@dataclass(frozen=True)
class PipelineSpec:
    """A pipeline as data: which capture, frontend, enhancer, classifier and head."""

    capture: Spec
    frontend: Spec
    classifier: Spec
    enhancer: Spec | None = None
    head: Spec | None = None

    def __post_init__(self) -> None:
        for part in self.__dataclass_fields__:
            require_shelf(part, getattr(self, part), f"{part}s")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {part: to_plain(getattr(self, part)) for part in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PipelineSpec:
        """Read what `to_json` wrote; names resolve to classes on the shelves only."""
        parts: dict[str, Any] = {part: value and spec_from_json(value) for part, value in data.items()}
        return cls(**parts)

    def hearing(self, capture: Spec, frontend: Spec) -> PipelineSpec:
        """Return the same network with another view."""
        return replace(self, capture=capture, frontend=frontend)

    def build(self, n_classes: int, labels: Sequence[str] = ()) -> Pipeline:
        """Build it with ``n_classes`` at its end: at the head, or at the classifier where there is none.

        ``labels`` are their names, in order, for a head that asks for them.
        """
        last = {"n_classes": n_classes}
        names = {"labels": tuple(labels)} if self.head and self.head.accepts("labels") and labels else {}
        frontend, enhancer = self.frontend.build(), self.enhancer.build() if self.enhancer else None
        bands = {"n_bands": _size(frontend, enhancer, 8)[0]} if self.classifier.accepts("n_bands") else {}
        return Pipeline(
            capture=self.capture.build(),
            frontend=frontend,
            enhancer=enhancer,
            classifier=self.classifier.build(**bands, **({} if self.head else last)),
            head=self.head.build(**last, **names) if self.head else None,
        )


@torch.no_grad()
def _size(frontend: Frontend, enhancer: nn.Module | None, frames: int) -> tuple[int, int]:
    """Return the bands and frames that the classifier gets: the front end's, or what an enhancer makes of them."""
    if enhancer is None or frames < 1:
        return frontend.n_bands, frames
    where = next(chain(enhancer.parameters(), enhancer.buffers()), torch.zeros(0)).device
    bands, made = enhancer(torch.zeros(1, 1, frontend.n_bands, frames, device=where)).shape[2:]
    return int(bands), int(made)


class Pipeline(nn.Module):
    """One listener.  ``observe`` is the sensor, ``forward`` everything behind it.

    Args:
        capture: what the sensor keeps.
        frontend: observation → features; must expect the capture's rate.
        enhancer: features → features, or None.
        classifier: features → scores.
        head: scores → target classes, or None.

    Raises:
        HearlessError: the frontend expects another rate than the capture gives.
    """

    def __init__(
        self,
        *,
        capture: nn.Module,
        frontend: nn.Module,
        classifier: nn.Module,
        enhancer: nn.Module | None = None,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        kept, expected = cast(Capture, capture).rate_hz, cast(Frontend, frontend).input_rate_hz
        if kept != expected:
            raise HearlessError(
                f"the frontend's input_rate_hz must be the capture's rate_hz, got {expected} and {kept}; "
                f"set input_rate_hz={kept}."
            )
        self.capture, self.frontend = capture, frontend
        self.enhancer, self.classifier, self.head = enhancer, classifier, head
        self._enhanced: dict[int, int] = {}

    @property
    def n_classes(self) -> int:
        """The number of classes it tells apart."""
        return cast("Classifier | Head", self.head if self.head is not None else self.classifier).n_classes

    @property
    def torch_device(self) -> torch.device:
        """Where its tensors lie; an int8 network may have no parameters."""
        return next(chain(self.parameters(), self.buffers()), torch.zeros(0)).device

    @property
    def source_rate_hz(self) -> int:
        """The rate of the waveform its capture would hear, in Hz."""
        return cast(Capture, self.capture).source_rate_hz

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts that can learn, by name."""
        return {name: part for name in PARTS if (part := getattr(self, name)) is not None}

    def observe(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        """Return what the sensor keeps of ``[batch, time]`` at ``rate_hz``."""
        return cast(Capture, self.capture)(waveform, rate_hz, devices)

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of an observation of ``n_samples`` lie."""
        return cast(Frontend, self.frontend).axes(n_samples)

    def features(self, observation: Tensor) -> Tensor:
        """Return the frontend's features ``[batch, 1, band, frame]``, in full precision whatever the network's."""
        with torch.autocast(observation.device.type, enabled=False):
            return cast(Frontend, self.frontend)(observation)

    def judge(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify features; ``keep`` masks inside the classifier, after its input normalisation."""
        return self.onward(PARTS[0], features, keep, maps=maps)

    def before(self, part: str, features: Tensor, keep: Tensor | None = None) -> Tensor | Prediction:
        """Return what enters a part: features, for the head what the classifier says of them."""
        if part == "enhancer":
            return features
        if self.enhancer is not None:
            features = cast(Enhancer, self.enhancer)(features)
        return features if part == "classifier" else cast(Classifier, self.classifier)(features, keep)

    def onward(
        self, part: str, entering: Tensor | Prediction, keep: Tensor | None = None, *, maps: bool = False
    ) -> Prediction:  # fmt: skip
        """Classify what enters a part (see `before`)."""
        if isinstance(entering, Tensor):
            features = entering
            if part == "enhancer" and self.enhancer is not None:
                features = cast(Enhancer, self.enhancer)(features)
            entering = cast(Classifier, self.classifier)(features, keep, maps=maps)
        return entering if self.head is None else cast(Head, self.head)(entering)

    def forward(self, observation: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify an observation ``[batch, time]`` (or levels)."""
        return self.judge(self.features(observation), keep, maps=maps)

    def hear(self, batch: Batch, torch_device: str = "cpu", *, teaching: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return the features of a batch, augmented as drawn, and the keep mask that goes with them.

        ``teaching`` hears what a teacher hears: nothing that is for the student alone.
        """
        waveform = batch.taught if teaching and batch.taught is not None else batch.waveform
        observation = self.observe(waveform.to(torch_device), batch.rate_hz, batch.devices)
        axes = self.axes(observation.shape[-1])
        changes = [c for c in batch.changes if not teaching or c.augmentation.hearers == "both"]
        return changed(self.features(observation), axes, changes)

    def on(self, torch_device: str) -> Pipeline:
        """Move to a torch device, convolutions in the channels-last layout (about twice as fast on a CPU)."""
        return cast(Pipeline, cast(Any, self).to(device=torch_device, memory_format=torch.channels_last))

    def train_only(self, names: Sequence[str]) -> list[nn.Parameter]:
        """Put these parts in training mode and all else, statistics included, to rest; return their parameters."""
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        trained = [part for name, part in self.parts().items() if name in names]
        for part in trained:
            part.train()
            part.requires_grad_(True)
        return [parameter for part in trained for parameter in part.parameters()]

    @torch.no_grad()
    def check_length(self, duration_s: float) -> None:
        """Raise `HearlessError` if a clip of this duration is shorter than the classifier's minimum."""
        n_samples = round(duration_s * cast(Capture, self.capture).rate_hz)
        frames = self._classified_frames(self.axes(n_samples).n_frames) if n_samples > 0 else 0
        minimum = cast(Classifier, self.classifier).min_frames
        if frames < minimum:
            raise HearlessError(
                f"a clip must give at least {minimum} frames to {type(self.classifier).__name__}, "
                f"{duration_s:g} s give {frames}; set clip_s (of a head: head_clip_s) so "
                "that shorter clips are zero-padded."
            )

    def least_s(self, within_s: float) -> float:
        """Return the shortest clip in s that `check_length` takes, at most ``within_s``, which it does take."""
        rate_hz = cast(Capture, self.capture).rate_hz

        def hears(n_samples: int) -> bool:
            try:
                self.check_length(n_samples / rate_hz)
            except HearlessError:
                return False
            return True

        return (1 + bisect_left(range(1, round(within_s * rate_hz)), True, key=hears)) / rate_hz

    def _classified_frames(self, frames: int) -> int:
        """Return how many frames the classifier gets of so many of the front end's: an enhancer may give others."""
        if frames not in self._enhanced:
            self._enhanced[frames] = _size(cast(Frontend, self.frontend), self.enhancer, frames)[1]
        return self._enhanced[frames]


def changed(features: Tensor, axes: Axes, changes: Sequence[Change]) -> tuple[Tensor, Tensor | None]:
    """Return features ``[batch, 1, band, frame]`` on ``axes`` with these changes made, and their keep mask or None."""
    keep: Tensor | None = None
    for change in changes:
        if change.augmentation.place == "keep":
            keep = change.augmentation.apply(torch.ones_like(features) if keep is None else keep, change.draws, axes)
        else:
            features = change.augmentation.apply(features, change.draws, axes)
    return features, keep
