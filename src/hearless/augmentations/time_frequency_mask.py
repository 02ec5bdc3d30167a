"""One masked stripe of time and one of frequency on the features themselves, as AST and paper 002 train with.

Source: AST masks up to ``timem`` frames of 10 ms and ``freqm`` of 128 Kaldi bands between 20 and 8,000 Hz with zeros
before normalisation; paper 002's (time/frequency) are 96/24 for ESC-50 (the defaults) and 48/48 for Speech Commands
(``max_time_s=0.48, max_band_fraction=0.375``).  These features are normalised already, so the stripes are filled with
``value``, what a zero became: ``-mean / (2 deviation)``, the front end's ``mask_value``.

Differs in that stripes are drawn in seconds and Hz (uniform, frequency on a Mel scale) and laid on any view's axes, and
that those of time lie within the clip, not within its frames of padding.  `SpecAugment` masks inside the classifier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.augmentations.spec_augment import SCALES, draw_stripe, inside
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"max_time_s": 0.2, "value": 0.6}


class TimeFrequencyMask:
    """Fill one stripe of time and one of frequency with ``value``.

    Args:
        max_time_s: the widest stripe of time; 0 for none.
        max_band_fraction: the widest stripe of frequency, as a share of ``low_hz``..``high_hz`` in Mel; 0 for none.
        value: what masked features become.
        low_hz: where the stripe of frequency may start.
        high_hz: where it must end.
        mel: the Mel scale it is uniform on: slaney, htk or kaldi.

    Raises:
        HearlessError: neither stripe, a width or an edge out of range, an unknown scale, or a value that is not finite.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "clip"

    def __init__(
        self,
        *,
        max_time_s: float = 0.96,
        max_band_fraction: float = 0.1875,
        value: float = 0.0,
        low_hz: float = 20.0,
        high_hz: float = 8000.0,
        mel: str = "kaldi",
    ) -> None:
        widths = (max_time_s, max_band_fraction)
        _require(0.0 <= max_time_s < math.inf, "max_time_s", "be 0 or more and finite", max_time_s)
        _require(0.0 <= max_band_fraction <= 1.0, "max_band_fraction", "lie in 0..1", max_band_fraction)
        _require(max(widths) > 0.0, "max_time_s or max_band_fraction", "be above 0", widths)
        _require(math.isfinite(value), "value", "be finite", value)
        _require(0.0 <= low_hz < high_hz, "low_hz", "be 0 or more and below high_hz", (low_hz, high_hz))
        _require(mel in SCALES, "mel", f"be one of {', '.join(SCALES)}", mel)
        self.max_time_s, self.max_band_fraction, self.value = max_time_s, max_band_fraction, value
        self.low_hz, self.high_hz, self.mel = low_hz, high_hz, mel

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw the stripes' edges: ``time_from_s``, ``time_to_s``, ``band_from_hz``, ``band_to_hz``.

        A stripe of no width is drawn like any other and hides nothing.
        """
        to_mel, to_hz = SCALES[self.mel]
        low, high = to_mel(self.low_hz), to_mel(self.high_hz)
        times = draw_stripe(rng, 0.0, duration_s, self.max_time_s)
        bands = draw_stripe(rng, low, high, self.max_band_fraction * (high - low))
        return {
            "time_from_s": times[0], "time_to_s": times[1],
            "band_from_hz": to_hz(bands[0]), "band_to_hz": to_hz(bands[1]),
        }  # fmt: skip

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Fill the stripes of features ``[batch, 1, band, frame]``.

        Raises:
            HearlessError: not one draw per clip, or the features do not lie on the axes ``where``.
        """
        times, bands = (_edges(tensor, draws, key) for key in ("time_{}_s", "band_{}_hz"))
        if not isinstance(where, Axes):
            raise HearlessError(f"TimeFrequencyMask masks features and needs their axes, got a rate of {where} Hz.")
        if tensor.ndim != 4 or tensor.shape[2:] != (len(where.band_hz), where.n_frames):
            raise HearlessError(
                f"TimeFrequencyMask: features must be [batch, 1, {len(where.band_hz)}, {where.n_frames}] on these "
                f"axes, got {tuple(tensor.shape)}; take the axes of the view that made them."
            )
        frames, rows = inside(np.arange(where.n_frames) * where.frame_s, times), inside(np.array(where.band_hz), bands)
        hidden = torch.from_numpy(frames[:, None, None, :] | rows[:, None, :, None])
        return torch.where(hidden.to(tensor.device), self.value, tensor)


def _edges(tensor: Tensor, draws: Sequence[Draw], key: str) -> NDArray[np.float64]:
    """Return the two edges of each clip's stripe, ``[batch, 1, 2]``."""
    return np.array([column("TimeFrequencyMask", tensor, draws, key.format(e)) for e in ("from", "to")]).T[:, None]


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise HearlessError(f"TimeFrequencyMask: {name} must {rule}, got {value}.")
