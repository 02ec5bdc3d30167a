"""Pictures of what models make of a sound: what was drawn, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless.interfaces import Axes, Enhancer, Masking, Transcoder
from hearless.levels import FORMATS
from hearless.pipeline import Pipeline

if TYPE_CHECKING:
    from hearless.pictures import Hearing, Layer

DEAF = 0.005
"""A mask that differs by less from silence's hears next to nothing."""
TITLE_WIDTH = 90
"""Characters in a line of a picture's title."""


@dataclass(frozen=True)
class Shown:
    """A picture of what a model makes of a sound.

    Attributes:
        path: the sound.
        picture: the picture.
        seconds: how long the sound is.
        end_s: how much of it was drawn.
        scores: the best classes of what was drawn, best first.
        layers: what was drawn, from top to bottom.
        start_s: where it begins.
    """

    path: Path
    picture: Path
    seconds: float
    end_s: float
    scores: dict[str, float]
    layers: tuple[Layer, ...] = field(repr=False)
    start_s: float = 0.0

    @property
    def part(self) -> str:
        """Say how much of a longer sound was drawn and from where on it is padding, or nothing."""
        return _part(self.path, self.end_s, self.seconds, self.layers, self.start_s)

    def title(self, model: str) -> str:
        """Return the picture's title."""
        said = ", ".join(f"{label} {score:.2f}" for label, score in self.scores.items())
        lines = (f"{self.path.name}: {said}", ", ".join(filter(None, (model, self.part))))
        return "\n".join(fill(line, TITLE_WIDTH) for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; of the layers their names."""
        return {
            "path": str(self.path), "picture": str(self.picture), "seconds": self.seconds, "end_s": self.end_s,
            "scores": self.scores, "layers": [layer.name for layer in self.layers],
        }  # fmt: skip


@dataclass(frozen=True)
class Together:
    """A picture of what several classifiers are given of one sound.

    Attributes:
        path, picture, seconds, end_s: as of `Shown`.
        scores: each one's best classes, best first, by its name; from top to bottom.
        hearings: what was drawn.
    """

    path: Path
    picture: Path
    seconds: float
    end_s: float
    scores: dict[str, dict[str, float]]
    hearings: tuple[Hearing, ...] = field(repr=False)
    start_s: float = 0.0

    @property
    def part(self) -> str:
        """Say how much of a longer sound was drawn and from where on it is padding, or nothing."""
        return _part(self.path, self.end_s, self.seconds, [one.layer for one in self.hearings], self.start_s)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "path": str(self.path), "picture": str(self.picture), "seconds": self.seconds, "end_s": self.end_s,
            "models": self.scores,
        }  # fmt: skip


def _part(path: Path, end_s: float, seconds: float, drawn: Sequence[Layer], start_s: float) -> str:
    until, whole = round(end_s, 2), round(seconds, 2)
    ends = " and ".join(f"{one:g}" for one in sorted({round(layer.end_s, 2) for layer in drawn if layer.end_s}))
    about = "about " if path.suffix.lower() in FORMATS else ""  # rows of text are not counted through
    where = f"{until:g} s from {start_s:g} s on" if start_s else f"the first {until:g} s"
    said = (f"{where} of {about}{whole:g} s" if until < whole else "", ends and f"padding after {ends} s")
    return ", ".join(filter(None, said))


def layers_of(pipeline: Pipeline, observation: Tensor, features: Tensor, end_s: float) -> tuple[Layer, ...]:
    """Return what front end and enhancer make of one clip whose sound ends at ``end_s``, where padding begins."""
    made = _made_of(pipeline, observation, features)
    return tuple(replace(one, end_s=end_s) if _is_padded(one.axes or made[0].axes, end_s) else one for one in made)


def _is_padded(axes: Axes | None, end_s: float) -> bool:
    """Say whether frames lie after the end: more than the one that reaches over it."""
    return axes is not None and axes.frame_s * axes.n_frames - end_s > 1.5 * axes.frame_s


def _made_of(pipeline: Pipeline, observation: Tensor, features: Tensor) -> tuple[Layer, ...]:
    """Return the layers; only an enhancer that masks is known to keep the axes."""
    from hearless.pictures import FACTOR, Layer

    axes, maker, enhancer = pipeline.axes(observation.shape[-1]), type(pipeline.frontend).__name__, pipeline.enhancer
    unit = "level (dB)" if observation.ndim == 3 else f"{maker} feature"
    heard = Layer(f"heard: {maker}", _image(features), unit, axes)
    if enhancer is None:
        return (heard,)
    made, by = _image(cast(Enhancer, enhancer)(features)), type(enhancer).__name__
    if isinstance(enhancer, Transcoder):
        return heard, Layer(f"made of it: {by}", made, f"{by} feature", enhancer.axes(made.shape[1]))
    if not isinstance(enhancer, Masking):
        return heard, Layer(f"made of it: {by}", made, f"{by} feature", None)
    silence = torch.full_like(features, float(features.min()))
    factors, of_silence = (_image(enhancer.mask(one)) for one in (features, silence))
    mask = Layer(f"mask: {by}, {_said_of(factors, of_silence)}", factors, FACTOR, axes)
    return heard, mask, Layer("enhanced: heard × mask", made, unit, axes)


def _said_of(factors: NDArray[Any], of_silence: NDArray[Any]) -> str:
    """Say between which factors a mask lies, and where silence is given the same one, that it hears nothing."""
    apart = float(abs(factors - of_silence).max())
    said = f"{factors.min():.2f} to {factors.max():.2f}"
    return f"{said}, silence's to {apart:.0e}: it hears next to nothing" if apart < DEAF else said


def _image(features: Tensor) -> NDArray[Any]:
    """Return ``[1, 1, band, frame]`` as ``[band, frame]``."""
    return features[0, 0].float().cpu().numpy()
