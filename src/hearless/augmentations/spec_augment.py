"""Masked stripes of time and frequency, as PANNs train with (SpecAugment, Park et al. 2019, without warping).

Source: PANNs (Kong et al. 2020): two stripes of up to 64 frames of 10 ms and two of up to 8 of 64 Mel bands between
50 and 8,000 Hz, per clip, applied as a mask after the network's input normalisation.

Differs in that stripes are drawn in seconds and Hz (widths and places uniform, frequency on a Mel scale) and rendered
on any view's axes, so that views of 24 and of 128 bands share a mask.  PANNs draw whole frames and bands, 0 to one
below the maximum: 31.5 frames and 3.5 bands on average; here it is 32 frames and 4 bands.  A clip shorter than the
widest stripe bounds the stripe; PANNs fail there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.dsp import scales
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"n_time": 1, "n_bands": 1}

Scale = Callable[[float], float]
SCALES: dict[str, tuple[Scale, Scale]] = {
    "slaney": (scales.hz_to_slaney, scales.slaney_to_hz),
    "htk": (scales.hz_to_htk, scales.htk_to_hz),
    "kaldi": (scales.hz_to_kaldi, scales.kaldi_to_hz),
}


def draw_stripe(rng: np.random.Generator, low: float, high: float, max_width: float) -> tuple[float, float]:
    """Draw the two edges of a stripe within ``low``..``high``: width uniform up to ``max_width``, then place."""
    width = rng.uniform(0.0, min(max_width, high - low))
    start = rng.uniform(low, high - width)
    return float(start), float(start + width)


def inside(places: NDArray[np.floating[Any]], edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which places ``[place]`` lie in any of the half-open stripes ``[batch, stripe, 2]``: ``[batch, place]``."""
    hit = (places >= edges[..., :1]) & (places < edges[..., 1:])
    return np.asarray(hit.any(axis=1))


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
        _require(min(stripes) >= 0 < max(stripes), "n_time and n_bands", "be 0 or more, one of them 1", stripes)
        _require(max_time_s > 0.0, "max_time_s", "be above 0", max_time_s)
        _require(0.0 < max_band_fraction <= 1.0, "max_band_fraction", "lie in 0..1, 0 excluded", max_band_fraction)
        _require(0.0 <= low_hz < high_hz, "low_hz", "be 0 or more and below high_hz", (low_hz, high_hz))
        _require(mel in SCALES, "mel", f"be one of {', '.join(SCALES)}", mel)
        self.n_time, self.max_time_s = n_time, max_time_s
        self.n_bands, self.max_band_fraction = n_bands, max_band_fraction
        self.low_hz, self.high_hz, self.mel = low_hz, high_hz, mel

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw the stripes' edges: ``time0_from_s``, ``time0_to_s``, …, ``band0_from_hz``, ``band0_to_hz``, …."""
        to_mel, to_hz = SCALES[self.mel]
        low, high = to_mel(self.low_hz), to_mel(self.high_hz)
        draws = {}
        for i in range(self.n_time):
            draws[f"time{i}_from_s"], draws[f"time{i}_to_s"] = draw_stripe(rng, 0.0, duration_s, self.max_time_s)
        for i in range(self.n_bands):
            edges = draw_stripe(rng, low, high, self.max_band_fraction * (high - low))
            draws[f"band{i}_from_hz"], draws[f"band{i}_to_hz"] = (to_hz(edge) for edge in edges)
        return draws

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Return the mask ``[batch, 1, band, frame]`` with each clip's stripes set to 0.

        Raises:
            HearlessError: not one draw per clip, or the mask does not lie on the axes ``where``.
        """
        if not isinstance(where, Axes):
            raise HearlessError(f"SpecAugment masks features and needs their axes, got a rate of {where} Hz.")
        if tensor.ndim != 4 or tensor.shape[2:] != (len(where.band_hz), where.n_frames):
            raise HearlessError(
                f"SpecAugment: the mask must be [batch, 1, {len(where.band_hz)}, {where.n_frames}] on these axes, "
                f"got {tuple(tensor.shape)}; take the axes of the view that made the features."
            )
        times = inside(
            np.arange(where.n_frames) * where.frame_s, self._edges(tensor, draws, "time{}_{}_s", self.n_time)
        )
        bands = inside(np.asarray(where.band_hz), self._edges(tensor, draws, "band{}_{}_hz", self.n_bands))
        keep = torch.from_numpy(~(times[:, None, None, :] | bands[:, None, :, None]))
        return tensor * keep.to(tensor)

    @staticmethod
    def _edges(tensor: Tensor, draws: Sequence[Draw], key: str, n_stripes: int) -> NDArray[np.float64]:
        """Return the edges of the stripes, ``[batch, stripe, 2]``."""
        edges = [
            [column("SpecAugment", tensor, draws, key.format(i, edge)) for edge in ("from", "to")]
            for i in range(n_stripes)
        ]
        return np.array(edges, dtype=np.float64).reshape(n_stripes, 2, len(draws)).transpose(2, 0, 1)


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise HearlessError(f"SpecAugment: {name} must {rule}, got {value}.")
