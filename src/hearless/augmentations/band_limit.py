"""A clip as a sensor of a drawn sampling rate would hear it, at the rate it had: one student for many rates.

No paper: paper 001 asks for more rates, and this trains one network on all of them.  What lies above half the drawn
rate is taken away by the resampler of `LowRate`, down and up again; the features of the network above it fall to the
floor, as they do behind a real low-rate sensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.dsp.resample import resample
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"rates_hz": "1000,4000"}


class BandLimit:
    """Leave of each clip what a sensor of a rate drawn from a list keeps.

    Args:
        rates_hz: the rates in Hz, parted by commas, all as likely; one at or above the waveform's leaves it as it is.
        student_only: leave the teacher with the whole clip.

    Raises:
        HearlessError: no rate, or one that is no whole number from 250 on.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "waveform"
    level: Literal["clip", "batch"] = "clip"

    def __init__(self, *, rates_hz: str = "250,500,1000,2000,4000,8000,16000", student_only: bool = True) -> None:
        words = [word.strip() for word in rates_hz.split(",")]
        if wrong := [word for word in words if not word.isdecimal() or int(word) < 250]:
            raise HearlessError(f"BandLimit: rates_hz must be whole numbers from 250 on, got {wrong[0]!r}.")
        self.rates_hz = tuple(int(word) for word in words)
        self.hearers: Literal["both", "student"] = "student" if student_only else "both"

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"rate_hz": …}``."""
        return {"rate_hz": float(rng.choice(self.rates_hz))}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Band-limit waveforms ``[batch, time]`` at rate ``where`` in Hz, clips of one rate together.

        Raises:
            HearlessError: not one draw per clip, or ``where`` is no rate.
        """
        rates = torch.tensor(column("BandLimit", tensor, draws, "rate_hz"))
        if isinstance(where, Axes):
            raise HearlessError("BandLimit changes waveforms and needs their rate in Hz, got the axes of features.")
        heard = tensor.clone()
        for rate in {int(r) for r in rates.tolist() if r < where}:
            rows = rates == rate
            back = resample(resample(tensor[rows], where, rate), rate, where)
            heard[rows] = back[:, : tensor.shape[1]]
        return heard
