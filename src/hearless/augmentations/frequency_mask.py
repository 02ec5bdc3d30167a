"""One masked stripe of frequency per clip, as DCASE's low-complexity systems train with.

Source: paper 004 ("frequency masking") and its lineage (CP-JKU DCASE23): up to 48 of 256 Kaldi-Mel bands, each clip its
own, set to 0 in the logarithm, which is 0.9 after ``(x + 4.5) / 5``.  Differs from `SpecAugment`, which multiplies by 0
after the input normalisation, and from the published code in that the stripe is drawn in Hz (width and place uniform in
Mel) and rendered on any view's axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.augmentations._stripes import draw_stripe, inside
from hearless.dsp.scales import hz_to_kaldi, kaldi_to_hz
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"high_hz": 4000.0}


class FrequencyMask:
    """Fill a stripe of bands.

    Args:
        max_fraction: the widest stripe, as a share of ``low_hz``..``high_hz`` in Mel; the paper's is 48 / 256.
        low_hz: where a stripe may start.
        high_hz: where it must end.
        fill: the value of masked features; 0.9 is ``ln 1`` in ``PreEmphasisMel``'s scale.

    Raises:
        HearlessError: a fraction outside 0..1, an empty range, or a fill that is not finite.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "student"
    level: Literal["clip", "batch"] = "clip"

    def __init__(
        self, *, max_fraction: float = 0.1875, low_hz: float = 0.0, high_hz: float = 15500.0, fill: float = 0.9
    ) -> None:
        if not 0.0 < max_fraction <= 1.0:
            raise HearlessError(f"FrequencyMask: max_fraction must lie in 0..1, 0 excluded, got {max_fraction}.")
        if not 0.0 <= low_hz < high_hz < math.inf:
            raise HearlessError(
                f"FrequencyMask: low_hz must be 0 or more and below high_hz, got {low_hz} and {high_hz}."
            )
        if not math.isfinite(fill):
            raise HearlessError(f"FrequencyMask: fill must be finite, got {fill}; 0.9 is ln 1 in PreEmphasisMel.")
        self.max_fraction, self.low_hz, self.high_hz, self.fill = max_fraction, low_hz, high_hz, fill

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"from_hz": …, "to_hz": …}``: width uniform in Mel up to the widest, then place."""
        low, high = hz_to_kaldi(self.low_hz), hz_to_kaldi(self.high_hz)
        start, end = draw_stripe(rng, low, high, self.max_fraction * (high - low))
        return {"from_hz": kaldi_to_hz(start), "to_hz": kaldi_to_hz(end)}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Fill each clip's stripe in features ``[batch, 1, band, frame]`` on axes ``where``.

        Raises:
            HearlessError: not one draw per clip, or features that do not lie on these axes.
        """
        low, high = (column("FrequencyMask", tensor, draws, key) for key in ("from_hz", "to_hz"))
        if not isinstance(where, Axes) or tensor.ndim != 4 or tensor.shape[2] != len(where.band_hz):
            raise HearlessError(
                "FrequencyMask changes features [batch, 1, band, frame] and needs their axes, got shape "
                f"{tuple(tensor.shape)}; take the axes of the view that made them."
            )
        edges = np.array([low, high], dtype=np.float64).T[:, None, :]
        masked = torch.from_numpy(inside(np.asarray(where.band_hz), edges)).to(tensor.device)
        return tensor.masked_fill(masked[:, None, :, None], self.fill)
