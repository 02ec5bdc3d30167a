"""Noise of random strength on the features, as AST and paper 002 train with.

Source: AST adds ``U(0, 1)`` at every point of the normalised spectrogram, times one ``U(0, 1)`` a clip, over 10; paper
002 prints U(0, 0.05) for ESC-50 and U(0, 0.1) for Speech Commands, read as the same with another ``maximum``.

A draw holds the strength and a seed, so that a replay makes the same noise.  It is made on the CPU, for features of one
shape the same on any device; views of other axes get other noise of the same strength.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless.augmentations._draws import axes_of_features, column
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"maximum": 0.1}


class SpectrogramNoise:
    """Add to each clip noise uniform in 0..strength, the strength uniform in 0..``maximum``."""

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "clip"

    def __init__(self, *, maximum: float = 0.1) -> None:
        if not 0.0 < maximum < math.inf:
            raise HearlessError(
                f"SpectrogramNoise: maximum must be above 0 and finite, got {maximum}; leave it out for none."
            )
        self.maximum = maximum

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"strength": …, "seed": …}``."""
        return {"strength": float(rng.uniform(0.0, self.maximum)), "seed": int(rng.integers(2**53))}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Add the noise to features ``[batch, 1, band, frame]``.

        Raises:
            HearlessError: not one draw per clip, or ``where`` is a rate.
        """
        strengths = column("SpectrogramNoise", tensor, draws, "strength")
        seeds = column("SpectrogramNoise", tensor, draws, "seed")
        axes_of_features("SpectrogramNoise", where)
        noise = [strength * uniform(seed, tensor.shape[1:]) for strength, seed in zip(strengths, seeds, strict=True)]
        return tensor + torch.stack(noise).to(tensor)


def uniform(seed: float, shape: Sequence[int]) -> Tensor:
    """Return values uniform in 0..1 from a whole-numbered seed alone: float32 of ``shape``, on the CPU."""
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(int(seed)))
