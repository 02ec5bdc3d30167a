"""Circular shift of the waveform in time, the "random roll" of paper 004.

Source: paper 004 and its lineage (CP-JKU DCASE23: up to 4,000 samples at 32 kHz, that is
``max_s=0.125``).  Drawn in seconds, so that it means the same at any rate.  What leaves one end enters at the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"max_s": 0.1}


def rolled(waveform: Tensor, shifts: Sequence[int]) -> Tensor:
    """Return ``waveform`` ``[batch, time]`` with each row rolled towards later by its own number of samples."""
    rows = [torch.roll(row, shift) for row, shift in zip(waveform, shifts, strict=True)]
    return torch.stack(rows)


class Roll:
    """Roll each clip by up to ``max_s`` seconds either way, or by anything up to its length.

    ``student_only`` leaves the teacher with the clip as it was (a stored logit of the plain clip, as many do).
    """

    place: Literal["waveform", "features", "keep", "clips"] = "waveform"
    level: Literal["clip", "batch"] = "clip"

    def __init__(self, *, max_s: float | None = None, student_only: bool = False) -> None:
        if max_s is not None and not 0.0 < max_s < math.inf:
            raise HearlessError(f"Roll: max_s must be above 0 s and finite, got {max_s}; None rolls anywhere.")
        self.max_s = max_s
        self.hearers: Literal["both", "student"] = "student" if student_only else "both"

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"shift_s": …}``: uniform in ±``max_s``, or in 0..``duration_s``."""
        low, high = (0.0, duration_s) if self.max_s is None else (-self.max_s, self.max_s)
        return {"shift_s": float(rng.uniform(low, high))}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Roll waveforms ``[batch, time]`` of any dtype at rate ``where`` in Hz.

        Raises:
            HearlessError: not one draw per clip, or ``where`` is no rate.
        """
        shifts = column("Roll", tensor, draws, "shift_s")
        if isinstance(where, Axes):
            raise HearlessError("Roll changes waveforms and needs their rate in Hz, got the axes of features.")
        return rolled(tensor, [round(shift * where) for shift in shifts])
