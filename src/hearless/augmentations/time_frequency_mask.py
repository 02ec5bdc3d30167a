"""One masked stripe of time and one of frequency on the features themselves, as AST and paper 002 train with.

Source: AST masks up to ``timem`` frames of 10 ms and ``freqm`` of 128 Kaldi bands between 20 and 8,000 Hz with zeros
before normalisation; paper 002's (time/frequency) are 96/24 for ESC-50 (the defaults) and 48/48 for Speech Commands
(``max_time_s=0.48, max_band_fraction=0.375``).  These features are normalised already, so the stripes are filled with
what a zero became, the axes' ``mask_value`` (``-mean / (2 deviation)`` of AST's front end): each view with its own.

Differs in that stripes are drawn in seconds and Hz (uniform, frequency on a Mel scale) and laid on any view's axes, and
that those of time lie within the clip, not within its frames of padding.  `SpecAugment` masks inside the classifier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from hearless.augmentations._stripes import check_bands, draw_bands, draw_stripe, hidden, on_axes, require
from hearless.interfaces import Axes, Clip, Draw

EXAMPLE: dict[str, Any] = {"max_time_s": 0.2}


class TimeFrequencyMask:
    """Fill one stripe of time and one of frequency with the axes' ``mask_value``.

    Args:
        max_time_s: the widest stripe of time; 0 for none.
        max_band_fraction: the widest stripe of frequency, as a share of ``low_hz``..``high_hz`` in Mel; 0 for none.
        low_hz: where the stripe of frequency may start.
        high_hz: where it must end.
        mel: the Mel scale it is uniform on: slaney, htk or kaldi.

    Raises:
        HearlessError: neither stripe, a width or an edge out of range, or an unknown scale.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "clip"

    def __init__(
        self,
        *,
        max_time_s: float = 0.96,
        max_band_fraction: float = 0.1875,
        low_hz: float = 20.0,
        high_hz: float = 8000.0,
        mel: str = "kaldi",
    ) -> None:
        mask, widths = "TimeFrequencyMask", (max_time_s, max_band_fraction)
        require(0.0 <= max_time_s < math.inf, f"{mask}: max_time_s", "be 0 or more and finite", max_time_s)
        require(0.0 <= max_band_fraction <= 1.0, f"{mask}: max_band_fraction", "lie in 0..1", max_band_fraction)
        require(max(widths) > 0.0, f"{mask}: max_time_s or max_band_fraction", "be above 0", widths)
        check_bands(mask, low_hz, high_hz, mel)
        self.max_time_s, self.max_band_fraction = max_time_s, max_band_fraction
        self.low_hz, self.high_hz, self.mel = low_hz, high_hz, mel

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw the stripes' edges: ``time_from_s``, ``time_to_s``, ``band_from_hz``, ``band_to_hz``.

        A stripe of no width is drawn like any other and hides nothing.
        """
        times = draw_stripe(rng, 0.0, duration_s, self.max_time_s)
        bands = draw_bands(rng, self.low_hz, self.high_hz, self.max_band_fraction, self.mel)
        return {"time_from_s": times[0], "time_to_s": times[1], "band_from_hz": bands[0], "band_to_hz": bands[1]}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Fill the stripes of features ``[batch, 1, band, frame]``.

        Raises:
            HearlessError: not one draw per clip, or the features do not lie on the axes ``where``.
        """
        axes = on_axes("TimeFrequencyMask", tensor, where)
        stripes = hidden("TimeFrequencyMask", tensor, draws, axes, ["time_{}_s"], ["band_{}_hz"])
        return tensor.masked_fill(stripes, axes.mask_value)
