"""Circular shift of the features in time, as AST and paper 002 train with ("random time-shift").

Source: AST rolls by a whole number of frames of 10 ms, -10 to 9.  Here the shift is drawn in seconds, uniform either
way and rounded to the frames of each view (-10 to 10 at the default), so that two views move alike.  What leaves one
end enters at the other, frames of padding included.  `Roll` does the same to a waveform.
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

EXAMPLE: dict[str, Any] = {"max_s": 0.1}


class TimeRoll:
    """Roll each clip's features by up to ``max_s`` seconds either way."""

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "clip"

    def __init__(self, *, max_s: float = 0.1) -> None:
        if not 0.0 < max_s < math.inf:
            raise HearlessError(f"TimeRoll: max_s must be above 0 s and finite, got {max_s}; leave it out for none.")
        self.max_s = max_s

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"shift_s": …}``, uniform in ±``max_s``."""
        return {"shift_s": float(rng.uniform(-self.max_s, self.max_s))}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Roll features ``[batch, 1, band, frame]`` towards later by the nearest number of frames.

        Raises:
            HearlessError: not one draw per clip, or ``where`` is a rate.
        """
        shifts_s = column("TimeRoll", tensor, draws, "shift_s")
        axes = axes_of_features("TimeRoll", where)
        shifts = [round(shift_s / axes.frame_s) for shift_s in shifts_s]
        return torch.stack([torch.roll(row, shift, -1) for row, shift in zip(tensor, shifts, strict=True)])
