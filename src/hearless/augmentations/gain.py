"""A random gain, uniform in dB: sensors differ in sensitivity and sources in distance.

Common practice, no single paper.  The waveform is scaled and never clipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"max_db": 6.0}


class Gain:
    """Scale each clip by a gain uniform in ±``max_db``."""

    place: Literal["waveform", "features", "keep", "clips"] = "waveform"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "clip"

    def __init__(self, *, max_db: float = 6.0) -> None:
        if not 0.0 < max_db < math.inf:
            raise HearlessError(f"Gain: max_db must be above 0 dB and finite, got {max_db}; leave Gain out for none.")
        self.max_db = max_db

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"gain_db": …}``, uniform in ±``max_db``."""
        return {"gain_db": float(rng.uniform(-self.max_db, self.max_db))}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Scale floating-point waveforms ``[batch, time]`` by ``10 ** (gain_db / 20)``.

        Raises:
            HearlessError: not one draw per clip, or samples that are no floats.
        """
        gains_db = column("Gain", tensor, draws, "gain_db")
        if not tensor.is_floating_point():
            raise HearlessError(f"Gain needs floating-point samples, got {tensor.dtype}; scale integers to ±1 first.")
        factors = tensor.new_tensor([10.0 ** (gain_db / 20.0) for gain_db in gains_db])
        return tensor * factors[:, None]
