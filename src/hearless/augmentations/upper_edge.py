"""Jitter of the Mel axis's upper edge, as the lineage of paper 004 trains with (DCASE 2023's front end: ±500 Hz).

There each step computes its Mel weights anew up to another edge.  Here the finished features are read off at the
centres that those weights would have, straight between neighbouring bands on the Mel scale: it costs no second
spectrum.  What differs: drawn per clip, not per step, and the triangles keep their width (1 % at the lineage's jitter).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless.augmentations._draws import axes_of_features, column
from hearless.dsp.scales import hz_to_kaldi
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"high_hz": 1000.0, "max_shift_hz": 100.0}


class UpperEdge:
    """Stretch or squeeze each clip's Mel axis, as if it ended up to ``max_shift_hz`` above or below ``high_hz``.

    Args:
        high_hz: where the front end's Mel axis ends; it begins at 0 Hz.
        max_shift_hz: how far the edge moves either way.

    Raises:
        HearlessError: an edge or a shift that is not above 0, or a shift that reaches 0 Hz.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "student"
    level: Literal["clip", "batch"] = "clip"

    def __init__(self, *, high_hz: float = 15500.0, max_shift_hz: float = 500.0) -> None:
        if not 0.0 < max_shift_hz < high_hz:
            raise HearlessError(
                f"UpperEdge: max_shift_hz must lie between 0 and high_hz={high_hz:g}, got {max_shift_hz:g}; the "
                "lineage's are 500 and 15500."
            )
        self.high_hz, self.max_shift_hz = high_hz, max_shift_hz

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"shift_hz": …}``, uniform in ±``max_shift_hz``."""
        return {"shift_hz": float(rng.uniform(-self.max_shift_hz, self.max_shift_hz))}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Read features ``[batch, 1, band, frame]`` off at the moved centres; beyond the axis its end is repeated.

        Raises:
            HearlessError: not one draw per clip, ``where`` is a rate, or axes of another number of bands.
        """
        shifts_hz = column("UpperEdge", tensor, draws, "shift_hz")
        axes = axes_of_features("UpperEdge", where)
        if len(axes.band_hz) != tensor.shape[2]:
            raise HearlessError(f"UpperEdge: axes of {len(axes.band_hz)} bands, got features of {tensor.shape[2]}.")
        centres = hz_to_kaldi(torch.tensor(axes.band_hz, dtype=torch.float64))
        edges = hz_to_kaldi(self.high_hz + torch.tensor(shifts_hz, dtype=torch.float64))
        wanted = centres * (edges / hz_to_kaldi(self.high_hz))[:, None]
        return _read_off(tensor, centres, wanted)


def _read_off(features: Tensor, centres: Tensor, wanted: Tensor) -> Tensor:
    """Return features at the ``wanted`` places ``[batch, band]``, straight between those at ``centres``."""
    if len(centres) < 2:
        return features
    below = (torch.searchsorted(centres, wanted.contiguous(), right=True) - 1).clamp(0, len(centres) - 2)
    share = ((wanted - centres[below]) / (centres[below + 1] - centres[below])).clamp(0.0, 1.0)
    places = below.to(features.device)[:, None, :, None].expand_as(features)
    part = share.to(features)[:, None, :, None]
    return features.gather(2, places) * (1.0 - part) + features.gather(2, places + 1) * part
