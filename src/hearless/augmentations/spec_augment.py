"""Masked stripes of time and frequency, as PANNs train with (SpecAugment, Park et al. 2019, without warping).

Source: PANNs (Kong et al. 2020): two stripes of up to 64 frames of 10 ms and two of up to 8 of 64 Mel bands between
50 and 8,000 Hz, per clip, applied as a mask after the network's input normalisation.

Differs in that stripes are drawn in seconds and Hz (widths and places uniform, frequency on a Mel scale) and rendered
on any view's axes, so that views of 24 and of 128 bands share a mask.  PANNs draw whole frames and bands, 0 to one
below the maximum: 31.5 frames and 3.5 bands on average; here it is 32 frames and 4 bands.  A clip shorter than the
widest stripe bounds the stripe; PANNs fail there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from hearless.augmentations._stripes import check_bands, draw_bands, draw_stripe, hidden, on_axes, require
from hearless.interfaces import Axes, Clip, Draw

EXAMPLE: dict[str, Any] = {"n_time": 1, "n_bands": 1}


class SpecAugment:
    """Mask ``n_time`` stripes of time and ``n_bands`` of frequency.

    Args:
        n_time: stripes of time, each up to ``max_time_s`` wide.
        max_time_s: the widest stripe of time.
        n_bands: stripes of frequency, each up to ``max_band_fraction`` of the Mel axis wide.
        max_band_fraction: the widest stripe of frequency, as a share of ``low_hz``..``high_hz`` in Mel.
        low_hz: where stripes of frequency may start.
        high_hz: where they must end.
        mel: the Mel scale they are uniform on: slaney, htk or kaldi.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "keep"
    hearers: Literal["both", "student"] = "student"
    level: Literal["clip", "batch"] = "clip"

    def __init__(
        self,
        *,
        n_time: int = 2,
        max_time_s: float = 0.64,
        n_bands: int = 2,
        max_band_fraction: float = 0.125,
        low_hz: float = 50.0,
        high_hz: float = 8000.0,
        mel: str = "slaney",
    ) -> None:
        stripes = (n_time, n_bands)
        require(
            min(stripes) >= 0 < max(stripes), "SpecAugment: n_time and n_bands", "be 0 or more, one of them 1", stripes
        )
        require(max_time_s > 0.0, "SpecAugment: max_time_s", "be above 0", max_time_s)
        require(
            0.0 < max_band_fraction <= 1.0, "SpecAugment: max_band_fraction", "lie in 0..1, 0 excluded",
            max_band_fraction,
        )  # fmt: skip
        check_bands("SpecAugment", low_hz, high_hz, mel)
        self.n_time, self.max_time_s = n_time, max_time_s
        self.n_bands, self.max_band_fraction = n_bands, max_band_fraction
        self.low_hz, self.high_hz, self.mel = low_hz, high_hz, mel

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw the stripes' edges: ``time0_from_s``, ``time0_to_s``, …, ``band0_from_hz``, ``band0_to_hz``, …."""
        draws = {}
        for i in range(self.n_time):
            draws[f"time{i}_from_s"], draws[f"time{i}_to_s"] = draw_stripe(rng, 0.0, duration_s, self.max_time_s)
        for i in range(self.n_bands):
            edges = draw_bands(rng, self.low_hz, self.high_hz, self.max_band_fraction, self.mel)
            draws[f"band{i}_from_hz"], draws[f"band{i}_to_hz"] = edges
        return draws

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Return the mask ``[batch, 1, band, frame]`` with each clip's stripes set to 0.

        Raises:
            HearlessError: not one draw per clip, or the mask does not lie on the axes ``where``.
        """
        axes = on_axes("SpecAugment", tensor, where)
        times = [f"time{i}_{{}}_s" for i in range(self.n_time)]
        bands = [f"band{i}_{{}}_hz" for i in range(self.n_bands)]
        return tensor * (~hidden("SpecAugment", tensor, draws, axes, times, bands)).to(tensor)
